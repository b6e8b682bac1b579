/**
 * The cases of the experiment `bridge`. A heat is one path, one kind of traffic: all contestants have their turn, one
 * right after the other, in an order that changes from heat to heat. A shared machine has slow moments; within a heat
 * all contestants meet the same ones, so each heat also yields what the hook's figure is over each rival's.
 */
import type { Case } from '../experiment.js';
import { DEFAULT_SEED, rounds } from '../rounds.js';
import type { Hop, Place } from '../traffic/hops.js';
import { iperf } from '../traffic/iperf.js';
import type { LoadPair, Route } from '../traffic/load.js';
import { sharedSlowRun } from '../turns.js';
import {
  BRIDGE,
  type Figure,
  HOOK,
  HOOKED_WIRE,
  HOST_TO_WIRE,
  NETFILTER,
  over,
  type Path,
  type Plan,
  routeOf,
  THROUGH,
  TO_WIRE,
  type TurnKind,
  variantOf,
  WIRE,
} from './bridge_plan.js';

type Figures = Partial<Readonly<Record<Figure, number>>>;
interface Contestant {
  readonly hop: Hop;
  turn(): Promise<Figures>;
}

/** Which figures a turn of each kind has. */
const FIGURES_OF: Readonly<Record<TurnKind, readonly Figure[]>> = {
  frames: ['frames', 'frameCpu', 'senderCpu'],
  streams: ['tcp', 'tcpCpu'],
  eight: ['tcp8', 'tcp8Cpu'],
  trips: ['p50', 'p99'],
};
/** Whose ratios are taken. */
const OURS = [HOOK, THROUGH, HOOKED_WIRE] as const;
const RIVALS = [NETFILTER, BRIDGE, WIRE] as const;

/** All cases of one kind of turn: figures by contestant, ratios by pair; x is the path. */
export function casesOf(load: LoadPair, places: ReadonlyMap<Hop, Place>, kind: TurnKind, plan: Plan): Case[] {
  return plan.paths[kind].flatMap((path) => {
    const contestants = [...places].flatMap(([hop, place]): Contestant[] => {
      const route = routeOf(place, path);
      const turn = () => take(load, route as Route, kind, plan.ms[kind]);
      return route && isNews(hop, path) ? [{ hop, turn }] : [];
    });
    return heat(contestants, FIGURES_OF[kind], path);
  });
}

/** Whether this contestant differs from `hook` on this path at all. */
function isNews(hop: Hop, path: Path): boolean {
  return hop !== THROUGH || path === TO_WIRE;
}

async function take(load: LoadPair, route: Route, kind: TurnKind, ms: number): Promise<Figures> {
  switch (kind) {
    case 'frames': {
      const { rate, cpu, senderCpu } = await load.frames(route, ms);
      return { frames: rate / 1e6, frameCpu: cpu * 1e6, senderCpu: senderCpu * 1e9 };
    }
    case 'streams': {
      const { bitsPerSecond, cpu } = await load.streams(route, ms, 1);
      return { tcp: bitsPerSecond / 1e9, tcpCpu: cpu };
    }
    case 'eight': {
      const { bitsPerSecond, cpu } = await load.streams(route, ms, 8);
      return { tcp8: bitsPerSecond / 1e9, tcp8Cpu: cpu };
    }
    case 'trips':
      return await load.roundTrips(route, ms);
  }
}

/** The cases of one heat, in which all contestants run once each time. */
export function heat(contestants: readonly Contestant[], figures: readonly Figure[], x: string): Case[] {
  const order = rounds(contestants.length, DEFAULT_SEED);
  const pairs = contestants.flatMap(({ hop: ours }) =>
    contestants.flatMap(({ hop: rival }) =>
      OURS.some((one) => one === ours) && RIVALS.some((one) => one === rival) ? [{ ours, rival }] : [],
    ),
  );
  const take = sharedSlowRun<string>(async () => {
    const found = new Map<Hop, Figures>();
    for (const turn of order.next().value) {
      const { hop, turn: run } = contestants[turn];
      found.set(hop, await run());
    }
    const values = new Map<string, number>();
    for (const figure of figures) {
      const of = (hop: Hop) => found.get(hop)?.[figure] ?? Number.NaN;
      for (const { hop } of contestants) values.set(variantOf(hop, figure), of(hop));
      for (const { ours, rival } of pairs)
        values.set(variantOf(over(ours, rival), figure), of(ours) / of(rival));
    }
    return values;
  });
  const names = [...contestants.map(({ hop }) => hop), ...pairs.map(({ ours, rival }) => over(ours, rival))];
  return names.flatMap((name) =>
    figures.map((figure) => {
      const variant = variantOf(name, figure);
      return { variant, x, sample: take(variant) };
    }),
  );
}

export const STREAM = 'a stream in short turns';
export const IPERF = 'iperf3';
const IPERF_BYTES = 2e9;

/** The host's own stream to the wire, with the hook attached and no guests, and without. */
export function wireCases(
  load: LoadPair,
  places: ReadonlyMap<Hop, Place>,
  plan: Plan,
  by: typeof STREAM | typeof IPERF,
  signal: AbortSignal,
): Case[] {
  const contestants = [...places].flatMap(([hop, place]): Contestant[] => {
    const route = routeOf(place, HOST_TO_WIRE);
    if (!route) return [];
    const { from, to } = route;
    const byIperf = () =>
      iperf({ client: from.ns, server: to.ns, address: to.address, bytes: IPERF_BYTES, signal });
    const run = by === IPERF ? byIperf : () => load.streams(route, plan.ms.streams, 1);
    return [{ hop, turn: async () => ({ tcp: (await run()).bitsPerSecond / 1e9 }) }];
  });
  return heat(contestants, ['tcp'], by);
}
