/**
 * What samples say: medians, their intervals, and which samples are set aside. Nothing here assumes a distribution:
 * timings on a shared machine have a hard floor and a long tail, so means and standard deviations would mislead.
 */
import type { Point, Series } from './experiment.js';

/** Of every interval. */
export const CONFIDENCE = 0.95;
/** An interval longer than this part of its median is too wide for a verdict. */
export const WIDE = 0.25;
/** Tukey's outer fences ("far out"): this many interquartile ranges beyond the quartiles. */
export const FENCES = 3;
/** Quartiles of fewer samples say too little to set one aside. */
export const JUDGE_FROM = 6;
/**
 * The least interquartile range that the fences are built on, as a part of the median: a row of almost equal samples
 * must not make an outlier of the one that differs by a clock tick.
 */
export const LEAST_SPREAD = 0.01;

/** The middle value; of an even count, the mean of the middle two. NaN of nothing. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** First quartile, median, third quartile. */
export function quartiles(values: readonly number[]): { q1: number; median: number; q3: number } {
  return { q1: quantile(values, 0.25), median: quantile(values, 0.5), q3: quantile(values, 0.75) };
}

/** Quantile `q` (0 … 1) by linear interpolation between order statistics (R's type 7). NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = ascending(values);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** An interval for the median, and how often such an interval holds it. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  /** 0 … 1. At least what was asked for, except of too few values: then it is that of their whole range. */
  readonly coverage: number;
}

/**
 * The k-th smallest and the k-th largest value, k as large as `confidence` allows. The median lies outside only if
 * fewer than k of the n values fell on one side of it: a binomial with p = 1/2, whatever the values' distribution
 * (David and Nagaraja, Order Statistics, 7.1). Fewer than 6 values cannot give 95 %. Throws RangeError of nothing.
 */
export function medianInterval(values: readonly number[], confidence: number = CONFIDENCE): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('no values, no interval');
  const sorted = ascending(values);
  // P(X = i) of Binomial(n, 1/2) by its logarithm: 2^-n itself is 0 from n = 1075 on.
  let logTerm = -n * Math.LN2;
  let tail = Math.exp(logTerm); // P(X ≤ k - 1)
  let k = 1;
  for (; k < n / 2; k++) {
    logTerm += Math.log((n - k + 1) / k);
    const next = tail + Math.exp(logTerm);
    if (2 * next > 1 - confidence) break;
    tail = next;
  }
  return { low: sorted[k - 1], high: sorted[n - k], coverage: Math.max(0, 1 - 2 * tail) };
}

/**
 * Parts samples into those that count and those set aside: beyond Tukey's outer fences, on either side. An
 * interrupt or a neighbour's burst ends up there; a second mode of the thing measured, a quarter of the samples or more
 * on one side, does not. Keeps their order.
 */
export function setAside(samples: readonly number[]): { kept: number[]; aside: number[] } {
  if (samples.length < JUDGE_FROM) return { kept: [...samples], aside: [] };
  const { q1, median: middle, q3 } = quartiles(samples);
  const spread = Math.max(q3 - q1, LEAST_SPREAD * Math.abs(middle));
  // Most of the samples are exactly 0: there is no scale to call anything far by.
  if (spread === 0) return { kept: [...samples], aside: [] };
  const far = (value: number) => value < q1 - FENCES * spread || value > q3 + FENCES * spread;
  return { kept: samples.filter((value) => !far(value)), aside: samples.filter(far) };
}

/** One point of a curve from all its samples. Throws RangeError of none. */
export function summarize(x: number | string, samples: readonly number[]): Point {
  const { kept, aside } = setAside(samples);
  const middle = median(kept);
  const { low, high, coverage } = medianInterval(kept);
  const wide = coverage < CONFIDENCE || high - low > WIDE * Math.abs(middle);
  return { x, median: middle, low, high, samples: kept.length, outliers: aside.length, wide };
}

/** Cases with their samples as curves: variants and points in the order in which they first appear. */
export function toSeries(
  cases: readonly {
    readonly variant: string;
    readonly x: number | string;
    readonly samples: readonly number[];
  }[],
): Series[] {
  const curves = new Map<string, Point[]>();
  for (const { variant, x, samples } of cases) {
    if (samples.length === 0) continue;
    const points = curves.get(variant) ?? [];
    curves.set(variant, points);
    points.push(summarize(x, samples));
  }
  return Array.from(curves, ([variant, points]) => ({ variant, points }));
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
