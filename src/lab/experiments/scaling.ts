/**
 * What a frame costs when there are many vifs: all of them busy, and all but two of them silent. A guest's frame goes
 * by a table to its receiver, so the number of others should not matter; how much memory they all use does, to the CPU's
 * caches. Two vifs that use as much tell the one from the other.
 */
import { BURST } from '../../../assembly/layout.js';
import { SetupError } from '../../sys/errors.js';
import type { TransferName } from '../../transfer/transfer.js';
import type {
  Case,
  Chart,
  Experiment,
  Findings,
  LabRun,
  Point,
  Series,
  Table,
  Verdict,
} from '../experiment.js';
import { judge, type Ratio, ratioOf, shown, whyUnclear, withInterval } from '../intervals.js';
import { Crowd } from '../machine/crowd.js';
import { PAGES_IN_TURN } from '../machine/ring_pair.js';

const VIFS = [2, 8, 32, 128] as const;
const LENGTHS = [64, 1500] as const;
const TRANSFERS = ['persistent', 'grant-copy'] as const satisfies readonly TransferName[];
/** The issue's goal: a frame at the most vifs costs at most this much of one at the fewest. */
const GOAL = 1.25;

const BUSY = 'all pairs busy';
const ALONE = 'one pair busy, the others silent';
const FEW_PAGES = 64;
const FEW = `all pairs busy, ${FEW_PAGES} pages a guest`;
const COPY = 'plain copy of the same pages, all pairs';
const ONE = 'one pair with the pages of all';
const named = (transfer: TransferName, curve: string) => `${transfer}, ${curve}`;

export const scaling: Experiment = {
  name: 'scaling',
  title: 'Many guests',
  question: 'Does a frame cost more when there are more vifs?',
  talk: 'Nothing in figures. It replaces the bridge by a look-up, “directly to the right destination based on MAC address”: the others should not matter. The goal here: at 128 vifs at most 1.25 times the cost at 2.',
  measurements: TRANSFERS.length * LENGTHS.length,
  missing: () => undefined,
  run,
};

async function run(lab: LabRun): Promise<Findings> {
  const missing: string[] = [];
  const series = new Map<number, Series[]>(LENGTHS.map((length) => [length, []]));
  for (const transfer of TRANSFERS) {
    const crowds: Placed[] = [];
    try {
      for (const vifs of VIFS) {
        lab.note(`${vifs} guests, ${transfer}`);
        // Few pages are looked at with the one transfer only: what they show is the memory's.
        const sizes = transfer === 'persistent' ? [PAGES_IN_TURN, FEW_PAGES] : [PAGES_IN_TURN];
        const wanted = sizes.map((pages) => ({ vifs, pages, x: vifs }));
        if (vifs > 2) wanted.push({ vifs: 2, pages: (vifs / 2) * PAGES_IN_TURN, x: vifs });
        for (const { vifs, pages, x } of wanted) {
          const crowd = crowdOf(transfer, vifs, pages);
          if (typeof crowd === 'string') missing.push(crowd);
          else crowds.push({ crowd, x });
        }
      }
      for (const length of LENGTHS) {
        lab.note(`${transfer}, ${length} bytes`);
        const cases = crowds.flatMap((placed) => casesOf(lab, placed, transfer, length));
        series.get(length)?.push(...(await lab.measure(cases)));
      }
    } finally {
      for (const { crowd } of crowds) crowd.close();
    }
  }
  const charts = LENGTHS.map((length) => chartOf(length, series.get(length) ?? []));
  return {
    charts,
    tables: charts.map((chart, i) => growth(LENGTHS[i], chart.series)),
    verdicts: charts.flatMap((chart, i) => verdictsOf(LENGTHS[i], chart.series)),
    method: METHOD,
    missing,
  };
}

/** A crowd, and the number of vifs whose point on the axis it belongs to. */
interface Placed {
  readonly crowd: Crowd;
  readonly x: number;
}

/** A crowd, or why there can be none here (address space, mappings, memory). */
function crowdOf(transfer: TransferName, vifs: number, pages: number): Crowd | string {
  try {
    return new Crowd(transfer, vifs, Math.max(...LENGTHS), { pages });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return `${vifs} vifs of ${pages} pages with ${transfer}: ${error.message}`;
  }
}

function casesOf(lab: LabRun, { crowd, x }: Placed, transfer: TransferName, length: number): Case[] {
  const frames = (transfer === 'persistent' ? 60_000 : 10_000) * (lab.effort === 'quick' ? 1 : 2);
  const kind = { length };
  const rounds = (busy: number) => Math.max(2, Math.round(frames / (busy * BURST)));
  const all = crowd.pairs.length;
  const sample = (busy: number) => () => crowd.sample(kind, BURST, busy, rounds(busy));
  if (crowd.pages === FEW_PAGES) return [{ variant: named(transfer, FEW), x, sample: sample(all) }];
  if (crowd.pages > PAGES_IN_TURN) return [{ variant: named(transfer, ONE), x, sample: sample(all) }];
  const cases = [
    { variant: named(transfer, BUSY), x, sample: sample(all) },
    { variant: named(transfer, ALONE), x, sample: sample(1) },
  ];
  if (x === 2) cases.push({ variant: named(transfer, ONE), x, sample: sample(1) });
  // The pages are the same ones with either transfer.
  if (transfer === 'persistent')
    cases.push({ variant: COPY, x, sample: () => crowd.copy(kind, BURST, all, rounds(all)) });
  return cases;
}

