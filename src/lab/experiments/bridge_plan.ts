/** What the experiment `bridge` measures: figures, paths, and which turns of traffic a run has time for. */
import type { Effort } from '../experiment.js';
import { HOPS, type Hop, type Name, type Place } from '../traffic/hops.js';
import type { Route } from '../traffic/load.js';

export const NETFILTER = 'bridge, netfilter on' satisfies Hop;
export const BRIDGE = 'bridge, netfilter off' satisfies Hop;
export const HOOK = 'hook' satisfies Hop;
export const THROUGH = 'hook, through the uplink' satisfies Hop;
export const WIRE = 'wire' satisfies Hop;
export const HOOKED_WIRE = 'hooked wire' satisfies Hop;

/** Contestants of a run, in the order of the tables. */
export const CONTESTANTS: Readonly<Record<Effort, readonly Hop[]>> = {
  quick: [NETFILTER, BRIDGE, 'macvlan', HOOK],
  full: [NETFILTER, BRIDGE, 'macvlan', HOOK, THROUGH, 'hook, plain redirect', 'hook, clsact', 'direct'],
};

export const GUESTS = 'guest → guest';
export const TO_WIRE = 'guest → wire';
export const FROM_WIRE = 'wire → guest';
export const TO_HOST = 'guest → host';
export const FROM_HOST = 'host → guest';
export const HOST_TO_WIRE = 'host → wire';
export type Path = typeof GUESTS | typeof TO_WIRE | typeof FROM_WIRE | typeof TO_HOST | typeof FROM_HOST;
const ENDS: Readonly<Record<Path | typeof HOST_TO_WIRE, readonly [from: Name, to: Name]>> = {
  [GUESTS]: ['a', 'b'],
  [TO_WIRE]: ['a', 'remote'],
  [FROM_WIRE]: ['remote', 'a'],
  [TO_HOST]: ['a', 'host'],
  [FROM_HOST]: ['host', 'a'],
  [HOST_TO_WIRE]: ['host', 'remote'],
};
const ONE_WAY = [GUESTS, TO_WIRE, TO_HOST] as const;
export const BOTH_WAYS = [GUESTS, TO_WIRE, FROM_WIRE, TO_HOST, FROM_HOST] as const;

/** What is charted; units as in the lab's charts. */
export const FIGURES = {
  frames: { title: '64-byte frames that arrive', label: 'frames', unit: 'million a second' },
  frameCpu: { title: 'CPU of a 64-byte frame', label: 'the whole machine’s CPU', unit: 'µs per frame' },
  senderCpu: { title: 'CPU of a 64-byte frame, the sender’s process', label: 'CPU', unit: 'ns per frame' },
  tcp: { title: 'TCP, one stream', label: 'payload', unit: 'Gb/s' },
  tcpCpu: { title: 'TCP, one stream: CPU', label: 'the whole machine’s CPU', unit: 's per GB' },
  tcp8: { title: 'TCP, eight streams', label: 'payload', unit: 'Gb/s' },
  tcp8Cpu: { title: 'TCP, eight streams: CPU', label: 'the whole machine’s CPU', unit: 's per GB' },
  p50: { title: 'Request and response: median', label: 'there and back', unit: 'µs' },
  p99: { title: 'Request and response: 99th percentile', label: 'there and back', unit: 'µs' },
} as const;
export type Figure = keyof typeof FIGURES;

export type TurnKind = 'frames' | 'streams' | 'eight' | 'trips';
export const TURN_KINDS: readonly TurnKind[] = ['frames', 'streams', 'eight', 'trips'];

export interface Plan {
  readonly repetitions: number;
  /** Milliseconds that are counted of a turn. */
  readonly ms: Readonly<Record<TurnKind, number>>;
  readonly paths: Readonly<Record<TurnKind, readonly Path[]>>;
}

export const PLANS: Readonly<Record<Effort, Plan>> = {
  quick: {
    repetitions: 11,
    ms: { frames: 25, streams: 20, eight: 20, trips: 10 },
    paths: { frames: ONE_WAY, streams: ONE_WAY, eight: [TO_WIRE], trips: ONE_WAY },
  },
  full: {
    repetitions: 25,
    ms: { frames: 40, streams: 25, eight: 25, trips: 15 },
    paths: { frames: BOTH_WAYS, streams: ONE_WAY, eight: ONE_WAY, trips: ONE_WAY },
  },
};
/** iperf3 takes its time to start. */
export const IPERF_REPETITIONS = 11;

const BETWEEN = ' | ';
const OVER = ' ÷ ';

/** A case's curve: a contestant, or one over another, and the figure. */
export function variantOf(what: string, figure: Figure): string {
  return what + BETWEEN + figure;
}

/** `ours` over `rival` in the same round. */
export function over(ours: Hop, rival: Hop): string {
  return ours + OVER + rival;
}

/** `hop` is undefined of one over another. */
export function partsOf(variant: string): { hop: Hop | undefined; figure: Figure } {
  const [what, figure] = variant.split(BETWEEN);
  return { hop: HOPS.find((hop) => hop === what), figure: figure as Figure };
}

/** A path's ends there; undefined where they cannot reach each other. */
export function routeOf(place: Place, path: keyof typeof ENDS): Route | undefined {
  const [from, to] = ENDS[path].map((name) => place[name]);
  return from && to ? { from, to } : undefined;
}
