/**
 * "Numbers should be different now" with TSO, says the talk, and leaves them for later: what a byte costs when it
 * travels in frames of up to 64 KiB instead of frames of the MTU's size.
 */
import { SetupError } from '../../sys/errors.js';
import type { TransferName } from '../../transfer/transfer.js';
import type { Case, Chart, Experiment, Findings, LabRun, Series, Table, Verdict } from '../experiment.js';
import { judge, pointOf, ratioOf, shown, whyUnclear, withInterval } from '../intervals.js';
import { FrameLoad } from '../machine/frame_load.js';
import { Machine } from '../machine/machine.js';
import { type FrameKind, TCP_HEADERS } from '../machine/ring_pair.js';
import { OFF, type OffloadStage, ON, offloads, offloadsMissing } from '../traffic/offloads.js';
import { sharedRun } from '../turns.js';

const TRANSFERS = ['persistent', 'grant-copy'] as const satisfies readonly TransferName[];
/** A frame of the MTU's size as it is on the wire: Ethernet's header on top. */
const MTU_FRAME = 1514;
const JUMBO_FRAME = 9014;
const LARGEST = 65_535;
/** Payload of a segment of an MTU of 1500. */
const SEGMENT = MTU_FRAME - TCP_HEADERS;
const TSO_LENGTHS = [4096, 9014, 16_384, 32_768, LARGEST] as const;
/** Bytes of a stream: half a second or so on either side. */
const STREAM = { on: 500e6, off: 125e6 } as const;
const PLAIN = 'plain copy of the same pages';
const jumbo = (transfer: TransferName) => `${transfer}, MTU 9000`;

export const segmentation: Experiment = {
  name: 'segmentation',
  title: 'Large frames',
  question: 'How much CPU does a byte cost in frames of up to 64 KiB, and in frames of the MTU’s size?',
  talk: '“Results are for Xen version before TSO optimizations. Numbers should be different now”, and the next step: “Get new performance numbers on latest Xen unstable version with TSO optimizations.” No figure.',
  measurements: 2,
  pinned: false, // iperf3 and the daemon would inherit it
  missing: () => undefined,
  run,
};

async function run(lab: LabRun): Promise<Findings> {
  const rings = await throughRings(lab);
  const missing: string[] = [];
  let real: Series[] = [];
  const reason = offloadsMissing();
  if (reason !== undefined) missing.push(`TCP between guests: ${reason}`);
  else {
    try {
      real = await betweenGuests(lab);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error; // also when the lab is stopped
      missing.push(`TCP between guests: ${error.message}`);
    }
  }
  const verdicts = TRANSFERS.map((transfer) => ringVerdict(transfer, rings));
  if (real.length > 0) verdicts.push(tcpVerdict(real));
  return {
    charts: [ringChart(rings), ...tcpCharts(real)],
    tables: [ringTable(rings)],
    verdicts,
    method: real.length > 0 ? [...RING_METHOD, ...TCP_METHOD] : RING_METHOD,
    missing,
  };
}

/** In one process: the back end's rounds alone. */
async function throughRings(lab: LabRun): Promise<Series[]> {
  const loads: FrameLoad[] = [];
  try {
    const share = lab.effort === 'quick' ? 0.1 : 0.2;
    const cases: Case[] = [];
    for (const transfer of TRANSFERS) {
      const add = (variant: string, kind: FrameKind) => {
        const load = new FrameLoad(transfer, kind, new Machine(192 << 20), share);
        loads.push(load);
        const perKilobyte = 1000 / kind.length;
        const of = sharedRun(() => load.sample());
        const scaled = (key: 'backend' | 'copy') => {
          const take = of(key);
          return async () => (await take()) * perKilobyte;
        };
        cases.push({ variant, x: kind.length, sample: scaled('backend') });
        if (variant === 'persistent') cases.push({ variant: PLAIN, x: kind.length, sample: scaled('copy') });
      };
      add(transfer, { length: MTU_FRAME, segment: 0 });
      for (const length of TSO_LENGTHS) add(transfer, { length, segment: SEGMENT });
      add(jumbo(transfer), { length: JUMBO_FRAME, segment: 0 });
    }
    lab.note('frames through rings');
    return await lab.measure(cases);
  } finally {
    for (const load of loads) load.close();
  }
}

/** Daemons with two guests each, iperf3 between these, the guests' offloads on and off in turns. */
async function betweenGuests(lab: LabRun): Promise<Series[]> {
  const quick = lab.effort === 'quick';
  const stages: OffloadStage[] = [];
  try {
    const cases: Case[] = [];
    for (const transfer of quick ? TRANSFERS.slice(0, 1) : TRANSFERS) {
      lab.note(`a daemon and two guests, ${transfer}`);
      const stage = await offloads(transfer, lab.signal);
      stages.push(stage);
      for (const state of [ON, OFF] as const) {
        const of = sharedRun(() => stage.run(state, STREAM[state] * (quick ? 1 : 3)));
        cases.push({ variant: rateOf(transfer), x: state, sample: of('gbps') });
        cases.push({ variant: cpuOf(transfer), x: state, sample: of('cpu') });
      }
    }
    lab.note('iperf3 between two guests');
    return await lab.measure(cases, quick ? 7 : 11);
  } finally {
    for (const stage of stages) await stage.stop();
  }
}

