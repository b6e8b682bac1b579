/** The report as text: everything is in it, and nothing that comes from results can become markup. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHTML } from 'linkedom';
import type { Chart, Point } from '../../src/lab/experiment.js';
import { makeReport } from '../../src/lab/report.js';
import { placeAxis, valueAxis } from '../../src/lab/report_axes.js';
import { drawChart } from '../../src/lab/report_chart.js';
import { escaped, formatNumber, formatSeconds, html } from '../../src/lab/report_html.js';
import { ranges } from '../../src/lab/report_method.js';
import { CURVES } from '../../src/lab/report_style.js';
import type { Results } from '../../src/lab/results.js';
import { syntheticResults } from './synthetic.js';

const point = (x: number | string, median: number, low = median, high = median): Point => ({
  x,
  median,
  low,
  high,
  samples: 9,
  outliers: 0,
  wide: false,
});

function chart(points: Point[], rest: Partial<Chart> = {}): Chart {
  const x = { label: 'size', unit: 'bytes', scale: 'log' } as const;
  const y = { label: 'cost', unit: 'ns', scale: 'linear' } as const;
  return { title: 'A chart', x, y, series: [{ variant: 'v', points }], ...rest };
}

function draw(one: Chart, width = 700): Element {
  const { document } = parseHTML(`<html><body>${drawChart(one, width, 'id', 'wide').text}</body></html>`);
  const svg = document.querySelector('svg');
  assert.ok(svg);
  const markup = svg.outerHTML;
  assert.ok(!/NaN|Infinity|undefined/.test(markup), markup.match(/.{60}(NaN|Infinity|undefined).{20}/)?.[0]);
  return svg;
}

test('numbers as people read them', () => {
  const shown = [
    0, 0.03401, 0.5, 7.8123, 34.52, 183.4, 1500, 12400, 1234567, -3.2, -0.4e-9, 2.5, 64, 999.6,
  ].map(formatNumber);
  assert.deepEqual(shown, [
    '0', '0.034', '0.5', '7.81', '34.5', '183', '1\u202f500', '12\u202f400', '1\u202f234\u202f567', '−3.2', '−4.00e−10',
    '2.5', '64', '1\u202f000',
  ]); // biome-ignore format: one row
  assert.deepEqual([0.24, 9.96, 42.4, 60, 318].map(formatSeconds), [
    '0.2 s',
    '10 s',
    '42 s',
    '1 min',
    '5 min 18 s',
  ]);
  assert.equal(ranges([0, 1, 2, 5, 7, 8]), '0–2, 5, 7–8');
});

test('templates escape values, in text and in attributes', () => {
  assert.equal(html`<p title="${'"><script>'}">${['a', '<b>', html`<i>${"'"}</i>`]}</p>`.text,
    '<p title="&quot;&gt;&lt;script&gt;">a&lt;b&gt;<i>&#39;</i></p>'); // biome-ignore format: two rows
  assert.equal(html`${false}${undefined}${0}`.text, '0');
  assert.equal(escaped('a\u0000b\u001b[31m\ud800c\td'), 'a\ufffdb\ufffd[31m\ufffdc\td');
});

/** Every string of the results, replaced. */
function poisoned(value: unknown, poison: string, key = ''): unknown {
  const kept = ['format', 'effort', 'outcome', 'scale', 'agrees', 'date'];
  if (typeof value === 'string') return kept.includes(key) ? value : `${poison}${value}`;
  if (Array.isArray(value)) return value.map((item) => poisoned(item, poison, key));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, poisoned(item, poison, name)]),
  );
}

