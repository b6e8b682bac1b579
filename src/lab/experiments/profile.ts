/**
 * Where the back end's CPU goes while a guest receives a single TCP stream: the talk's profile tables, by component,
 * for netferry and for the bridge that it replaces.
 */
import { SetupError } from '../../sys/errors.js';
import type { Chart, Experiment, Findings, LabRun, Point, Series, Table, Verdict } from '../experiment.js';
import { judge, type Ratio, ratioOf, shown, whyUnclear, withInterval } from '../intervals.js';
import { WIDE } from '../stats.js';
import { COMPONENTS, type Component } from '../traffic/components.js';
import { iperfMissing, programMissing } from '../traffic/iperf.js';
import { FREQUENCY, perfMissing } from '../traffic/perf.js';
import { BRIDGE, FROM_HOST, GUESTS, openStages, type Profile } from '../traffic/profiles.js';
import { tapsMissing } from '../traffic/running.js';

/** Shares of the talk's dom0 profile, of all samples: bridge, netfilter, ip_tables; mm.o and grant_table.o of Xen. */
const TALK_BRIDGE = (10.0337 + 5.5101 + 2.249) / 100;
const TALK_GRANTS = (9.1785 + 8.685) / 100;
/** Components of less than this share of every table are left out of the chart, not of the tables. */
const SHOWN = 0.005;

export const profile: Experiment = {
  name: 'profile',
  title: 'Where the CPU goes',
  question:
    'On what does the back end spend its CPU while a guest receives one TCP stream, and a bridge its own?',
  talk: 'Profile of dom0 while a guest receives: netback 11.9 %, bridge 10.0 %, arch/x86/mm.o 9.2 %, grant_table.o 8.7 %, net/core 7.2 %, netfilter 5.5 %, ip_tables 2.2 % of all samples. “Focus on high cost components: bridge; memory management in Xen for I/O (grant tables).”',
  missing: () => tapsMissing() ?? iperfMissing() ?? programMissing('nsenter', 'util-linux') ?? perfMissing(),
  run,
};

async function run(lab: LabRun): Promise<Findings> {
  const quick = lab.effort === 'quick';
  const slices = quick ? 2 : 5;
  const seconds = quick ? 1.2 : 3;
  const missing: string[] = [];
  const stages = await openStages(quick ? [FROM_HOST, BRIDGE] : [FROM_HOST, GUESTS, BRIDGE], lab);
  missing.push(...stages.missing);
  let netfilter: boolean | undefined;
  try {
    netfilter = stages.netfilter;
    for (let slice = 0; slice < slices; slice++) {
      for (const stage of stages.running) {
        lab.note(`${stage.profile.name}: recording ${slice + 1} of ${slices}`);
        lab.signal.throwIfAborted();
        await stage.record(seconds);
      }
    }
  } finally {
    await stages.close();
  }
  const profiles = stages.running.map((stage) => stage.profile);
  const ours = profiles.find((p) => p.name === FROM_HOST);
  if (!ours || totalOf(ours) === 0) throw new SetupError('perf saw no sample of the daemon');
  const bridge = profiles.find((p) => p.name === BRIDGE);
  return {
    charts: [chartOf(profiles)],
    tables: profiles.map(tableOf),
    verdicts: [...(bridge ? [bridgeVerdict(bridge), bothVerdict(ours, bridge)] : []), grantVerdict(ours)],
    method: methodOf(slices, seconds, netfilter),
    missing,
  };
}

/** Samples to ms of CPU per 10⁹ bytes of payload. */
const perGb = (p: Profile, samples: number) => (samples * 1000) / FREQUENCY / p.gigabytes;
const totalOf = (p: Profile) => [...p.samples.values()].reduce((sum, n) => sum + n, 0);
const countOf = (p: Profile, ...components: Component[]) =>
  components.reduce((sum, component) => sum + (p.samples.get(component) ?? 0), 0);

/** 95 % of what counting `n` events leaves open (Poisson; of none, at most three). */
function counted(n: number): { low: number; high: number } {
  const half = 1.96 * Math.sqrt(n);
  return { low: Math.max(0, n - half), high: n === 0 ? 3 : n + half };
}

/** `n` of `of` samples as a share, with its interval. */
function shareOf(n: number, of: number): Ratio {
  const { low, high } = counted(n);
  return { value: n / of, low: low / of, high: Math.min(1, high / of), wide: false };
}

function tableOf(p: Profile): Table {
  const total = totalOf(p);
  const share = (n: number) => Number(((100 * n) / total).toFixed(1));
  const cost = (n: number) => Number(perGb(p, n).toPrecision(3));
  const rows = [...p.samples].sort(([, a], [, b]) => b - a);
  return {
    title: `${p.name}: ${shown((p.gigabytes * 8) / p.seconds)} Gb/s`,
    columns: ['component', 'samples', '%', 'CPU ms per GB'],
    rows: [
      ...rows.map(([component, n]) => [component, n, share(n), cost(n)]),
      ['TOTAL', total, 100, cost(total)],
    ],
  };
}

