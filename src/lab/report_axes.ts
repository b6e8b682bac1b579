/** Axes of the charts: ticks that a reader can count with, chosen here so that they fit at every width. */
import type { Chart, Point } from './experiment.js';
import { formatNumber } from './report_html.js';

export type NumericScale = 'linear' | 'log';

export interface NumericAxis {
  readonly scale: NumericScale;
  readonly domain: readonly [number, number];
  readonly ticks: readonly number[];
}

/** Pixels of a digit in the charts' type, for room estimates. */
const DIGIT = 6.8;

/** How wide text of the charts' size is, about. */
export function textWidth(text: string): number {
  return text.length * DIGIT;
}

/** The y axis of all points' intervals. From 0 when linear; linear, too, where a log axis has no place for them. */
export function valueAxis(chart: Chart, count: number): NumericAxis {
  const points = chart.series.flatMap((series) => series.points);
  const scale: NumericScale =
    chart.y.scale === 'log' && points.every((point) => point.median > 0) ? 'log' : 'linear';
  // A log axis ends at the lowest median's decade when an interval reaches down to 0.
  const lows = points.map((point) => (scale === 'log' && point.low <= 0 ? point.median : point.low));
  const low = Math.min(...lows, ...(scale === 'linear' ? [0] : []));
  const high = Math.max(...points.map((point) => point.high), ...(scale === 'linear' ? [0] : []));
  return rounded(scale, low, high, count);
}

/** The x axis with exactly these places; a tick at each that has room, `width` pixels in all. */
export function placeAxis(chart: Chart, places: readonly number[], width: number): NumericAxis {
  const sorted = [...new Set(places)].sort((a, b) => a - b);
  const scale: NumericScale = chart.x.scale === 'log' && sorted[0] > 0 ? 'log' : 'linear';
  const domain: [number, number] = [sorted[0], sorted[sorted.length - 1]];
  const axis = { scale, domain, ticks: sorted };
  const ticks: number[] = [];
  let free = Number.NEGATIVE_INFINITY;
  // From the right, so that the largest, which readers look for, has its tick.
  for (const at of sorted.toReversed()) {
    const middle = -position(axis, at) * width;
    const half = textWidth(formatNumber(at)) / 2 + 5;
    if (middle - half < free) continue;
    ticks.unshift(at);
    free = middle + half;
  }
  return { ...axis, ticks };
}

/** Where a value lies between the axis's ends, 0 … 1. */
export function position(axis: NumericAxis, value: number): number {
  const of = axis.scale === 'log' ? Math.log : (x: number) => x;
  const [low, high] = axis.domain;
  return low === high ? 0.5 : (of(value) - of(low)) / (of(high) - of(low));
}

/** An axis from a round number to a round number that holds both, with about `count` ticks. */
function rounded(scale: NumericScale, low: number, high: number, count: number): NumericAxis {
  if (scale === 'log' && high / low >= 8) {
    const decades = Math.log10(high / low);
    const steps = decades * 3 <= count ? [1, 2, 5] : [1];
    const ticks: number[] = [];
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); decade++) {
      for (const step of steps) ticks.push(step * 10 ** decade);
    }
    const first = ticks.findLastIndex((tick) => tick <= low);
    const last = ticks.findIndex((tick) => tick >= high);
    const used = ticks.slice(Math.max(0, first), last < 0 ? undefined : last + 1);
    return { scale, domain: [used[0], used[used.length - 1]], ticks: used };
  }
  // A log axis shorter than a decade has its ticks at even distances, too.
  const span = high - low || Math.abs(high) || 1;
  const step = niceStep(span / count);
  const from = Math.floor(low / step);
  const to = Math.max(Math.ceil(high / step), from + 1);
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
  const used = scale === 'log' ? ticks.filter((tick) => tick > 0) : ticks;
  const bottom = scale === 'log' ? Math.min(low, used[0]) : used[0];
  return { scale, domain: [bottom, used[used.length - 1]], ticks: used };
}

/** The smallest of 1, 2, 5 times a power of ten that is not below `step`. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5, 10].find((one) => one * power >= step * 0.999) ?? 10;
  return factor * power;
}

/** Whether the chart's x are numbers along a line; else they are names in rows, whatever its scale says. */
export function isNumeric(chart: Chart): boolean {
  if (chart.x.scale === 'names') return false;
  return chart.series.every((series) => series.points.every((point) => typeof point.x === 'number'));
}

/** `142 ns (138 to 150)`, and whether that is too wide. */
export function pointText(point: Point, unit: string): string {
  const interval = `${formatNumber(point.low)} to ${formatNumber(point.high)}`;
  const wide = point.wide ? ', too wide for a verdict' : '';
  return `${formatNumber(point.median)}${unit ? ` ${unit}` : ''} (${interval}${wide})`;
}
