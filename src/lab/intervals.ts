/** What verdicts are made of: points found again, ratios of two medians with the interval their own ones allow. */
import type { Point, Series, Verdict } from './experiment.js';

/** A point of a curve. Throws RangeError when the experiment did not measure it: a mistake in its own source. */
export function pointOf(series: readonly Series[], variant: string, x: Point['x']): Point {
  const point = series.find((s) => s.variant === variant)?.points.find((p) => p.x === x);
  if (!point) throw new RangeError(`${variant} at ${x} was not measured`);
  return point;
}

/** A ratio and what it can at least and at most be, should both medians lie anywhere in their intervals. */
export interface Ratio {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** One of its points is too wide for a verdict. */
  readonly wide: boolean;
}

/** `a` ÷ `b`, of points that are not negative. An interval that reaches 0 makes the ratio reach infinity. */
export function ratioOf(a: Point, b: Point): Ratio {
  const high = b.low > 0 ? a.high / b.low : Infinity;
  return { value: a.median / b.median, low: a.low / b.high, high, wide: a.wide || b.wide };
}

/** Whether a ratio is at most `bound` or above; unclear when its interval holds both, or one of its points is too wide. */
export function judge(ratio: Ratio, bound: number): 'below' | 'above' | 'unclear' {
  if (ratio.wide) return 'unclear';
  if (ratio.high <= bound) return 'below';
  return ratio.low > bound ? 'above' : 'unclear';
}

/** Why `judge` could not tell: a sentence's beginning. `bound`: `the goal of 1.25`. */
export function whyUnclear(ratio: Ratio, bound: string): string {
  return ratio.wide ? 'An interval is too wide for a verdict' : `The interval holds ${bound}`;
}

/** The worst of several verdicts on one claim: it holds if all do, and fails if one does. */
export function together(parts: readonly ('agrees' | 'differs' | 'unclear')[]): Verdict['agrees'] {
  if (parts.includes('differs')) return 'differs';
  return parts.includes('unclear') ? 'unclear' : 'agrees';
}

/** Three significant digits or so: `12.3`, `0.98`, `1,250`. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toPrecision(2);
}

/** `2.3 (2.1 … 2.6)`: a ratio with its interval, or a median with its own. */
export function withInterval(of: Ratio | Point): string {
  const middle = 'median' in of ? of.median : of.value;
  return `${shown(middle)} (${shown(of.low)} … ${shown(of.high)})`;
}
