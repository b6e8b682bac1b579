/**
 * `npm run bench [-- --json] [-- --only rings,tcp,wire,idle] [-- --repetitions N] [-- --seconds S]`
 * Figures of this machine, each with its goal. Exit code 1 when a goal is missed.
 */
import { parseArgs } from 'node:util';
import { Machine } from '../src/lab/machine/machine.js';
import { RingLoad, type RingSample } from '../src/lab/machine/ring_load.js';
import { interleave } from '../src/lab/rounds.js';
import { median } from '../src/lab/stats.js';
import { iperfMissing } from '../src/lab/traffic/iperf.js';
import type { RunningNetferry } from '../src/lab/traffic/netferry.js';
import { cpuOver, memoryOf } from '../src/lab/traffic/process.js';
import { type TrafficResult, tcpThrough } from '../src/lab/traffic/tcp.js';
import { SetupError } from '../src/sys/errors.js';
import type { TransferName } from '../src/transfer/transfer.js';
import { netferry } from './ours.js';
import { Reporter } from './report.js';
import { bareLoop } from './rivals/bare-loop.js';
import { type Rival, type Running, untilReachable } from './rivals/rival.js';
import { vde } from './rivals/vde.js';
import { wire } from './wire.js';

const SECTIONS = ['rings', 'tcp', 'wire', 'idle'] as const;
const NS = 1e9;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: SECTIONS.join(',') },
    repetitions: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
  },
});
const repetitions = Number(values.repetitions);
const seconds = Number(values.seconds);
const reporter = new Reporter({ json: values.json });
const stops: (() => Promise<void>)[] = [];

/** Rings, grants and copies in one process: what the back end alone costs. */
async function rings(): Promise<void> {
  reporter.group('Guest → guest through rings: the back end alone, one core');
  const cases = (['persistent', 'static', 'grant-copy', 'map'] as const).flatMap((transfer) =>
    [64, 1500].map((length) => ({ transfer, length })),
  );
  const benches = cases.map(
    ({ transfer, length }) =>
      new RingLoad(transfer, length, new Machine(), transfer === 'map' ? 50 : undefined),
  );
  for (const bench of benches) for (let i = 0; i < 3; i++) bench.sample(); // compiled and warm
  const variants: Record<string, () => RingSample> = {};
  for (const [i, bench] of benches.entries()) variants[String(i)] = () => bench.sample();
  const samples = await interleave(variants, repetitions * 3);
  const notes = [
    'bursts of 64',
    "pages in turn, a ring's worth on either side",
    'load generator between the rounds',
  ];
  const figure = (name: string, runs: readonly number[], unit: string, goal?: string) =>
    reporter.figure({
      name,
      value: median(runs),
      unit,
      repetitions: runs.length,
      notes,
      ...(goal && { goal }),
    });
  const runsOf = (transfer: TransferName, length: number) =>
    samples[String(cases.findIndex((c) => c.transfer === transfer && c.length === length))];
  for (const { transfer, length } of cases) {
    const runs = runsOf(transfer, length);
    const name = `${transfer}, ${length} B`;
    const frames = runs.map((run) => run.backend);
    const kept = transfer === 'persistent' || transfer === 'static';
    figure(name, frames, 'ns/frame', kept && length === 64 ? '≤ 70' : undefined);
    figure(
      `${name}, rate`,
      frames.map((ns) => 1000 / ns),
      'Mpps',
    );
    figure(
      `${name}, throughput`,
      frames.map((ns) => (length * 8) / ns),
      'Gb/s',
    );
    if (length !== 1500) continue;
    figure(
      `${name}, plain copy`,
      runs.map((run) => run.copy),
      'ns/frame',
    );
    figure(
      `${name} ÷ plain copy`,
      runs.map((run) => run.backend / run.copy),
      '×',
      kept ? '≤ 1.5' : undefined,
    );
  }
  const kept = runsOf('persistent', 1500);
  const ratios = runsOf('grant-copy', 1500).map((run, i) => run.backend / kept[i].backend);
  figure('grant-copy ÷ persistent, 1500 B', ratios, '×', '≤ 3');
  for (const bench of benches) bench.close();
}

