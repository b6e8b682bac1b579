/** A chart with its caption, legend, axes' names and figures; and the experiments' own tables. */
import type { Chart, Point, Table } from './experiment.js';
import { isNumeric } from './report_axes.js';
import { drawChart, drawSwatch, showPlace } from './report_chart.js';
import { formatNumber, type Html, html } from './report_html.js';

/** Columns that the chart is drawn for; the page shows the one that fits. */
const WIDE = 700;
const NARROW = 360;

/** `id` is unique in the page. */
export function figure(chart: Chart, id: string): Html {
  const points = chart.series.flatMap((series) => series.points);
  if (points.length === 0) {
    return html`<figure data-chart="empty"><figcaption>${chart.title}</figcaption>
<p class="remark">There are no points.</p></figure>`;
  }
  const numeric = isNumeric(chart);
  const value = `${nameOf(chart.y.label, chart.y.unit)}${chart.y.scale === 'log' ? ', logarithmic' : ''}`;
  const place = `${nameOf(chart.x.label, chart.x.unit)}${chart.x.scale === 'log' ? ', logarithmic' : ''}`;
  return html`<figure data-chart="${id}">
<figcaption>${chart.title}</figcaption>
${legend(chart, points)}
${numeric && html`<p class="axis y">↑ ${value}</p>`}
${drawChart(chart, WIDE, `${id}-wide`, 'wide')}
${drawChart(chart, NARROW, `${id}-narrow`, 'narrow')}
<p class="axis x">${numeric ? place : value} →</p>
${!numeric && chart.marks?.map((mark) => html`<p class="remark">${mark.label}: ${formatNumber(mark.at)}</p>`)}
${remark(points)}
<details><summary>Figures</summary>${figures(chart)}</details>
</figure>
`;
}

/** `packet size (bytes)`; a unit that the label already names is not said twice. */
function nameOf(label: string, unit: string): string {
  return unit === '' || label.includes(unit) ? label : `${label} (${unit})`;
}

function legend(chart: Chart, points: readonly Point[]): Html {
  const items = chart.series.map(
    (series, index) => html`<li>${drawSwatch(index)}<span>${series.variant}</span></li>`,
  );
  const hollow =
    points.some((point) => point.wide) && html`<li class="soft">hollow: too wide for a verdict</li>`;
  return html`<ul class="legend">${items}${hollow}</ul>`;
}

function remark(points: readonly Point[]): Html {
  const wide = points.filter((point) => point.wide).length;
  const aside = points.reduce((sum, point) => sum + point.outliers, 0);
  const kept = points.reduce((sum, point) => sum + point.samples, 0);
  const sentences = [
    `Medians with 95 % intervals of ${formatNumber(kept)} samples, ${aside === 0 ? 'none' : formatNumber(aside)} set aside.`,
    wide > 0 && ` The interval of ${wide} of ${points.length} points is too wide for a verdict.`,
  ];
  return html`<p class="remark">${sentences}</p>`;
}

function figures(chart: Chart): Html {
  const unit = chart.y.unit ? `, ${chart.y.unit}` : '';
  const body = chart.series.map(({ variant, points }) =>
    points.map(
      (
        point,
        i,
      ) => html`<tr>${i === 0 && html`<th scope="rowgroup" rowspan="${points.length}">${variant}</th>`}
<td class="${typeof point.x === 'number' ? 'number' : ''}">${showPlace(point.x)}</td>
<td class="number">${formatNumber(point.median)}</td><td class="number">${formatNumber(point.low)} to ${formatNumber(point.high)}</td>
<td class="number">${point.samples}</td><td class="number">${point.outliers}</td><td>${point.wide && 'too wide'}</td></tr>`,
    ),
  );
  const places = isNumeric(chart) ? 'number' : '';
  const head: [kind: string, name: string][] = [
    ['', ''],
    [places, nameOf(chart.x.label, chart.x.unit)],
    ['number', `median${unit}`],
    ['number', '95 % interval'],
    ['number', 'samples'],
    ['number', 'set aside'],
    ['', ''],
  ];
  return scrolling(
    `Figures: ${chart.title}`,
    html`<table><thead><tr>${head.map(([kind, name]) => html`<th scope="col" class="${kind}">${name}</th>`)}</tr></thead>
${body.map((rows) => html`<tbody>${rows}</tbody>`)}</table>`,
  );
}

/** A table that may be wider than the page scrolls by itself, by keyboard, too. */
function scrolling(label: string, content: Html): Html {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">${content}</div>`;
}

/** An experiment's own table: numbers to the right. */
export function tabular(table: Table): Html {
  const numeric = table.columns.map(
    (_, column) => table.rows.length > 0 && table.rows.every((row) => typeof row[column] === 'number'),
  );
  const kind = (right: boolean) => (right ? 'number' : '');
  const cell = (value: string | number) =>
    html`<td class="${kind(typeof value === 'number')}">${showPlace(value)}</td>`;
  return html`<div class="tabular"><h3>${table.title}</h3>
${scrolling(
  table.title,
  html`<table><thead><tr>${table.columns.map((name, column) => html`<th scope="col" class="${kind(numeric[column])}">${name}</th>`)}</tr></thead>
<tbody>${table.rows.map((row) => html`<tr>${row.map(cell)}</tr>`)}</tbody></table>`,
)}</div>
`;
}
