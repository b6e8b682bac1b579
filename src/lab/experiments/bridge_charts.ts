/** Charts and tables of the experiment `bridge`. */
import type { Chart, Point, Series, Table } from '../experiment.js';
import { type Ratio, shown } from '../intervals.js';
import { HOPS, type Hop } from '../traffic/hops.js';
import { BOTH_WAYS, FIGURES, type Figure, FROM_HOST, type Path, partsOf, TO_HOST } from './bridge_plan.js';

/** The eight streams' CPU is in the tables only. */
const CHARTED = ['frames', 'frameCpu', 'senderCpu', 'tcp', 'tcpCpu', 'tcp8', 'p50', 'p99'] as const;

/** One figure's curves, a contestant each; not those of one over another. */
export function curvesOf(series: readonly Series[], figure: Figure): Series[] {
  return series.flatMap(({ variant, points }) => {
    const parts = partsOf(variant);
    return parts.hop && parts.figure === figure ? [{ variant: parts.hop, points }] : [];
  });
}

export function chartsOf(series: readonly Series[]): Chart[] {
  return CHARTED.flatMap((figure) => {
    const curves = curvesOf(series, figure);
    const { title, label, unit } = FIGURES[figure];
    const x = { label: 'from and to', unit: '', scale: 'names' } as const;
    return curves.length === 0
      ? []
      : [{ title, x, y: { label, unit, scale: 'linear' } as const, series: curves }];
  });
}

/** One table a path: every contestant, every figure. */
export function tablesOf(series: readonly Series[]): Table[] {
  const figures = Object.keys(FIGURES) as Figure[];
  return BOTH_WAYS.flatMap((path) => {
    const here = figures.filter((figure) =>
      curvesOf(series, figure).some(({ points }) => points.some(({ x }) => x === path)),
    );
    const hops = HOPS.filter((hop) => series.some(({ variant }) => partsOf(variant).hop === hop));
    const rows = hops.flatMap((hop) => {
      const cells = here.map((figure) => cell(series, hop, figure, path));
      return cells.every((text) => text === '–') ? [] : [[hop, ...cells]];
    });
    const columns = ['through', ...here.map((figure) => `${SHORT[figure]} (${FIGURES[figure].unit})`)];
    return rows.length === 0 ? [] : [{ title: path, columns, rows }];
  });
}

const SHORT: Readonly<Record<Figure, string>> = {
  frames: '64-byte frames',
  frameCpu: 'CPU',
  senderCpu: 'sender’s CPU',
  tcp: 'one stream',
  tcpCpu: 'CPU',
  tcp8: 'eight streams',
  tcp8Cpu: 'CPU',
  p50: 'there and back, median',
  p99: '99th percentile',
};

/** `0.245 (0.238 … 0.251)`; a macvlan guest and its host cannot speak to each other. */
function cell(series: readonly Series[], hop: Hop, figure: Figure, path: Path): string {
  if (hop === 'macvlan' && (path === TO_HOST || path === FROM_HOST)) return 'cannot';
  const curve = curvesOf(series, figure).find(({ variant }) => variant === hop);
  const point = curve?.points.find(({ x }) => x === path);
  return point ? withEnds(point) : '–';
}

/** A median, or a ratio, with its interval. */
export function withEnds(of: Point | Ratio): string {
  const digits = (value: number) => (value < 10 ? value.toFixed(value < 1 ? 3 : 2) : shown(value));
  const middle = 'median' in of ? of.median : of.value;
  return `${digits(middle)} (${digits(of.low)} … ${digits(of.high)})`;
}
