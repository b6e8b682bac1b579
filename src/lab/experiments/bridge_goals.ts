/** What the figures of the experiment `bridge` are held against: the project's goals, and the talk's slide. */
import type { Point, Series, Table, Verdict } from '../experiment.js';
import { judge, type Ratio, shown, together } from '../intervals.js';
import { JUDGE_FROM } from '../stats.js';
import type { Hop } from '../traffic/hops.js';
import { withEnds } from './bridge_charts.js';
import { IPERF, STREAM } from './bridge_heats.js';
import {
  BRIDGE,
  FIGURES,
  type Figure,
  FROM_WIRE,
  GUESTS,
  HOOK,
  HOOKED_WIRE,
  HOST_TO_WIRE,
  NETFILTER,
  over,
  THROUGH,
  TO_WIRE,
  variantOf,
  WIRE,
} from './bridge_plan.js';

/** A goal for the hook's figure ÷ the rival's. */
interface Goal {
  readonly text: string;
  readonly figure: Figure;
  /** The rival's figure ÷ the hook's instead. */
  readonly inverse?: boolean;
  readonly rival: Hop;
  readonly bound: number;
  readonly wanted: 'above' | 'below';
}

/** Of a machine that others take the CPUs of at times, the sender's own CPU says more than the clock. */
const PER_CPU = 'frames for a second of the sender’s CPU';
const GOALS: readonly Goal[] = [
  { text: 'frames ≥ 1.15 ×', figure: 'frames', rival: BRIDGE, bound: 1.15, wanted: 'above' },
  { text: 'frames ≥ 1.4 ×', figure: 'frames', rival: NETFILTER, bound: 1.4, wanted: 'above' },
  {
    text: `${PER_CPU} ≥ 1.15 ×`,
    figure: 'senderCpu',
    inverse: true,
    rival: BRIDGE,
    bound: 1.15,
    wanted: 'above',
  },
  {
    text: `${PER_CPU} ≥ 1.4 ×`,
    figure: 'senderCpu',
    inverse: true,
    rival: NETFILTER,
    bound: 1.4,
    wanted: 'above',
  },
  { text: 'CPU per frame lower', figure: 'frameCpu', rival: BRIDGE, bound: 1, wanted: 'below' },
  { text: 'CPU per frame lower', figure: 'frameCpu', rival: NETFILTER, bound: 1, wanted: 'below' },
  { text: 'one TCP stream ≥', figure: 'tcp', rival: BRIDGE, bound: 1, wanted: 'above' },
  { text: 'eight TCP streams ≥', figure: 'tcp8', rival: BRIDGE, bound: 1, wanted: 'above' },
];
/** Of the host's own stream with the hook attached and no guests, against without. */
const HOST_GOAL = 0.97;

type PairedRatio = Ratio & { readonly samples: number };

/** Of one contestant, or one over another; undefined where it was not measured. */
function pointAt(series: readonly Series[], what: string, figure: Figure, x: string): Point | undefined {
  const curves = series.filter(({ variant }) => variant === variantOf(what, figure));
  return curves.flatMap(({ points }) => points).find((point) => point.x === x);
}

/** `ours` ÷ `rival`, of figures of the same round. */
function against(
  series: readonly Series[],
  figure: Figure,
  ours: Hop,
  rival: Hop,
  x: string,
): PairedRatio | undefined {
  const point = pointAt(series, over(ours, rival), figure, x);
  if (!point) return undefined;
  const { median: value, low, high, wide, samples } = point;
  return { value, low, high, wide, samples };
}

function inverted(ratio: PairedRatio): PairedRatio {
  return { ...ratio, value: 1 / ratio.value, low: 1 / ratio.high, high: 1 / ratio.low };
}

/**
 * `unclear`: the ratio's interval holds the bound, or a run cut short left too few rounds for an interval. A wide
 * interval that lies on one side of the bound is enough here; a verdict asks for more (WIDE in stats.ts).
 */