/** iperf3 between two guests, against the same taps joined by others. */
async function tcp(): Promise<void> {
  reporter.group('iperf3 TCP between two taps in namespaces of their own');
  // Both are bare read/write loops: one thread that polls, and the faster one, a thread a direction.
  const loop = bareLoop({ mode: 'poll' });
  const threads = bareLoop();
  const switched = vde();
  const contestants: Rival[] = [netferry('persistent'), netferry('grant-copy'), loop, threads, switched];
  const results: Record<string, () => Promise<TrafficResult>> = {};
  for (const contestant of contestants) {
    const reason = iperfMissing() ?? contestant.missing();
    if (reason) reporter.skip(contestant.name, 'Gb/s', reason);
    else results[contestant.name] = () => once(contestant);
  }
  const runs = await interleave(results, repetitions);
  for (const contestant of contestants) {
    const own = runs[contestant.name];
    if (!own) continue;
    const cpu = median(own.map((run) => run.carrierSecondsPerGb));
    reporter.figure({
      name: contestant.name,
      value: median(own.map((run) => run.bitsPerSecond)) / NS,
      unit: 'Gb/s',
      repetitions: own.length,
      notes: [
        `runs ${own.map((run) => (run.bitsPerSecond / NS).toFixed(1)).join(' ')}`,
        `${cpu.toFixed(2)} CPU s a GB`,
        'one stream, cubic, MTU 1500',
        ...contestant.notes,
      ],
    });
  }
  for (const [rival, goal] of [
    [loop, '≥ 0.6'],
    [threads, '≥ 0.6'],
    [switched, '≥ 2'],
  ] as const) {
    const theirs = runs[rival.name];
    const ours = runs[contestants[0].name];
    if (!theirs || !ours) continue;
    const ratio = median(ours.map((run, i) => run.bitsPerSecond / theirs[i].bitsPerSecond));
    reporter.figure({
      name: `netferry, persistent ÷ ${rival.name}`,
      value: ratio,
      unit: '×',
      goal,
      repetitions: ours.length,
    });
  }
}

/** One contestant up, measured, down again: they do not disturb one another. */
async function once(contestant: Rival): Promise<TrafficResult> {
  const running: Running = await contestant.start();
  const stop = () => running.stop();
  const done = keep(stop);
  try {
    await untilReachable(running);
    await tcpThrough(running, { seconds: 1 });
    return await tcpThrough(running, { seconds });
  } finally {
    done();
    await stop();
  }
}

/** Remembers what is running, for when we are interrupted; returns what forgets it. */
function keep(stop: () => Promise<void>): () => void {
  stops.push(stop);
  return () => void stops.splice(stops.indexOf(stop), 1);
}

/** What a daemon with two guests costs while nobody talks. */
async function idle(): Promise<void> {
  reporter.group('Idle: a daemon and two guests');
  const reason = netferry('persistent').missing();
  if (reason) {
    reporter.skip('CPU while idle', '% of a core', reason, '≤ 0.5');
    return;
  }
  const running: RunningNetferry = await netferry('persistent').start();
  stops.push(() => running.stop());
  // Eight seconds after the start V8 tidies its heap, once: two collections, 40 ms of CPU for 15 MiB. That is the end
  // of the start, and shown as such; idle is what comes after it.
  for (const settle of [3, 10]) {
    await new Promise((resolve) => setTimeout(resolve, settle * 1000));
    const use = await cpuOver(running.daemon, 10_000);
    const started = settle === 3;
    reporter.figure({
      name: started ? 'daemon, CPU over 10 s, 3 s after the start' : 'daemon, CPU over 10 s, idle',
      value: use.percent,
      unit: '% of a core',
      ...(started ? { notes: ['with V8 tidying its heap, once'] } : { goal: '≤ 0.5' }),
    });
  }
  const memory = memoryOf(running.daemon);
  reporter.figure({ name: 'daemon, resident', value: memory.rss / 2 ** 20, unit: 'MiB' });
  const guests = running.pids.slice(1).map((pid) => memoryOf(pid).rss / 2 ** 20);
  reporter.figure({ name: 'a guest, resident', value: median(guests), unit: 'MiB' });
  stops.pop();
  await running.stop();
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => Promise.all(stops.map((stop) => stop())).finally(() => process.exit(130)));
}
try {
  const wanted = values.only.split(',');
  const unknown = wanted.find((name) => !SECTIONS.some((section) => section === name));
  if (unknown !== undefined)
    throw new SetupError(`no section ${unknown}`, `there are: ${SECTIONS.join(', ')}`);
  if (!(repetitions >= 1) || !(seconds >= 1))
    throw new SetupError('--repetitions and --seconds are numbers from 1 on');
  if (wanted.includes('rings')) await rings();
  if (wanted.includes('tcp')) await tcp();
  if (wanted.includes('wire')) await wire(reporter, { repetitions, seconds, keep });
  if (wanted.includes('idle')) await idle();
  process.exitCode = reporter.missed.length > 0 ? 1 : 0;
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`bench: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`);
  process.exitCode = 1;
}
