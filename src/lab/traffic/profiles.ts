/** Carriers of one TCP stream that can be looked into while they carry it. */
import { rmSync } from 'node:fs';
import { SetupError } from '../../sys/errors.js';
import type { LabRun } from '../experiment.js';
import { type RunningBridge, startBridge } from './bridge.js';
import { type Component, inBridgeHop, tally } from './components.js';
import { iperf } from './iperf.js';
import { type RunningNetferry, startNetferry } from './netferry.js';
import { processesIn } from './netns.js';
import { sample } from './perf.js';
import { type Running, untilReachable } from './running.js';
import type { Stack } from './stacks.js';

export const FROM_HOST = 'netferry, host → guest';
export const GUESTS = 'netferry, guest → guest';
export const BRIDGE = 'Linux bridge, veth → veth';
export type StageName = typeof FROM_HOST | typeof GUESTS | typeof BRIDGE;

/** What was seen of a carrier so far. */
export interface Profile {
  readonly name: StageName;
  readonly samples: Map<Component, number>;
  /** 10⁹ bytes of payload, and seconds, while samples were taken. */
  gigabytes: number;
  seconds: number;
}

export interface ProfileStage {
  readonly profile: Profile;
  /** One stream, and samples for `seconds` in the midst of it, added to the profile. */
  record(seconds: number): Promise<void>;
}

export interface Stages {
  readonly running: readonly ProfileStage[];
  readonly missing: readonly string[];
  /** Of the bridge; undefined when there is none. */
  readonly netfilter: boolean | undefined;
  close(): Promise<void>;
}

/** ms of a stream before it is looked at, and s behind. */
const LEAD = 500;
const TAIL = 0.3;

/** Brings carriers up. Throws SetupError when netferry itself cannot be; a bridge that cannot is `missing`. */
export async function openStages(names: readonly StageName[], lab: LabRun): Promise<Stages> {
  const { signal } = lab;
  lab.note('a daemon, two guests and a bridge');
  let netferry: RunningNetferry | undefined;
  let bridge: RunningBridge | undefined;
  const missing: string[] = [];
  const close = async () => {
    await netferry?.stop();
    await bridge?.stop();
    if (netferry) rmSync(`/tmp/perf-${netferry.daemon}.map`, { force: true }); // V8 wrote it, perf read it
  };
  try {
    netferry = await startNetferry('persistent', { node: ['--perf-basic-prof'], signal });
    await untilReachable(netferry, signal);
    if (names.includes(BRIDGE)) {
      try {
        bridge = await startBridge(signal);
        await untilReachable(bridge, signal);
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        missing.push(`the bridge’s table: ${error.message}`);
        await bridge?.stop();
        bridge = undefined;
      }
    }
    const { daemon, hub } = netferry;
    const ours = netferry;
    const running = names.flatMap((name): ProfileStage[] => {
      if (name === BRIDGE) return bridge ? [stageOf(name, bridge, undefined, signal)] : [];
      const ends = name === FROM_HOST ? { ...ours, nsA: hub } : ours;
      return [stageOf(name, ends, daemon, signal)];
    });
    return { running, missing, netfilter: bridge?.netfilter, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** `pid`: all samples of this process; undefined: those of the whole machine that were taken between the two ends. */
function stageOf(
  name: StageName,
  ends: Pick<Running, 'nsA' | 'nsB' | 'addressB'>,
  pid: number | undefined,
  signal: AbortSignal,
): ProfileStage {
  const profile: Profile = { name, samples: new Map(), gigabytes: 0, seconds: 0 };
  const record = async (seconds: number) => {
    const { nsA: client, nsB: server, addressB: address } = ends;
    const length = Math.ceil(LEAD / 1000 + seconds + TAIL);
    const stream = iperf({ server, client, address, seconds: length, signal });
    stream.catch(() => {}); // awaited below, once perf has done
    await new Promise((resolve) => setTimeout(resolve, LEAD));
    const own = new Set([client, server].flatMap(processesIn));
    const stacks = await sample(seconds, pid, signal);
    const { bitsPerSecond } = await stream;
    for (const [component, n] of tally(stacks.filter((stack) => pid !== undefined || between(stack, own))))
      profile.samples.set(component, (profile.samples.get(component) ?? 0) + n);
    profile.gigabytes += (bitsPerSecond / 8e9) * seconds;
    profile.seconds += seconds;
  };
  return { profile, record };
}

/** Softirqs run in the time of whoever was there, or of the kernel's own threads; other traffic is not ours to count. */
function between({ comm, pid, frames }: Stack, own: ReadonlySet<number>): boolean {
  return (own.has(pid) || /^(ksoftirqd|swapper)/.test(comm)) && inBridgeHop(frames);
}