test('nothing in results becomes markup, whatever it holds', () => {
  const poison = `"'><script>alert(1)</script><img src=http://x.invalid onerror=alert(2)></style></title>]]>&lt;\u0000`;
  const text = makeReport(poisoned(syntheticResults(), poison) as Results);
  const { document } = parseHTML(text);
  assert.equal(document.querySelectorAll('script, img, iframe, object, link').length, 0);
  for (const element of document.querySelectorAll('*')) {
    const events = [...element.attributes].filter((one) => /^on|^(src|action|formaction)$/i.test(one.name));
    assert.deepEqual(
      events.map((one) => one.name),
      [],
      element.outerHTML.slice(0, 200),
    );
  }
  const plain = parseHTML(makeReport(syntheticResults())).document;
  assert.equal(
    document.querySelectorAll('*').length,
    plain.querySelectorAll('*').length,
    'the same elements as ever',
  );
  assert.ok(!/<script|<img/.test(text) && !text.includes('\0'));
  assert.ok(
    document.querySelector('main')?.textContent?.includes('<script>alert(1)</script>'),
    'shown as it is',
  );
});

test('links within the page lead somewhere; ids are unique', () => {
  const { document } = parseHTML(makeReport(syntheticResults()));
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  assert.equal(new Set(ids).size, ids.length);
  const links = [...document.querySelectorAll('a')].map((one) => one.getAttribute('href') ?? '');
  assert.equal(links.length, 6);
  for (const link of links) assert.ok(ids.includes(link.slice(1)), link);
  for (const svg of document.querySelectorAll('svg[role=img]')) {
    for (const attribute of ['aria-labelledby', 'aria-describedby']) {
      assert.ok(document.getElementById(svg.getAttribute(attribute) ?? '')?.textContent, attribute);
    }
  }
});

test('each chart’s figures are in its table, each point once', () => {
  const results = syntheticResults();
  const { document } = parseHTML(makeReport(results));
  const figures = [...document.querySelectorAll('figure')];
  const charts = results.experiments.flatMap((one) => (one.outcome === 'done' ? one.findings.charts : []));
  assert.equal(figures.length, charts.length);
  for (const [i, { series }] of charts.entries()) {
    const points = series.flatMap((one) => one.points);
    const rows = [...figures[i].querySelectorAll('details tbody tr')];
    assert.equal(rows.length, points.length);
    for (const [j, row] of rows.entries()) {
      const cells = [...row.querySelectorAll('td')].map((cell) => cell.textContent);
      const { x, median, low, high, samples, outliers, wide } = points[j];
      assert.deepEqual(cells, [
        typeof x === 'number' ? formatNumber(x) : x,
        formatNumber(median),
        `${formatNumber(low)} to ${formatNumber(high)}`,
        String(samples),
        String(outliers),
        wide ? 'too wide' : '',
      ]);
    }
  }
});

test('what could not run, failed or was stopped says why; partial results say so', () => {
  const results = syntheticResults();
  const { document } = parseHTML(makeReport(results));
  for (const one of results.experiments) {
    const section = document.querySelector(`[data-experiment="${one.name}"]`);
    assert.equal(section?.getAttribute('data-outcome'), one.outcome);
    if ('reason' in one) assert.ok(section?.textContent?.includes(one.reason));
    assert.ok(section?.textContent?.includes(one.talk.split('\n')[0]), 'beside what the talk said');
  }
  assert.match(document.body.textContent ?? '', /This is partial\. The lab was stopped\./);
  const tally =
    'Of 4 answers, 1 agrees with the talk, 1 differs, 1 is unclear, 1 is not comparable. 3 experiments have none.';
  assert.ok(document.querySelector('header')?.textContent?.includes(tally));
  const whole = makeReport({ ...results, partial: false });
  assert.ok(!whole.includes('This is partial'));
  assert.match(makeReport({ ...results, experiments: [] }), /<\/html>\n$/);
});

