/**
 * The bridge, with and without netfilter, against the hook, in one run, taking turns. Needs root.
 *
 *   node dist/bench/hook/main.js [--repetitions 9] [--seconds 0.5] [--only udp,tcp] [--paths 'guest to wire,…'] [--json]
 *
 *   udp   64-byte frames a second that arrive: one sender on core 0, one receiver on core 1; and, for machines where
 *         others take those cores away at times, frames sent for a second that the sender was on its core
 *   tcp   one iperf3 stream, the client on core 0, the server on core 1
 *
 * Ratios are medians over the rounds: each contestant against the bridge of its own round.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { interleave } from '../../src/lab/rounds.js';
import { median } from '../../src/lab/stats.js';
import { Namespaces, untilSays } from '../../src/lab/traffic/netns.js';
import { Reporter } from '../report.js';
import { type Box, build, CONTESTANTS, type Contestant, type Place } from './places.js';

const BLAST = fileURLToPath(new URL('./blast.js', import.meta.url));
/** With UDP, IP and Ethernet headers, and without the frame check sequence: 64 bytes. */
const PAYLOAD = 22;
const WARMUP = 0.2;

interface Path {
  readonly name: string;
  readonly from: (place: Place) => Box;
  readonly to: (place: Place) => Box;
}

const PATHS: readonly Path[] = [
  { name: 'guest to guest', from: ({ a }) => a, to: ({ b }) => b },
  { name: 'guest to wire', from: ({ a }) => a, to: ({ remote }) => remote },
  { name: 'wire to guest', from: ({ remote }) => remote, to: ({ a }) => a },
];

interface Result {
  /** Frames or bits a second. */
  readonly rate: number;
  /** Frames for a second of the sender's core; TCP: bits for a second of both ends' CPU. */
  readonly perCpu: number;
  /** CPU seconds of sender and receiver for a million frames, or 10⁹ bytes. */
  readonly cpu: number;
}

const onCore = (core: number, argv: string[]) => ['taskset', '-c', String(core), ...argv];

async function udp(from: Box, to: Box, seconds: number): Promise<Result> {
  const receiver = to.ns.spawn(
    onCore(1, [process.execPath, BLAST, 'receive', '9000', String(WARMUP), String(seconds)]),
  );
  let text = '';
  receiver.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  await untilSays(receiver, 'ready');
  const gone = new Promise((resolve) => receiver.once('close', resolve));
  const total = seconds + WARMUP + 0.2;
  const { stdout } = await from.ns.exec(
    onCore(0, [process.execPath, BLAST, 'send', to.address, '9000', String(total), String(PAYLOAD)]),
  );
  await gone;
  const [, frames, took, receiverCpu] = /received (\d+) (\S+) (\S+)/.exec(text)!.map(Number);
  const [, sent, senderCpu] = /sent (\d+) (\S+)/.exec(stdout)!.map(Number);
  return {
    rate: frames / took,
    perCpu: sent / senderCpu,
    cpu: (senderCpu / sent + receiverCpu / frames) * 1e6,
  };
}

async function tcp(from: Box, to: Box, seconds: number): Promise<Result> {
  const server = to.ns.spawn(onCore(1, ['iperf3', '-s', '-1', '--forceflush']));
  await untilSays(server, 'listening');
  const { stdout } = await from.ns.exec(
    onCore(0, ['iperf3', '-J', '-c', to.address, '-t', String(Math.max(1, seconds)), '-C', 'cubic']),
  );
  const { end } = JSON.parse(stdout);
  const cpu = end.cpu_utilization_percent;
  const { bytes, seconds: took, bits_per_second } = end.sum_received;
  const cpuSeconds = ((cpu.host_total + cpu.remote_total) / 100) * took;
  return {
    rate: bits_per_second,
    perCpu: (bytes * 8) / cpuSeconds,
    cpu: cpuSeconds / (bytes / 1e9),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      repetitions: { type: 'string', default: '9' },
      seconds: { type: 'string', default: '0.5' },
      only: { type: 'string', default: 'udp,tcp' },
      paths: { type: 'string', default: PATHS.map(({ name }) => name).join(',') },
      json: { type: 'boolean', default: false },
    },
  });
  const [repetitions, seconds] = [Number(values.repetitions), Number(values.seconds)];
  const reporter = new Reporter({ json: values.json });
  const namespaces = await Namespaces.open();
  const places: Partial<Record<Contestant, Place>> = {};
  try {
    for (const contestant of CONTESTANTS) places[contestant] = await build(namespaces, contestant);
    for (const kind of values.only.split(',')) {
      for (const path of PATHS.filter(({ name }) => values.paths.split(',').includes(name))) {
        const variants = Object.fromEntries(
          CONTESTANTS.map((contestant) => {
            const place = places[contestant]!;
            const measure = kind === 'tcp' ? tcp : udp;
            return [contestant, () => measure(path.from(place), path.to(place), seconds)];
          }),
        ) as Record<Contestant, () => Promise<Result>>;
        print(reporter, kind, path, await interleave(variants, repetitions));
      }
    }
  } finally {
    for (const place of Object.values(places)) await place.close();
    await namespaces.close();
  }
}

function print(reporter: Reporter, kind: string, path: Path, results: Record<Contestant, Result[]>): void {
  const unit = kind === 'tcp' ? { name: 'Gb/s', size: 1e9 } : { name: 'Mpps', size: 1e6 };
  for (const contestant of CONTESTANTS) {
    const ours = results[contestant];
    const times = (other: Contestant, pick: (result: Result) => number) =>
      median(ours.map((result, round) => pick(result) / pick(results[other][round]))).toFixed(2);
    const against = (pick: (result: Result) => number) =>
      `${times('bridge', pick)} × bridge, ${times('bridge+netfilter', pick)} × bridge+netfilter`;
    const perCpu = median(ours.map((result) => result.perCpu)) / unit.size;
    reporter.figure({
      name: `${kind}, ${path.name}: ${contestant}`,
      value: median(ours.map(({ rate }) => rate)) / unit.size,
      unit: unit.name,
      repetitions: ours.length,
      notes: [
        against(({ rate }) => rate),
        `for a CPU second ${perCpu.toFixed(3)}: ${against((result) => result.perCpu)}`,
        `${median(ours.map(({ cpu }) => cpu)).toFixed(2)} CPU s a ${kind === 'tcp' ? 'GB' : 'million'}`,
        `runs ${ours.map(({ rate }) => (rate / unit.size).toFixed(3)).join(' ')}`,
      ],
    });
  }
}

await main();