function chartOf(length: number, series: readonly Series[]): Chart {
  return {
    title: `${length} bytes: cost of a frame, by the number of vifs`,
    x: { label: 'vifs attached', unit: '', scale: 'log' },
    y: { label: 'the back end’s cost', unit: 'ns per frame', scale: 'log' },
    series,
  };
}

function growth(length: number, series: readonly Series[]): Table {
  const at = (variant: string, x: number) =>
    series.find((s) => s.variant === variant)?.points.find((p) => p.x === x);
  const rows = series.map(({ variant, points }) => [
    variant,
    ...VIFS.map((n) => {
      const point = points.find((p) => p.x === n);
      return point ? Number(point.median.toPrecision(3)) : '–';
    }),
    points.length > 1 ? shown(ratioOf(points[points.length - 1], points[0]).value) : '–',
  ]);
  const ratios = TRANSFERS.map((transfer) => [
    `${named(transfer, BUSY)} ÷ ${ONE}`,
    ...VIFS.map((n) => {
      const [many, one] = [at(named(transfer, BUSY), n), at(named(transfer, ONE), n)];
      return many && one ? shown(ratioOf(many, one).value) : '–';
    }),
    '',
  ]);
  return {
    title: `${length} bytes: ns per frame`,
    columns: ['curve', ...VIFS.map((n) => `${n} vifs`), 'most ÷ fewest'],
    rows: [...rows, ...ratios],
  };
}

function verdictsOf(length: number, series: readonly Series[]): Verdict[] {
  const of = (transfer: TransferName, curve: string) =>
    series.find((s) => s.variant === named(transfer, curve))?.points ?? [];
  return TRANSFERS.flatMap((transfer) => {
    const grows = [BUSY, FEW, ALONE].flatMap((curve): Verdict[] => {
      const points = of(transfer, curve);
      const [first, last] = [points[0], points[points.length - 1]];
      if (!first || first === last) return [];
      const memory = curve === BUSY ? memorysPart(series, first, last) : '';
      const what = `${transfer}, ${length} bytes, ${curve}: a frame at ${last.x} vifs costs`;
      return [against(ratioOf(last, first), what, `one at ${first.x}`, last, first, memory)];
    });
    const many = of(transfer, BUSY).at(-1);
    const one = of(transfer, ONE).find((point) => point.x === many?.x);
    if (!many || !one) return grows;
    const what = `${transfer}, ${length} bytes, by their number alone: a frame at ${many.x} busy vifs costs`;
    const as = 'one at 2 that use as many pages in turn as they all do';
    return [...grows, against(ratioOf(many, one), what, as, many, one)];
  });
}

/** The goal, for one ratio: `what` costs so many times `as`. */
function against(ratio: Ratio, what: string, as: string, more: Point, less: Point, memory = ''): Verdict {
  const figures = `${what} ${withInterval(ratio)} times ${as}, ${shown(more.median)} against ${shown(less.median)} ns${memory}`;
  const side = judge(ratio, GOAL);
  if (side === 'unclear')
    return { agrees: 'unclear', sentence: `${figures}. ${whyUnclear(ratio, `the goal of ${GOAL}`)}.` };
  return side === 'below'
    ? { agrees: 'agrees', sentence: `${figures}: within the goal of ${GOAL}.` }
    : { agrees: 'differs', sentence: `${figures}: more than the goal of ${GOAL}.` };
}

/** What of a rise is the memory's: how the plain copy of the same pages grows, against what the goal leaves room for. */
function memorysPart(series: readonly Series[], first: Point, last: Point): string {
  const copies = series.find((s) => s.variant === COPY)?.points ?? [];
  const [few, many] = [first, last].map(({ x }) => copies.find((point) => point.x === x));
  if (!few || !many) return '';
  const rise = many.median - few.median;
  const room = (GOAL - 1) * first.median;
  const grows = `; the plain copy of the same pages grows ${shown(ratioOf(many, few).value)} times, by ${shown(rise)} ns`;
  return rise > room ? `${grows}, where the goal leaves ${shown(room)} ns for everything` : grows;
}

const METHOD = [
  'All guests and the back end in one process and one arena, frames through real rings, grants and copies, in pairs: guest 2k sends to guest 2k + 1. A load generator plays the front ends between the rounds; only the back end’s rounds are timed, all on one thread.',
  `All pairs busy: each sender queues ${BURST} frames a round, so every vif carries as much as every other, whatever their number. One pair busy: the same from one sender while all others are attached and silent.`,
  `Each guest sends from, or receives into, a ring’s worth of pages (${PAGES_IN_TURN}) in turn: 128 guests use 128 MiB of pages, more than the CPU’s caches hold. Three curves show what of a rise is the memory’s: the plain copy of as many bytes between the same guests’ pages; guests that use ${FEW_PAGES} pages again and again; and one pair of guests whose front ends use as many pages in turn as all guests of the larger crowd together (“${ONE}”). What all busy vifs cost more than that one is what their number costs: their rings, their state, a turn for each of them.`,
  'Each sample begins with one turn through its pages that is not timed. Page-aligned lines share one in 64 of a cache’s sets, so even 64-byte frames leave the inner caches at a few hundred pages.',
  'Ports that are quiet are parked as a datapath thread parks them, and wake-ups are handed to the engine when the back end asked for them; the event channels themselves (an eventfd written and waited for) are not part of the figure.',
];