function chartOf(profiles: readonly Profile[]): Chart {
  const worth = COMPONENTS.filter((component) =>
    profiles.some((p) => countOf(p, component) / Math.max(1, totalOf(p)) >= SHOWN),
  );
  return {
    title: 'CPU of what lies between sender and receiver, by component',
    x: { label: 'component', unit: '', scale: 'names' },
    y: { label: 'CPU', unit: 'ms per GB', scale: 'linear' },
    series: profiles.map((p): Series => ({ variant: p.name, points: worth.map((c) => pointOf(p, c)) })),
  };
}

function pointOf(p: Profile, component: Component): Point {
  return { x: component, ...costOf(p, countOf(p, component)) };
}

function costOf(p: Profile, n: number): Omit<Point, 'x'> {
  const { low, high } = counted(n);
  const wide = high - low > WIDE * n;
  return { median: perGb(p, n), low: perGb(p, low), high: perGb(p, high), samples: n, outliers: 0, wide };
}

const percent = ({ value, low, high }: Ratio) =>
  `${shown(100 * value)} % (${shown(100 * low)} … ${shown(100 * high)})`;

function bridgeVerdict(p: Profile): Verdict {
  const share = shareOf(countOf(p, 'kernel: bridge', 'kernel: netfilter'), totalOf(p));
  const figures = `bridge and netfilter are ${percent(share)} of what the kernel spends between two namespaces on a bridge; in the talk bridge, netfilter and ip_tables were ${shown(100 * TALK_BRIDGE)} % of all dom0’s samples`;
  const side = judge(share, TALK_BRIDGE);
  if (side === 'unclear')
    return { agrees: 'unclear', sentence: `${whyUnclear(share, 'the talk’s share')}: ${figures}.` };
  return side === 'above'
    ? { agrees: 'agrees', sentence: `The bridge is a high-cost component: ${figures}.` }
    : { agrees: 'differs', sentence: `The bridge is less of a cost here: ${figures}.` };
}

function grantVerdict(p: Profile): Verdict {
  const share = shareOf(countOf(p, 'grants, mapping table'), totalOf(p));
  const copies = shareOf(countOf(p, 'copy of frames', 'kernel: copy'), totalOf(p));
  return {
    agrees: 'not comparable',
    sentence: `Grants and the table of mappings are ${percent(share)} of the back end’s samples, where Xen’s mm.o and grant_table.o were ${shown(100 * TALK_GRANTS)} % of the talk’s: pages stay mapped, as it suggested. The copies are ${percent(copies)}.`,
  };
}

function bothVerdict(ours: Profile, bridge: Profile): Verdict {
  // What the host's own stack does in the daemon's time is no more the carrier's than a guest's stack is the bridge's.
  const carried = totalOf(ours) - countOf(ours, 'kernel: end point’s TCP/IP');
  const a: Point = { x: '', ...costOf(ours, carried) };
  const b: Point = { x: '', ...costOf(bridge, totalOf(bridge)) };
  return {
    agrees: 'not comparable',
    sentence: `Over everything the back end spends ${shown(a.median)} ms of CPU on a GB from the host to a guest, without the host’s own TCP, the kernel’s hop over a bridge ${shown(b.median)} ms: ${withInterval(ratioOf(a, b))} times as much. The bridge hands on references and copies nothing; the back end copies from the tap and into the guest.`,
  };
}

function methodOf(slices: number, seconds: number, netfilter: boolean | undefined): string[] {
  return [
    `perf record -e cpu-clock -F ${FREQUENCY} -g, ${slices} recordings of ${seconds} s of each in turns, each in the midst of one iperf3 stream (cubic, MTU 1500, offloads on). A sample counts for the first function from the leaf on that the component table knows, so that locks and copies count for their caller; what an end point’s stack does (the host’s takes ACKs in the daemon’s time, when they are written to its tap) is a row of its own. Intervals are those of counting: ± 1.96 √n. CPU ms per GB: samples ÷ frequency ÷ payload of those seconds. Time with interrupts off is seen where they come on again.`,
    `${FROM_HOST}: all threads of the daemon while a guest receives from the host’s own namespace: the daemon reads the host port’s tap (nf0) and fills the guest’s ring, transfer persistent. The guest’s own process is not counted, nor is the sender’s hand-over to the tap. The stages are WebAssembly functions by their names (the direct lane, for plain frames between two guests, is pull, classify and push in one), Node runs with --perf-basic-prof.`,
    ...(netfilter === undefined
      ? []
      : [
          `${BRIDGE}: of a recording of the whole machine, what ran between the sender’s veth and the receiver’s IP stack, in the time of the two iperf3 or of the kernel’s softirq threads: veth, backlog, bridge, netfilter. bridge-nf-call-iptables is ${netfilter ? 'on, as this kernel has it by default' : 'off or not there'}, no rules.`,
        ]),
  ];
}