test('axes: linear from 0, log between round numbers, ticks within', () => {
  const linear = valueAxis(chart([point(1, 310), point(2, 1420)]), 6);
  assert.deepEqual([linear.scale, linear.domain, linear.ticks.length], ['linear', [0, 1500], 4]);
  const log = (values: number[]) =>
    valueAxis(
      chart(
        values.map((value) => point(1, value)),
        { y: { label: '', unit: '', scale: 'log' } },
      ),
      6,
    );
  assert.deepEqual(log([30, 700]).ticks, [20, 50, 100, 200, 500, 1000]);
  assert.deepEqual(log([3, 700_000]).ticks, [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]);
  assert.deepEqual(log([100, 180]).domain, [100, 180]);
  assert.equal(log([0, 10]).scale, 'linear', 'a log axis has no 0');
  const negative = valueAxis(chart([point(1, -5), point(2, 12)]), 6);
  assert.ok(negative.domain[0] <= -5 && negative.domain[1] >= 12);
});

test('axes: a tick at each place as far as there is room, the largest always', () => {
  const sizes = [64, 128, 256, 512, 1024, 1500, 2048, 4096];
  assert.deepEqual(placeAxis(chart([]), sizes, 650).ticks, sizes);
  const few = placeAxis(chart([]), sizes, 200).ticks;
  assert.ok(few.length < sizes.length && few.at(-1) === 4096);
  assert.deepEqual(placeAxis(chart([]), [5], 200).ticks, [5]);
});

test('charts of all sorts are drawn, at both widths', () => {
  const names = { label: 'way', unit: '', scale: 'names' } as const;
  const log = { label: 'cost', unit: 'ns', scale: 'log' } as const;
  const all: Chart[] = [
    chart([point(64, 10), point(128, 20)]),
    chart([point(64, 10)]),
    chart([point(64, 0), point(128, 0)]),
    chart([point(64, 5, 0, 9), point(128, 7)], { y: log }),
    chart([point(64, -3), point(128, 7)], { y: log }),
    chart([point(0, 1), point(128, 2)]), // x = 0 on a log axis
    chart([point(128, 2), point(64, 1)], {
      marks: [
        { at: 0, label: 'nowhere' },
        { at: 9000, label: 'beyond' },
      ],
    }),
    chart([point('a', 3), point('b', 4)], { x: names }),
    chart([point('a', 3, 0, 5), point('b', 400)], { x: names, y: log }),
    chart([point('a', 0)], { x: names }),
    chart([point('a', 3), point(64, 4)]), // names among numbers
  ];
  for (const one of all) for (const width of [700, 360]) draw(one, width);
});

test('more curves than symbols: the second eight are dashed', () => {
  const series = Array.from({ length: 10 }, (_, i) => ({
    variant: `v${i}`,
    points: [point(1, i + 1), point(2, i + 1)],
  }));
  const dashed = [...draw(chart([], { series })).querySelectorAll('[aria-label=line]')].map((one) =>
    one.getAttribute('stroke-dasharray'),
  );
  assert.deepEqual([dashed[0], dashed[7], dashed[8], dashed[9]], [null, null, '5,3', '5,3']);
});

test('marks: each has its line and its label, and labels do not meet', () => {
  const marks = [1280, 1300, 1290, 480].map((at) => ({ at, label: `at ${at} bytes, said the talk` }));
  const svg = draw(chart([point(64, 10), point(4096, 20)], { marks }));
  const texts = [...svg.querySelectorAll('text')].filter((one) => one.textContent?.includes('said the talk'));
  assert.equal(texts.length, 4);
  const places = texts.map((one) =>
    one
      .closest('g')
      ?.outerHTML.match(/translate\([^)]*\)/g)
      ?.join(),
  );
  assert.equal(new Set(places).size, 4);
  assert.equal(svg.querySelectorAll('g[aria-label=rule][stroke-dasharray="4,4"]').length, 4);
});

/** Relative luminance and contrast as WCAG 2.2 defines them. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const [red, green, blue] = [1, 3, 5].map((i) => {
      const part = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

test('curves stand out from the page, in light and dark', () => {
  for (const [colours, paper] of [
    [CURVES.light, '#ffffff'],
    [CURVES.dark, '#14181d'],
  ] as const) {
    for (const colour of colours)
      assert.ok(contrast(colour, paper) >= 3, `${colour} on ${paper}: ${contrast(colour, paper)}`);
  }
});
