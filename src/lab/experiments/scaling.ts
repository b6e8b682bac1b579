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
import { Crowd, type CrowdOptions } from '../machine/crowd.js';
import { PAGES_IN_TURN } from '../machine/ring_pair.js';

const VIFS = [2, 8, 32, 128] as const;
const LENGTHS = [64, 1500] as const;
const TRANSFERS = ['persistent', 'grant-copy'] as const satisfies readonly TransferName[];
/** The issue's goal: a frame at the most vifs costs at most this much of one at the fewest. */
const GOAL = 1.25;

const FEW_PAGES = 64;
const BUSY = 'all pairs busy';
const MIXED = 'mixed traffic';
const ALONE = 'one pair busy, the others silent';
const FEW = `all pairs busy, ${FEW_PAGES} pages a guest`;
const ORDER = 'all pairs busy, pages in order';
const COPY = 'plain copy of the same pages, all pairs';
const ONE = 'one pair with the pages of all';
const MIXED_ONE = `mixed traffic of ${ONE}`;
/** Each case that grows with the number of vifs, and what as much memory costs without their number. */
const CURVES = [
  { curve: BUSY, control: ONE },
  { curve: MIXED, control: MIXED_ONE },
  { curve: FEW },
  { curve: ORDER },
  { curve: ALONE },
] as const;
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
        for (const options of crowdsOf(transfer, vifs)) {
          const crowd = crowdOf(transfer, options.all ? 2 : vifs, options);
          if (typeof crowd === 'string') missing.push(crowd);
          else crowds.push({ crowd, x: vifs, ...options });
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

interface Wanted extends CrowdOptions {
  /** Two vifs whose guests have the pages of all. */
  readonly all?: boolean;
}

/** A crowd, and the number of vifs whose point on the axis it belongs to. */
interface Placed extends Wanted {
  readonly crowd: Crowd;
  readonly x: number;
}

function crowdsOf(transfer: TransferName, vifs: number): Wanted[] {
  const wanted: Wanted[] = [{}];
  if (vifs > 2) wanted.push({ all: true, pages: (vifs / 2) * PAGES_IN_TURN });
  // What few pages, or pages in order, show is the memory's: the ends of the curve will do, with one transfer.
  const end = vifs === VIFS[0] || vifs === VIFS[VIFS.length - 1];
  if (transfer === 'persistent' && end) wanted.push({ pages: FEW_PAGES }, { inOrder: true });
  return wanted;
}

/** A crowd, or why there can be none here (address space, mappings, memory). */
function crowdOf(transfer: TransferName, vifs: number, options: CrowdOptions): Crowd | string {
  try {
    return new Crowd(transfer, vifs, Math.max(...LENGTHS), options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return `${vifs} vifs of ${options.pages ?? PAGES_IN_TURN} pages with ${transfer}: ${error.message}`;
  }
}

function casesOf(
  lab: LabRun,
  { crowd, x, all, pages, inOrder }: Placed,
  transfer: TransferName,
  length: number,
): Case[] {
  const frames = (transfer === 'persistent' ? 30_000 : 10_000) * (lab.effort === 'quick' ? 1 : 3);
  const kind = { length };
  const rounds = (busy: number) => Math.max(2, Math.round(frames / (busy * BURST)));
  const pairs = crowd.pairs.length;
  const one = (curve: string, sample: () => number): Case => ({ variant: named(transfer, curve), x, sample });
  const busy = (curve: string, n = pairs) => one(curve, () => crowd.sample(kind, BURST, n, rounds(n)));
  const mixed = (curve: string) => one(curve, () => crowd.mixed(kind, frames));
  if (all) return [busy(ONE), mixed(MIXED_ONE)];
  if (pages === FEW_PAGES) return [busy(FEW)];
  if (inOrder) return [busy(ORDER)];
  const cases = [busy(BUSY), mixed(MIXED), busy(ALONE, 1)];
  if (x === 2) cases.push(busy(ONE), mixed(MIXED_ONE));
  // The pages are the same ones with either transfer.
  if (transfer === 'persistent')
    cases.push({
      variant: COPY,
      x,
      sample: () => crowd.copy(kind, BURST, pairs, rounds(pairs)),
    });
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
  const goalFor = (variant: string) =>
    TRANSFERS.some((transfer) => CURVES.some(({ curve }) => variant === named(transfer, curve)));
  const rows = series.map(({ variant, points }) => {
    const ratio = points.length > 1 ? ratioOf(points[points.length - 1], points[0]) : undefined;
    return [
      variant,
      ...VIFS.map((n) => {
        const point = points.find((p) => p.x === n);
        return point ? Number(point.median.toPrecision(3)) : '–';
      }),
      ratio ? shown(ratio.value) : '–',
      ratio && goalFor(variant) ? MET[judge(ratio, GOAL)] : '',
    ];
  });
  const ratios = TRANSFERS.flatMap((transfer) =>
    CURVES.flatMap((each) => {
      if (!('control' in each)) return [];
      const { curve, control } = each;
      const row = VIFS.map((n) => {
        const [many, one] = [at(named(transfer, curve), n), at(named(transfer, control), n)];
        return many && one ? shown(ratioOf(many, one).value) : '–';
      });
      return [[`${named(transfer, curve)} ÷ ${ONE}`, ...row, '', '']];
    }),
  );
  return {
    title: `${length} bytes: ns per frame`,
    columns: ['curve', ...VIFS.map((n) => `${n} vifs`), 'most ÷ fewest', `goal of ${GOAL}`],
    rows: [...rows, ...ratios],
  };
}

function verdictsOf(length: number, series: readonly Series[]): Verdict[] {
  const of = (transfer: TransferName, curve: string) =>
    series.find((s) => s.variant === named(transfer, curve))?.points ?? [];
  return TRANSFERS.flatMap((transfer) =>
    CURVES.flatMap((each): Verdict[] => {
      const { curve } = each;
      const points = of(transfer, curve);
      const [first, last] = [points[0], points[points.length - 1]];
      if (!first || first === last) return [];
      const what = `${transfer}, ${length} bytes, ${curve}: a frame at ${last.x} vifs costs`;
      const one = 'control' in each ? of(transfer, each.control).find(({ x }) => x === last.x) : undefined;
      const memory = curve === BUSY ? copysPart(series, first, last) : '';
      const control = one ? `; with ${ONE} it is ${shown(ratioOf(one, first).value)} times` : '';
      const grows = against(ratioOf(last, first), what, `one at ${first.x}`, last, first, memory + control);
      if (!one) return [grows];
      const alone = `${transfer}, ${length} bytes, ${curve}, by their number alone: a frame at ${last.x} vifs costs`;
      const as = 'one at 2 that use as many pages in turn as they all do';
      return [grows, against(ratioOf(last, one), alone, as, last, one)];
    }),
  );
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

/** How the plain copy of the same pages grows. */
function copysPart(series: readonly Series[], first: Point, last: Point): string {
  const copies = series.find((s) => s.variant === COPY)?.points ?? [];
  const [few, many] = [first, last].map(({ x }) => copies.find((point) => point.x === x));
  return few && many
    ? `; the plain copy of the same pages grows ${shown(ratioOf(many, few).value)} times`
    : '';
}

const MET = { below: 'met', above: 'missed', unclear: 'unclear' } as const;

const METHOD = [
  'All guests and the back end in one process and one arena, frames through real rings, grants and copies, in pairs: guest 2k sends to guest 2k + 1. A load generator plays the front ends between the rounds; only the back end’s rounds are timed, all on one thread, less what the clock itself takes.',
  `All pairs busy: each sender queues ${BURST} frames a round, so every vif carries as much as every other, whatever their number. Mixed traffic: in each round one sender in four, drawn at random, has a burst of 1, 2, 4 … 64 frames, each as likely. One pair busy: ${BURST} frames a round from one sender while all others are attached and silent.`,
  `Each guest sends from, or receives into, a ring’s worth of pages (${PAGES_IN_TURN}), each a page of its own, as Linux netfront has them posted: 128 guests use 128 MiB of pages, more than the CPU’s caches hold. They have their turns in an order that no prefetcher guesses, as a guest’s allocator hands them out after a while.`,
  `What of a rise is the memory’s, controls show: one pair of guests whose front ends use as many pages in turn as all guests of the larger crowd together (“${ONE}”), with the same traffic; the plain copy of as many bytes between the same guests’ pages; guests that use ${FEW_PAGES} pages again and again, as front ends do that keep few posted and send from what was freed last; and pages that lie in order, which the CPU reads ahead by itself.`,
  'Each sample begins with one turn through its pages that is not timed. Page-aligned lines share one in 64 of a cache’s sets, so even 64-byte frames leave the inner caches at a few hundred pages.',
  'Ports that are quiet are parked as a datapath thread parks them, and wake-ups are handed to the engine when the back end asked for them; the event channels themselves (an eventfd written and waited for) are not part of the figure.',
];
