/** The parts of the report that hold for all experiments: how figures come about, and on which machine. */
import type { MachineFacts } from './machine_facts.js';
import { formatNumber, type Html, html } from './report_html.js';
import type { Results } from './results.js';

export function statistics({ statistics: s, experiments, effort }: Results): Html {
  const measurements = experiments.flatMap((one) => one.measurements);
  const samples = measurements
    .flatMap(({ cases }) => cases)
    .reduce((sum, one) => sum + one.samples.length, 0);
  const percent = (part: number) => `${formatNumber(part * 100)} %`;
  return html`<section id="method" class="flow" aria-labelledby="method-title">
<h2 id="method-title">How figures come about</h2>
<ul class="notes">
<li><strong>Warm-up.</strong> Each case runs unmeasured first, until it is compiled and its caches are filled.</li>
<li><strong>Turns.</strong> Cases are sampled in rounds, each case once a round, so that a machine that drifts drifts
for all alike. The rounds are rows of a Williams square drawn from a seed: within one square every case follows every
other equally often. ${formatNumber(samples)} samples were taken in all.</li>
<li><strong>How often.</strong> With --${effort}: at least ${s.least} rounds and at most ${s.most}, as many as an
experiment’s share of the time allows. Where cases are too slow even for ${s.least}, their experiment says so.</li>
<li><strong>Figures.</strong> The median, and the interval between two of the samples that holds the true median with a
probability of ${percent(s.confidence)} or more whatever the distribution: a sample falls on either side of it like
a coin (order statistics). No mean, no normal distribution.</li>
<li><strong>Outliers.</strong> Of at least ${s.judgeFrom} samples, those beyond Tukey’s outer fences are set aside:
more than ${formatNumber(s.fences)} interquartile ranges below the first quartile or above the third (a range counts as ${percent(s.leastSpread)} of the median at least). That is an
interrupt or a neighbour’s burst; what happens to a quarter of the samples stays. Medians and intervals are of those
kept. How many were set aside stands with each chart, and results.json has every one.</li>
<li><strong>Too wide.</strong> An interval longer than ${percent(s.wide)} of its median is shown hollow; an experiment gives
no verdict on it.</li>
<li><strong>Pinning.</strong> While it samples, the main thread runs on one CPU only, named with each experiment, the
last one that the process may use; the first ones take most of a machine’s interrupts. Threads and processes of an
experiment are placed as it says itself.</li>
</ul>
</section>
`;
}

const GIB = 2 ** 30;

export function machine(facts: MachineFacts): Html {
  const unknown = 'not told';
  const rows: [name: string, value: string][] = [
    ['CPU', facts.cpu],
    ['CPUs', `${facts.cores} online, this process may use ${ranges(facts.allowed)}`],
    ['Hyper-threading', facts.smt === null ? unknown : facts.smt ? 'on' : 'off'],
    ['Governor', facts.governor ?? unknown],
    ['Virtualized', facts.virtualized ?? 'nothing tells of a hypervisor'],
    ['Memory', `${gib(facts.memory)}, ${gib(facts.memoryFree)} of it free`],
    ['Huge pages', facts.transparentHugepages ?? unknown],
    ['Load average', facts.loadAverage.map((load) => load.toFixed(2)).join(', ')],
    ['Clock source', facts.clocksource ?? unknown],
    ['Kernel', `Linux ${facts.kernel}, ${facts.architecture}`],
    ['Kernel build', facts.kernelBuild],
    ['Node', `${facts.node}, V8 ${facts.v8}`],
    ['Netferry', facts.commit === null ? facts.netferry : `${facts.netferry}, commit ${facts.commit}`],
    ['Begun', facts.date],
  ];
  return html`<section id="machine" class="flow" aria-labelledby="machine-title">
<h2 id="machine-title">The machine</h2>
<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</section>
`;
}

function gib(bytes: number): string {
  return `${formatNumber(Math.round((bytes / GIB) * 10) / 10)} GiB`;
}

/** `0–3, 8` */
export function ranges(cpus: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const cpu of cpus) {
    const last = runs.at(-1);
    if (last && cpu === last[1] + 1) last[1] = cpu;
    else runs.push([cpu, cpu]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(', ');
}
