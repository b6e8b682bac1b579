/**
 * The report: one HTML file that needs nothing else, made from results alone. No script; a Content-Security-Policy
 * that forbids every request, so that nothing in results can make the page fetch or run anything.
 */
import type { Findings, Verdict } from './experiment.js';
import { figure, tabular } from './report_figure.js';
import { formatNumber, formatSeconds, type Html, html, trusted } from './report_html.js';
import { machine, statistics } from './report_method.js';
import { STYLE } from './report_style.js';
import type { ExperimentResult, Results } from './results.js';
import { toSeries } from './stats.js';

export function makeReport(results: Results): string {
  const { experiments } = results;
  const date = new Date(results.machine.date);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="netferry ${results.machine.netferry}">
<title>Netferry lab, ${results.machine.cpu}, ${date.toISOString().slice(0, 10)}</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
<header>
<h1>What network I/O costs on this machine</h1>
<p class="lead">The questions of “Network optimizations for PV guests” (Santos, Janakiraman, Turner; Xen Summit 2006),
asked again by <code>netferry lab run --${results.effort}</code> on ${results.machine.cpu}, Linux ${results.machine.kernel},
<time datetime="${date.toISOString()}">${dateText(date)}</time>, in ${formatSeconds(results.seconds)}.</p>
<p class="lead">${tally(experiments)}</p>
${results.partial && html`<p class="notice"><strong>This is partial.</strong> ${partialText(experiments)}</p>`}
</header>
<main>
<nav aria-label="Experiments"><ol class="overview">${experiments.map(overviewRow)}</ol></nav>
${experiments.map((one, index) => section(one, index, experiments.length))}
${statistics(results)}
${machine(results.machine)}
</main>
<footer>Made by netferry ${results.machine.netferry}. Every sample is in <code>results.json</code> beside this file;
<code>netferry lab report</code> makes this page anew from it.</footer>
</body>
</html>
`.text;
}

/** `22 November 2026, 18:05 UTC` */
function dateText(date: Date): string {
  const day = date.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
}

function partialText(experiments: readonly ExperimentResult[]): string {
  const stopped = experiments.filter((one) => one.outcome === 'stopped').length;
  if (stopped === 0) return 'The lab ended before it was through with what was asked for.';
  const what = stopped === 1 ? 'One experiment has' : `${stopped} experiments have`;
  return `The lab was stopped. ${what} no findings for that reason.`;
}

/** `Of 9 answers, 4 agree with the talk, 2 differ, 1 is unclear; 2 are not comparable. 1 experiment has none.` */
function tally(experiments: readonly ExperimentResult[]): string {
  const verdicts = experiments.flatMap((one) => (one.outcome === 'done' ? one.findings.verdicts : []));
  const count = (kind: Verdict['agrees']) => verdicts.filter((one) => one.agrees === kind).length;
  const parts = [
    said(count('agrees'), 'agrees with the talk', 'agree with the talk'),
    said(count('differs'), 'differs', 'differ'),
    said(count('unclear'), 'is unclear', 'are unclear'),
    said(count('not comparable'), 'is not comparable', 'are not comparable'),
  ].filter((part) => part !== '');
  const without = experiments.filter((one) => one.outcome !== 'done').length;
  return [
    parts.length > 0 && `Of ${plural(verdicts.length, 'answer')}, ${parts.join(', ')}.`,
    without > 0 && `${plural(without, 'experiment')} ${without === 1 ? 'has' : 'have'} none.`,
  ]
    .filter((sentence) => sentence !== false)
    .join(' ');
}

function said(count: number, one: string, many: string): string {
  return count === 0 ? '' : `${count} ${count === 1 ? one : many}`;
}

const anchor = (name: string) => `experiment-${encodeURIComponent(name)}`;

function overviewRow(one: ExperimentResult): Html {
  return html`<li><a href="#${anchor(one.name)}">${one.title}</a><div>${summary(one)}</div></li>`;
}

function summary(one: ExperimentResult): Html {
  if (one.outcome !== 'done') return outcomeLine(one);
  return html`${one.findings.verdicts.map(verdictLine)}`;
}

const BADGES: Record<Verdict['agrees'], string> = {
  agrees: '✓ agrees',
  differs: '≠ differs',
  unclear: '? unclear',
  'not comparable': '– not comparable',
};

function verdictLine({ agrees, sentence }: Verdict): Html {
  return html`<p class="verdict ${agrees.replace(' ', '-')}"><span class="badge">${BADGES[agrees]}</span>
<span>${sentence}</span></p>`;
}

const OUTCOMES = { missing: '○ could not run', failed: '✗ failed', stopped: '◦ stopped' } as const;

function outcomeLine(one: Exclude<ExperimentResult, { outcome: 'done' }>): Html {
  return html`<p class="verdict ${one.outcome}"><span class="badge">${OUTCOMES[one.outcome]}</span>
<span>${one.reason}</span></p>`;
}

function section(one: ExperimentResult, index: number, count: number): Html {
  const id = anchor(one.name);
  return html`<section id="${id}" aria-labelledby="${id}-title" data-experiment="${one.name}" data-outcome="${one.outcome}">
<h3>${index + 1} of ${count} · ${one.name}</h3>
<h2 id="${id}-title">${one.title}</h2>
<p class="question">${one.question}</p>
<div class="verdicts">${summary(one)}</div>
<div class="beside">
<div>${one.outcome === 'done' ? shown(one.findings, `chart-${index}`) : soFar(one)}</div>
<aside><div class="talk"><h3>The talk, 2006</h3>${paragraphs(one.talk)}</div></aside>
</div>
${one.outcome === 'done' && notes('What this machine could not show', one.findings.missing)}
${notes('How it was measured', [...(one.outcome === 'done' ? one.findings.method : []), ...measured(one)])}
</section>
`;
}

function paragraphs(text: string): Html[] {
  return text
    .split(/\n+/)
    .filter((line) => line.trim() !== '')
    .map((line) => html`<p>${line.trim()}</p>`);
}

function shown(findings: Findings, id: string): Html {
  return html`${findings.charts.map((chart, i) => figure(chart, `${id}-${i}`))}${findings.tables.map(tabular)}`;
}

/** Of an experiment that has no findings: what had been measured until then. */
function soFar(one: ExperimentResult): Html {
  const rows = one.measurements.flatMap(({ cases }) =>
    toSeries(cases).flatMap(({ variant, points }) =>
      points.map((point) => [variant, point.x, point.median, point.low, point.high, point.samples]),
    ),
  );
  if (rows.length === 0) return html`<p class="soft">Nothing was measured.</p>`;
  return tabular({
    title: 'What had been measured by then, without a finding',
    columns: ['', 'at', 'median', 'low', 'high', 'samples'],
    rows,
  });
}

function notes(title: string, lines: readonly string[]): Html {
  if (lines.length === 0) return html``;
  return html`<div class="method"><h3>${title}</h3>
<ul class="notes">${lines.map((line) => html`<li>${line}</li>`)}</ul></div>`;
}

/** The lab's own part of the method, from what was measured. */
function measured(one: ExperimentResult): string[] {
  const lines = one.measurements.map(({ cases, rounds, cpu, short }) => {
    const where = cpu === null ? 'main thread not pinned' : `main thread pinned to CPU ${cpu}`;
    const enough = short ? '; fewer than planned: its cases are too slow for the time there was' : '';
    return `${plural(cases.length, 'case')} in ${plural(rounds, 'interleaved round')}, ${where}${enough}.`;
  });
  // Several measurements of the same shape are one line.
  const times = new Map<string, number>();
  for (const line of lines) times.set(line, (times.get(line) ?? 0) + 1);
  const said = Array.from(times, ([line, n]) => (n === 1 ? line : `${n} measurements, each: ${line}`));
  if (one.seconds > 0 && one.measurements.length > 0) said.push(`It took ${formatSeconds(one.seconds)}.`);
  return said;
}

function plural(count: number, name: string): string {
  return `${formatNumber(count)} ${name}${count === 1 ? '' : 's'}`;
}
