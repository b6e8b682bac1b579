/** Two curves against each other: where one begins to pay, and where the data cannot say. */
import type { Point, Series } from './experiment.js';

/** Where two curves cross, by their medians. */
export interface Crossing {
  /** The place on the x axis, between two measured ones, on straight lines. */
  readonly at: number;
  /** Which curve is the lower one above it. */
  readonly above: 'first' | 'second';
  /** The nearest measured places below and above at which the order is beyond doubt; undefined where there is none. */
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface BreakEven {
  /** `first`, `second`: that one is lower everywhere. `none`: no place was measured in both. */
  readonly kind: 'first' | 'second' | 'crossings' | 'none';
  readonly crossings: readonly Crossing[];
  /** Places where one or the other is lower beyond doubt. */
  readonly first: readonly number[];
  readonly second: readonly number[];
  /** Places where the intervals overlap, or nearly so though one of them is too wide for a verdict. */
  readonly doubtful: readonly number[];
}

const WIDE_APART = 2;

interface Pair {
  readonly x: number;
  /** second - first: above 0 the first is lower. */
  readonly gap: number;
  readonly clear: boolean;
}

/** Compares two curves at the numeric places that both have. Equal medians belong to the order before them. */
export function breakEven(first: Series, second: Series): BreakEven {
  const pairs = pairsOf(first, second);
  const crossings: Crossing[] = [];
  let last: Pair | undefined; // the last one that was not a tie
  for (const [i, pair] of pairs.entries()) {
    if (pair.gap === 0) continue;
    if (last && Math.sign(last.gap) !== Math.sign(pair.gap)) {
      const part = last.gap / (last.gap - pair.gap);
      crossings.push({
        at: last.x + part * (pair.x - last.x),
        above: pair.gap > 0 ? 'first' : 'second',
        from: pairs.slice(0, i).findLast((one) => one.clear && Math.sign(one.gap) !== Math.sign(pair.gap))?.x,
        to: pairs.slice(i).find((one) => one.clear && Math.sign(one.gap) === Math.sign(pair.gap))?.x,
      });
    }
    last = pair;
  }
  const places = (keep: (pair: Pair) => boolean) => pairs.filter(keep).map((pair) => pair.x);
  return {
    kind:
      crossings.length > 0 ? 'crossings' : last === undefined ? 'none' : last.gap > 0 ? 'first' : 'second',
    crossings,
    first: places((pair) => pair.clear && pair.gap > 0),
    second: places((pair) => pair.clear && pair.gap < 0),
    doubtful: places((pair) => !pair.clear),
  };
}

/** The curve of that name. Throws when the lab did not measure it: a fault of ours. */
export function seriesOf(all: readonly Series[], variant: string): Series {
  const found = all.find((series) => series.variant === variant);
  if (!found) throw new RangeError(`no curve ${variant}`);
  return found;
}

/** A median at a place, rounded for a sentence: `840`, `12.5`. */
export function medianAt(series: Series, x: number): string {
  const point = series.points.find((one) => one.x === x);
  if (!point) return '?';
  return point.median >= 100 ? String(Math.round(point.median)) : point.median.toFixed(1);
}

/** `64, 128 and 256 bytes`. */
export function bytesList(sizes: readonly number[]): string {
  const head = sizes.slice(0, -1).join(', ');
  return `${head}${head === '' ? '' : ' and '}${sizes.at(-1) ?? 'no'} bytes`;
}

function pairsOf(first: Series, second: Series): Pair[] {
  const pairs: Pair[] = [];
  for (const a of first.points) {
    const b = second.points.find((one) => one.x === a.x);
    if (b && typeof a.x === 'number') pairs.push({ x: a.x, gap: b.median - a.median, clear: apart(a, b) });
  }
  return pairs.sort((p, q) => p.x - q.x);
}

/**
 * The intervals do not overlap. Where one is too wide to be relied on, they have to be a whole factor apart: a figure
 * that is off by a quarter still is not another one's twentieth part.
 */
function apart(a: Point, b: Point): boolean {
  const factor = a.wide || b.wide ? WIDE_APART : 1;
  return a.high * factor < b.low || b.high * factor < a.low;
}
