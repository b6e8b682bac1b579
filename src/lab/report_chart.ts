/** Charts as SVG, drawn by Plot into a DOM of ours. Colours are the page's variables: one drawing, light and dark. */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Chart, Point } from './experiment.js';
import {
  isNumeric,
  type NumericAxis,
  placeAxis,
  pointText,
  position,
  textWidth,
  valueAxis,
} from './report_axes.js';
import { formatNumber, type Html, printable, trusted } from './report_html.js';

/** Curves differ by form as well as by colour. As many as the page has variables --s0, --s1 … */
export const SYMBOLS = [
  'circle', 'square', 'triangle', 'diamond', 'triangle2', 'wye', 'star', 'cross',
] as const; // biome-ignore format: one row

const FONT = 12;
const MARK_ROW = 15;
const ROW = 19;
const NAME_ROW = 22;
const GROUP_GAP = 7;

const colour = (index: number) => `var(--s${index % SYMBOLS.length})`;
const symbol = (index: number) => SYMBOLS[index % SYMBOLS.length];
/** A second set of eight has dashed lines. */
const dashes = (index: number) => (index < SYMBOLS.length ? undefined : '5,3');

/** A chart for a column of `width` pixels. `id` is unique in the page. */
export function drawChart(chart: Chart, width: number, id: string, kind: string): Html {
  const svg = isNumeric(chart) ? curves(chart, width) : rows(chart, width);
  for (const style of svg.querySelectorAll('style')) style.remove();
  const { document } = page();
  for (const [name, text] of [
    ['desc', describe(chart)],
    ['title', chart.title],
  ]) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    element.setAttribute('id', `${id}-${name}`);
    element.textContent = printable(text);
    svg.insertBefore(element, svg.firstChild);
  }
  svg.setAttribute('class', `chart ${kind}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-labelledby', `${id}-title`);
  svg.setAttribute('aria-describedby', `${id}-desc`);
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  return trusted(svg.outerHTML);
}

/** A line and its symbol, as the chart has them. */
export function drawSwatch(index: number): Html {
  const svg = Plot.plot({
    ...page(),
    width: 30,
    height: 14,
    margin: 0,
    axis: null,
    x: { domain: [0, 2] },
    y: { domain: [-1, 1] },
    marks: [
      Plot.ruleY([0], { x1: 0, x2: 2, stroke: colour(index), strokeWidth: 2, ...dashed(index) }),
      Plot.dot([0], { x: 1, y: 0, r: 4, symbol: symbol(index), fill: colour(index) }),
    ],
  });
  for (const style of svg.querySelectorAll('style')) style.remove();
  svg.setAttribute('class', 'swatch');
  svg.setAttribute('aria-hidden', 'true');
  return trusted(svg.outerHTML);
}

/** In words, for those who do not see it; the figures themselves are in the table under it. */
function describe(chart: Chart): string {
  const points = chart.series.flatMap((series) => series.points);
  if (points.length === 0) return 'There are no points.';
  const low = formatNumber(Math.min(...points.map((point) => point.median)));
  const high = formatNumber(Math.max(...points.map((point) => point.median)));
  const unit = chart.y.unit ? ` ${chart.y.unit}` : '';
  const names = chart.series.map((series) => series.variant).join('; ');
  return `${chart.y.label} by ${chart.x.label}, from ${low} to ${high}${unit}, for: ${names}.`;
}

function page(): { document: Document } {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  return { document };
}

function dashed(index: number): { strokeDasharray?: string } {
  const pattern = dashes(index);
  return pattern === undefined ? {} : { strokeDasharray: pattern };
}

const PLAIN = { stroke: 'var(--grid)', strokeOpacity: 1 } as const;
const TICK_TEXT = { fill: 'var(--soft)', fontSize: FONT, tickSize: 0, label: null } as const;
/** Not `tickFormat`: on a log axis Plot leaves some of those out. */
const text = (value: number) => formatNumber(value);

function curves(chart: Chart, width: number): Element {
  const y = valueAxis(chart, 6);
  const marginLeft = Math.max(...y.ticks.map((tick) => textWidth(formatNumber(tick)))) + 14;
  const places = chart.series.flatMap((series) => series.points.map((point) => point.x as number));
  const marked = (chart.marks ?? []).filter((mark) => chart.x.scale !== 'log' || mark.at > 0);
  const inner = width - marginLeft - 2 * SIDE - RIGHT;
  // Marks belong into the picture even where nothing was measured: the talk's figure may lie beyond.
  const axis = placeAxis(chart, [...places, ...marked.map((mark) => mark.at)], inner);
  const x: NumericAxis = { ...axis, ticks: placeAxis(chart, places, inner).ticks };
  const labels = placeLabels(marked, x, inner);
  const marginTop = 10 + MARK_ROW * Math.max(0, ...labels.map((label) => label.row + 1));
  return Plot.plot({
    ...page(),
    width,
    height: marginTop + (width < 500 ? 230 : 290),
    marginLeft,
    marginRight: RIGHT,
    marginTop,
    marginBottom: 26,
    style: { fontSize: `${FONT}px` },
    x: { type: x.scale, domain: [...x.domain], insetLeft: SIDE, insetRight: SIDE },
    y: { type: y.scale, domain: [...y.domain] },
    marks: [
      Plot.gridY([...y.ticks], PLAIN),
      Plot.axisY([...y.ticks], { ...TICK_TEXT, text }),
      Plot.axisX([...x.ticks], { ...TICK_TEXT, text }),
      labels.map(({ at, row }) =>
        Plot.ruleX([at], { stroke: 'var(--soft)', strokeDasharray: '4,4', insetTop: -4 - MARK_ROW * row }),
      ),
      labels.map(({ at, label, row, anchor }) =>
        Plot.text([label], {
          x: at,
          frameAnchor: 'top',
          dy: -6 - MARK_ROW * row,
          dx: anchor === 'start' ? -4 : anchor === 'end' ? 4 : 0,
          textAnchor: anchor,
          lineAnchor: 'bottom',
          fill: 'var(--ink)',
          // Over the lines of its neighbours.
          stroke: 'var(--paper)',
          strokeWidth: 5,
          fontSize: FONT,
        }),
      ),
      chart.series.map(({ variant, points }, index) => curve(variant, points, index, y, chart.y.unit)),
    ],
  });
}

/** Pixels between the frame and the first and last place, and beyond the frame for half of the last tick's text. */
const SIDE = 10;
const RIGHT = 16;

function curve(
  variant: string,
  points: readonly Point[],
  index: number,
  y: NumericAxis,
  unit: string,
): Plot.Markish {
  const stroke = colour(index);
  const x = (point: Point) => point.x;
  const y1 = (point: Point) => Math.max(point.low, y.domain[0]);
  const sorted = points.toSorted((a, b) => Number(a.x) - Number(b.x));
  return [
    Plot.areaY(sorted, { x, y1, y2: 'high', fill: stroke, fillOpacity: 0.13 }),
    Plot.lineY(sorted, { x, y: 'median', stroke, strokeWidth: 2, ...dashed(index) }),
    Plot.ruleX(sorted, { x, y1, y2: 'high', stroke, strokeWidth: 1.5 }),
    Plot.dot(sorted, {
      x,
      y: 'median',
      r: 4,
      symbol: symbol(index),
      stroke,
      strokeWidth: 1.75,
      fill: (point: Point) => (point.wide ? 'var(--paper)' : stroke),
      title: (point: Point) => printable(`${variant}, ${showPlace(point.x)}: ${pointText(point, unit)}`),
    }),
  ];
}

export function showPlace(x: number | string): string {
  return typeof x === 'number' ? formatNumber(x) : x;
}

/** Marks' labels, each in the lowest row above the frame where it touches no other. */
function placeLabels(marks: readonly { at: number; label: string }[], x: NumericAxis, width: number) {
  const ends: number[] = [];
  return marks
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, label }) => {
      const middle = position(x, at) * width;
      const text = cut(printable(label), width);
      const size = textWidth(text);
      const anchor: 'start' | 'end' | 'middle' =
        middle < size / 2 ? 'start' : middle + size / 2 > width ? 'end' : 'middle';
      const left = anchor === 'start' ? middle : anchor === 'end' ? middle - size : middle - size / 2;
      let row = ends.findIndex((end) => end + 8 < left);
      if (row < 0) row = ends.length;
      ends[row] = left + size;
      return { at, label: text, row, anchor };
    });
}

function cut(text: string, width: number): string {
  const most = Math.floor(width / textWidth('0'));
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

interface Row {
  readonly variant: string;
  readonly index: number;
  readonly point: Point;
  /** Pixels from the top. */
  readonly y: number;
}

/** Names: a heading a name, and under it a row a variant, so that neither has to be short. */
function rows(chart: Chart, width: number): Element {
  const axis = valueAxis(chart, width < 500 ? 4 : 7);
  const names = new Set(chart.series.flatMap((series) => series.points.map((point) => point.x)));
  const headings: { name: string; y: number }[] = [];
  const lines: Row[] = [];
  let y = 4;
  for (const name of names) {
    headings.push({ name: cut(printable(showPlace(name)), width - 16), y: y + NAME_ROW / 2 });
    y += NAME_ROW;
    for (const [index, { variant, points }] of chart.series.entries()) {
      for (const point of points.filter((one) => one.x === name)) {
        lines.push({ variant, index, point, y: y + ROW / 2 });
        y += ROW;
      }
    }
    y += GROUP_GAP;
  }
  const shown = ({ point }: Row) => formatNumber(point.median);
  const from = axis.domain[0];
  const start = (row: Row) => Math.max(row.point.low, from);
  const stroke = (row: Row) => colour(row.index);
  const constant = { y: 'y', stroke, strokeWidth: 2 } as const;
  return Plot.plot({
    ...page(),
    width,
    height: y + 28,
    marginLeft: 8,
    marginRight: Math.max(...lines.map((row) => textWidth(shown(row)))) + 16,
    marginTop: 2,
    marginBottom: 26,
    style: { fontSize: `${FONT}px` },
    x: { type: axis.scale, domain: [...axis.domain] },
    y: { type: 'identity', axis: null },
    color: { type: 'identity' },
    symbol: { type: 'identity' },
    marks: [
      Plot.gridX([...axis.ticks], { ...PLAIN, y1: 2, y2: y }),
      Plot.axisX([...axis.ticks], { ...TICK_TEXT, text, anchor: 'bottom' }),
      Plot.rect(axis.scale === 'linear' ? lines : [], {
        x1: 0,
        x2: (row: Row) => row.point.median,
        y1: (row: Row) => row.y - 6,
        y2: (row: Row) => row.y + 6,
        fill: stroke,
        fillOpacity: 0.22,
      }),
      Plot.ruleY(lines, { ...constant, x1: start, x2: (row: Row) => row.point.high }),
      Plot.dot(lines, {
        ...constant,
        x: (row: Row) => row.point.median,
        r: 4,
        symbol: (row: Row) => symbol(row.index),
        fill: (row: Row) => (row.point.wide ? 'var(--paper)' : colour(row.index)),
        title: (row: Row) =>
          printable(`${row.variant}, ${showPlace(row.point.x)}: ${pointText(row.point, chart.y.unit)}`),
      }),
      Plot.text(lines, {
        x: (row: Row) => row.point.high,
        y: 'y',
        text: shown,
        dx: 8,
        textAnchor: 'start',
        fill: 'var(--ink)',
      }),
      Plot.text(headings, { x: () => from, y: 'y', text: 'name', textAnchor: 'start', fill: 'var(--ink)' }),
    ],
  });
}
