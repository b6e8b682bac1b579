/**
 * A guest and a machine behind the host's wire, in either direction; the wire is a veth.
 *
 *   netferry      guest eth0 ═ netfront ═ netback ═ crossing ─ hook ─ up0 ── remote
 *   bridge        guest eth0 ═ bare loop ═ tapB ─ br0 (no netfilter) ─ up0 ── remote
 */
import { interleave } from '../src/lab/rounds.js';
import { median } from '../src/lab/stats.js';
import { iperfMissing } from '../src/lab/traffic/iperf.js';
import { startNetferry } from '../src/lab/traffic/netferry.js';
import { Namespaces, type Netns } from '../src/lab/traffic/netns.js';
import { type TrafficResult, tcpThrough } from '../src/lab/traffic/tcp.js';
import type { Reporter } from './report.js';
import { bareLoop } from './rivals/bare-loop.js';
import { type Running, tapsMissing, untilReachable } from './rivals/rival.js';

const GUEST = '10.79.0.1';
const REMOTE = '10.79.0.2';
const MASK = 24;

/** `keep` has what is running, for who is interrupted. */
export async function wire(
  reporter: Reporter,
  options: { repetitions: number; seconds: number; keep(stop: () => Promise<void>): () => void },
): Promise<void> {
  reporter.group('iperf3 TCP between an embedded guest and a machine behind the wire');
  const rivals = [bareLoop({ mode: 'poll', behind: 'bridge' }), bareLoop({ behind: 'bridge' })];
  const reason = iperfMissing() ?? tapsMissing() ?? rivals[0]!.missing();
  if (reason) {
    reporter.skip('guest ⇄ wire', 'Gb/s', reason, '≥ 0.8');
    return;
  }
  const starts: [string, () => Promise<Running>][] = [
    ['netferry, uplink', netferryWire],
    ...rivals.map((rival): [string, () => Promise<Running>] => [rival.name, () => rival.start()]),
  ];
  const variants: Record<string, () => Promise<TrafficResult[]>> = {};
  for (const [name, start] of starts) {
    variants[name] = async () => {
      const running = await start();
      const done = options.keep(() => running.stop());
      try {
        await untilReachable(running);
        await tcpThrough(running, { seconds: 1 });
        const { seconds } = options;
        return [
          await tcpThrough(running, { seconds }),
          await tcpThrough(running, { seconds, reverse: true }),
        ];
      } finally {
        done();
        await running.stop();
      }
    };
  }
  const runs = await interleave(variants, options.repetitions);
  for (const [i, way] of ['guest → wire', 'wire → guest'].entries()) {
    const of = (name: string) => runs[name]!.map((run) => run[i]!);
    for (const [name] of starts) {
      const own = of(name);
      const rates = own.map((run) => run.bitsPerSecond / 1e9);
      const cpu = median(own.map((run) => run.carrierSecondsPerGb));
      const notes = [
        `runs ${rates.map((rate) => rate.toFixed(1)).join(' ')}`,
        `${cpu.toFixed(2)} CPU s a GB`,
      ];
      reporter.figure({
        name: `${way}, ${name}`,
        value: median(rates),
        unit: 'Gb/s',
        repetitions: own.length,
        notes,
      });
    }
    const [[ours], ...others] = starts;
    for (const [rival] of others) {
      const ratios = of(rival).map((theirs, k) => of(ours)[k]!.bitsPerSecond / theirs.bitsPerSecond);
      reporter.figure({
        name: `${way}, netferry ÷ ${rival}`,
        value: median(ratios),
        unit: '×',
        goal: '≥ 0.8',
        repetitions: ratios.length,
      });
    }
  }
}

/** The wire: `up0` in the host's namespace, the remote machine's eth0 in its own. */
async function plug(host: Netns, remote: Netns): Promise<void> {
  await host.ip(`link add up0 type veth peer name eth0 netns ${remote.pid}`, 'link set up0 up');
  await remote.ip(`addr add ${REMOTE}/${MASK} dev eth0`, 'link set eth0 up');
}

async function netferryWire(): Promise<Running> {
  const spaces = await Namespaces.open();
  try {
    const remote = await spaces.add();
    const ours = await startNetferry('persistent', {
      prepare: (hub) => plug(hub, remote),
      up: ['--uplink', 'up0'],
      guests: [['a', '--ip', `${GUEST}/${MASK}`]],
    });
    const stop = async () => {
      await ours.stop();
      await spaces.close();
    };
    return { ...ours, nsB: remote, addressA: GUEST, addressB: REMOTE, stop };
  } catch (error) {
    await spaces.close();
    throw error;
  }
}