const rateOf = (transfer: TransferName) => `${transfer}, Gb/s`;
const cpuOf = (transfer: TransferName) => `${transfer}, CPU`;

function ringChart(series: readonly Series[]): Chart {
  return {
    title: 'Guest → guest through rings: the back end’s CPU per kilobyte, by the frame’s size',
    x: { label: 'frame', unit: 'bytes', scale: 'log' },
    y: { label: 'the back end’s CPU', unit: 'ns per kB', scale: 'log' },
    series,
    marks: [{ at: MTU_FRAME, label: 'MTU 1500' }],
  };
}

function ringTable(series: readonly Series[]): Table {
  return {
    title: 'The back end alone, in process',
    columns: ['frames', 'bytes', 'ns per kB', 'Gb/s on one core', 'ns per frame'],
    rows: series.flatMap(({ variant, points }) =>
      points.map((p) => {
        const length = Number(p.x);
        const perFrame = Math.round((p.median * length) / 1000);
        return [variant, length, Number(p.median.toPrecision(3)), Number(shown(8000 / p.median)), perFrame];
      }),
    ),
  };
}

function tcpCharts(series: readonly Series[]): Chart[] {
  if (series.length === 0) return [];
  const x = { label: 'TSO, GSO and GRO of the guests', unit: '', scale: 'names' } as const;
  const of = (suffix: string) =>
    series
      .filter((s) => s.variant.endsWith(suffix))
      .map((s) => ({ ...s, variant: s.variant.slice(0, -suffix.length) }));
  const linear = { scale: 'linear' } as const;
  return [
    {
      title: 'One TCP stream between two guests: throughput',
      x,
      y: { label: 'payload', unit: 'Gb/s', ...linear },
      series: of(', Gb/s'),
    },
    {
      title: 'One TCP stream between two guests: the back end’s CPU',
      x,
      y: { label: 'CPU of the daemon', unit: 's per GB', ...linear },
      series: of(', CPU'),
    },
  ];
}

function ringVerdict(transfer: TransferName, series: readonly Series[]): Verdict {
  const large = pointOf(series, transfer, LARGEST);
  const small = pointOf(series, transfer, MTU_FRAME);
  const middle = pointOf(series, jumbo(transfer), JUMBO_FRAME);
  const ratio = ratioOf(small, large);
  const figures = `${transfer}, through rings: a byte in frames of 1514 costs ${withInterval(ratio)} times one in frames of 65,535 (${shown(small.median)} and ${shown(large.median)} ns per kB; with an MTU of 9000 ${shown(middle.median)})`;
  return difference(ratio, figures);
}

function tcpVerdict(series: readonly Series[]): Verdict {
  const cpu = ratioOf(pointOf(series, cpuOf('persistent'), OFF), pointOf(series, cpuOf('persistent'), ON));
  const on = pointOf(series, rateOf('persistent'), ON);
  const off = pointOf(series, rateOf('persistent'), OFF);
  const figures = `between guests, persistent: without segmentation offload a byte costs the back end ${withInterval(cpu)} times the CPU, and one stream carries ${shown(off.median)} instead of ${shown(on.median)} Gb/s`;
  return difference(cpu, figures);
}

/** The talk expects numbers to differ with TSO; it has none. */
function difference(ratio: ReturnType<typeof ratioOf>, figures: string): Verdict {
  const side = judge(ratio, 1);
  if (side === 'unclear') return { agrees: 'unclear', sentence: `${whyUnclear(ratio, '1')}: ${figures}.` };
  return side === 'above'
    ? { agrees: 'agrees', sentence: `The numbers are different with TSO: ${figures}.` }
    : { agrees: 'differs', sentence: `Large frames are not cheaper here: ${figures}.` };
}

const RING_METHOD = [
  'Through rings: two guests and the back end in one process; a load generator plays the front ends, only the back end’s rounds are timed. One thread. TCP/IPv4 frames with a blank checksum, as guests send them; larger ones carry a segmentation request (1460 bytes of payload a segment) that travels on to the receiver uncut. MTU 9000: plain frames of 9014 bytes, no segmentation.',
  'Each sender uses 256 pages in turn, a ring’s worth. A round is 64 frames, or as many as a ring of 256 slots holds.',
];
const TCP_METHOD = [
  'Between guests: a daemon and two embedded guests in network namespaces of their own; iperf3 streams one at a time, cubic, MTU 1500, of half a second or so (three times as long with --full). Off: ethtool -K eth0 tso off gso off gro off in both guests, so that every segment is a frame of its own on the rings. CPU: user and system time of the daemon (/proc/PID), not of the guests, per 10⁹ bytes of payload.',
];
