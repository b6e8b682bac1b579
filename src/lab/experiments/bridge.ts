/**
 * The talk's first half: a bridge, as it comes and without netfilter, against direct routing by the hook; and macvlan.
 * The same guests, the same traffic, network namespaces and veth as the wire.
 */
import { SetupError } from '../../sys/errors.js';
import type { Experiment, Findings, LabRun, Series } from '../experiment.js';
import { type Hop, HopYard, type Place } from '../traffic/hops.js';
import { iperfMissing, programMissing } from '../traffic/iperf.js';
import { LoadPair } from '../traffic/load.js';
import { Namespaces } from '../traffic/netns.js';
import { chartsOf, tablesOf } from './bridge_charts.js';
import { goalTable, verdictsOf } from './bridge_goals.js';
import { casesOf, IPERF, STREAM, wireCases } from './bridge_heats.js';
import {
  CONTESTANTS,
  HOOKED_WIRE,
  IPERF_REPETITIONS,
  PLANS,
  type Plan,
  TURN_KINDS,
  WIRE,
} from './bridge_plan.js';

export const bridge: Experiment = {
  name: 'bridge',
  title: 'Bridge and direct routing',
  question:
    'What does a frame cost through a bridge, with and without netfilter, and what by direct routing?',
  talk: 'Direct routing at the bottom of the stack “has better perf. than original bridge”. Without netfilter in the bridge (CONFIG_BRIDGE_NETFILTER) “both approaches have equivalent performance – direct routing in netback slightly better”. No figures.',
  measurements: TURN_KINDS.length + 2,
  pinned: false, // the processes that play the ends choose their CPUs themselves
  missing,
  run,
};

async function missing(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return 'needs root: namespaces, bridges and eBPF programs';
  const program =
    programMissing('ip', 'iproute2') ??
    programMissing('nsenter', 'util-linux') ??
    programMissing('ping', 'iputils-ping');
  if (program !== undefined) return program;
  try {
    const spaces = await Namespaces.open();
    await spaces.add().finally(() => spaces.close());
    return undefined;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return error.message;
  }
}

async function run(lab: LabRun): Promise<Findings> {
  const plan = PLANS[lab.effort];
  const absent: string[] = [];
  const yard = await HopYard.open();
  const load = LoadPair.start(lab.cpus, lab.signal);
  try {
    lab.note('namespaces, bridges, hooks');
    const places = await build(yard, CONTESTANTS[lab.effort], absent, lab.signal);
    const wires = await build(yard, [WIRE, HOOKED_WIRE], absent, lab.signal);
    if (places.size === 0) throw new SetupError(absent[0]);
    const series: Series[] = [];
    for (const kind of TURN_KINDS) {
      lab.note(NOTES[kind]);
      series.push(...(await lab.measure(casesOf(load, places, kind, plan), plan.repetitions)));
    }
    lab.note('the host’s own traffic');
    const wire = await lab.measure(wireCases(load, wires, plan, STREAM, lab.signal), plan.repetitions);
    if (lab.effort === 'full') {
      const problem = iperfMissing();
      if (problem !== undefined) absent.push(`the host’s own iperf3: ${problem}`);
      else
        wire.push(...(await lab.measure(wireCases(load, wires, plan, IPERF, lab.signal), IPERF_REPETITIONS)));
    }
    return {
      charts: chartsOf(series),
      tables: [goalTable(series, wire), ...tablesOf(series)],
      verdicts: verdictsOf(series),
      method: methodOf(plan, lab, load.repeated),
      missing: absent,
    };
  } finally {
    await load.close();
    await yard.close();
  }
}

/** Those that this machine can have; why it cannot have the others goes to `absent`. */
async function build(
  yard: HopYard,
  hops: readonly Hop[],
  absent: string[],
  signal: AbortSignal,
): Promise<Map<Hop, Place>> {
  const built = await Promise.allSettled(hops.map((hop) => yard.build(hop)));
  signal.throwIfAborted();
  const places = new Map<Hop, Place>();
  for (const [i, outcome] of built.entries()) {
    if (outcome.status === 'fulfilled') places.set(hops[i], outcome.value);
    else if (outcome.reason instanceof SetupError) absent.push(`${hops[i]}: ${outcome.reason.message}`);
    else throw outcome.reason;
  }
  return places;
}

const NOTES = {
  frames: '64-byte frames',
  streams: 'one TCP stream',
  eight: 'eight TCP streams',
  trips: 'requests and responses',
} as const;

function methodOf({ ms, repetitions }: Plan, { cpus, effort }: LabRun, repeated: number): string[] {
  const [first, last] = [cpus[0] ?? 0, cpus.at(-1) ?? 0];
  const method = [
    `Guests, the host and the machine behind its wire are network namespaces, joined by veth. One process on CPU ${first} sends or asks, one on CPU ${last} receives or answers; both make their sockets in whichever namespaces a turn is between, so all contestants meet the same two processes. The kernel carries a frame through veths in its sender’s own time.`,
    `Turns: ${ms.frames} ms of 64-byte frames (UDP, sendmmsg and recvmmsg, 64 a call; what arrived is counted), ${ms.streams} ms of one TCP stream, ${ms.eight} ms of eight (cubic from the first segment, 128 KiB a call, TSO and GRO as veth has them), ${ms.trips} ms of a 64-byte datagram there and back. Some milliseconds before each are not counted. ${repetitions} rounds; in each, all contestants of a path follow one another at once, in changing order. Ratios are of figures of the same round, so a slow moment of a shared machine meets both. ${repeated} turns were made again, since nothing at all had arrived.`,
    'CPU is the whole machine’s: what its CPUs were not idle for (/proc/stat: elapsed time of all CPUs less idle, iowait and steal), senders and receivers included, for a frame or 10⁹ bytes that arrived. It counts in hundredths of a second, so a single turn is off by up to one of these either way. The sender’s own process is exact (getrusage), and it holds the hop.',
    'Bridge, netfilter on: nf_call_iptables of this bridge, and one nft rule (ip filter forward, source network, counter, accept); no connection tracking. Off: nothing of netfilter. The network namespaces are the experiment’s own; nothing of the host’s is changed.',
    'Macvlan: bridge mode on the uplink. Its guests cannot reach the host, nor the host them.',
    'Hook: as Netferry attaches it. Frames for a guest, and unicast for the wire, arrive at the other end of the veth at once (bpf_redirect_peer), since there is nothing on the way that would miss them.',
  ];
  if (effort === 'quick')
    return [
      ...method,
      'Given up for a quick run: the ways back (wire → guest, host → guest), eight streams elsewhere than to the wire, iperf3, and the rows plain redirect, clsact, through the uplink and direct.',
    ];
  return [
    ...method,
    'Through the uplink (--through-uplink): frames for the wire leave by the uplink’s veth; so they do by any other kind of uplink, a NIC for one, which has no other end to skip to. Plain redirect: through the guest’s veth as well. Clsact: as before Linux 6.6. Direct: one veth between the two, no hop at all; what is left is the ends’ own work.',
  ];
}