export function standing(
  ratio: PairedRatio,
  bound: number,
  wanted: 'above' | 'below',
): 'met' | 'missed' | 'unclear' {
  const side = judge({ ...ratio, wide: ratio.samples < JUDGE_FROM }, bound);
  return side === 'unclear' ? side : side === wanted ? 'met' : 'missed';
}

/** The goals of the issue, from this run. `wire`: the host's own stream. */
export function goalTable(series: readonly Series[], wire: readonly Series[]): Table {
  const rows: string[][] = [];
  for (const path of [GUESTS, TO_WIRE, FROM_WIRE] as const) {
    for (const ours of [HOOK, THROUGH] as const) {
      for (const { text, figure, inverse, rival, bound, wanted } of GOALS) {
        const found = against(series, figure, ours, rival, path);
        if (!found) continue;
        const ratio = inverse ? inverted(found) : found;
        rows.push([text, rival, path, ours, withEnds(ratio), standing(ratio, bound, wanted)]);
      }
    }
  }
  for (const x of [STREAM, IPERF]) {
    const ratio = against(wire, 'tcp', HOOKED_WIRE, WIRE, x);
    if (!ratio) continue;
    const rates = [HOOKED_WIRE, WIRE].map((hop) => shown(pointAt(wire, hop, 'tcp', x)?.median ?? Number.NaN));
    const between = `${HOST_TO_WIRE}, ${x}: ${rates.join(' and ')} Gb/s`;
    const result = standing(ratio, HOST_GOAL, 'above');
    const goal = `the host’s own TCP ≥ ${HOST_GOAL} ×`;
    rows.push([goal, 'no hook', between, 'hook, no guests', withEnds(ratio), result]);
  }
  const columns = ['goal', 'of', 'between', 'by', 'ratio (at least … at most)', 'this run'];
  return { title: 'Goals', columns, rows };
}

/** Figures that the slide's word "performance" may mean. */
const CLAIMS = ['frames', 'senderCpu', 'tcp'] as const satisfies readonly Figure[];
const LOWER_IS_BETTER: readonly Figure[] = ['frameCpu', 'senderCpu', 'tcpCpu', 'tcp8Cpu', 'p50', 'p99'];

/** The slide's two claims: clearly better than the bridge as it comes, slightly better than one without netfilter. */
export function verdictsOf(series: readonly Series[]): Verdict[] {
  return ([NETFILTER, BRIDGE] as const).flatMap((rival) => {
    const verdicts = CLAIMS.flatMap((figure) => claim(series, figure, rival) ?? []);
    if (verdicts.length > 0) return verdicts;
    return [
      { agrees: 'not comparable', sentence: `Hook and ${rival}: not both were measured here.` } as const,
    ];
  });
}

function claim(series: readonly Series[], figure: Figure, rival: Hop): Verdict | undefined {
  const lower = LOWER_IS_BETTER.includes(figure);
  const parts = [GUESTS, TO_WIRE].flatMap((path) => {
    const ratio = against(series, figure, HOOK, rival, path);
    return ratio ? [{ path, ratio, side: judge(ratio, 1) }] : [];
  });
  if (parts.length === 0) return undefined;
  const agrees = together(
    parts.map(({ side }) => {
      if (side === 'unclear') return 'unclear';
      return (side === 'below') === lower ? 'agrees' : 'differs';
    }),
  );
  const figures = parts.map(({ path, ratio }) => `${path} ${withEnds(ratio)} times`).join(', ');
  return { agrees, sentence: `${WORDS[agrees]} ${rival}. ${FIGURES[figure].title}: ${figures}.` };
}

const WORDS = {
  agrees: 'Direct routing is better than',
  differs: 'Direct routing is not better everywhere than',
  unclear: 'An interval is too wide, or holds 1, to tell direct routing everywhere from',
  'not comparable': 'Nothing to compare direct routing with',
} as const;
