/** The experiments static-buffer and transmit, run for real and briefly, and the guest's allocator behind one of them. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Experiment, Findings } from '../../src/lab/experiment.js';
import { staticBuffer } from '../../src/lab/experiments/static_buffer.js';
import { transmit } from '../../src/lab/experiments/transmit.js';
import { GuestPages } from '../../src/lab/machine/guest_pages.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { randomSource } from '../support/random.js';
import { fakeLab } from './fake_lab.js';

const descriptors = () => readdirSync('/proc/self/fd').length;

async function tried(experiment: Experiment): Promise<Findings> {
  assert.equal(await experiment.missing(), undefined);
  const before = descriptors();
  const found = await experiment.run(fakeLab(2));
  assert.equal(descriptors(), before, 'no domain is left');
  for (const chart of found.charts) {
    assert.ok(chart.series.length >= 3, chart.title);
    for (const { variant, points } of chart.series) {
      assert.ok(points.length >= 5, variant);
      for (const { median } of points) assert.ok(median > 1 && median < 1e6, `${variant}: ${median} ns`);
    }
  }
  for (const table of found.tables)
    for (const row of table.rows) assert.equal(row.length, table.columns.length, table.title);
  for (const { sentence } of found.verdicts) assert.doesNotMatch(sentence, /undefined|NaN|Infinity/);
  return found;
}

test('static-buffer: every transfer with one copy and with two; the second is a real one', async () => {
  const { charts, tables, verdicts } = await tried(staticBuffer);
  assert.deepEqual(
    charts[0].series.map((series) => series.variant).sort(),
    ['grant-copy', 'persistent', 'static'].flatMap((name) => [`${name}, one copy`, `${name}, two copies`]),
  );
  assert.equal(tables[0].rows.length, 21);
  assert.equal(verdicts.length, 2);
});

test('transmit: hit rates are those of the cache, and what they depend on shows in them', async () => {
  const { charts, tables, missing } = await tried(transmit);
  const [bySize, byShare] = charts.map((chart) => chart.series.map((series) => series.variant));
  const ways = TRANSFER_NAMES.filter((name: string) => name !== 'flip');
  assert.deepEqual([...bySize].sort(), [...ways].sort());
  assert.ok(
    byShare.includes('persistent, references kept') && byShare.includes('persistent, references anew'),
  );
  assert.equal(missing.length, (TRANSFER_NAMES as readonly string[]).includes('map') ? 0 : 1);
  const rate = (fresh: string, references: string) => {
    const row = tables[0].rows.find((one) => one[0] === fresh && one[1] === references);
    return Number.parseFloat(String(row?.[2]));
  };
  assert.equal(rate('0 %', 'kept'), 100, 'pages used a moment ago are mapped');
  assert.ok(rate('5 %', 'kept') > 90 && rate('5 %', 'kept') < 100);
  assert.ok(rate('100 %', 'kept') < 5, 'a cache of 2048 pages has forgotten a page when 5120 come round');
  assert.ok(rate('20 %', 'anew') < rate('20 %', 'kept'), 'another reference is another grant');
});

describe('the guest’s page allocator', () => {
  const numbers = Array.from({ length: 2000 }, (_, i) => i);

  test('without fresh pages the same few go round', () => {
    const pages = new GuestPages(numbers, 0, () => 0.5);
    const used = new Set<number>();
    for (let turn = 0; turn < 100; turn++) {
      const burst = Array.from({ length: 64 }, () => pages.take());
      for (const page of burst) used.add(page);
      for (const page of burst) pages.give(page);
    }
    assert.equal(used.size, 64);
  });

  test('no page is handed out twice, and all can be had', () => {
    const random = randomSource(4);
    const pages = new GuestPages(numbers, 0.3, () => random(1000) / 1000);
    const out = new Set<number>();
    for (let turn = 0; turn < 20_000; turn++) {
      if (out.size === 0 || (out.size < 1500 && random(2) === 0)) {
        const page = pages.take();
        assert.ok(!out.has(page), `page ${page} twice`);
        out.add(page);
      } else {
        const page = [...out][random(out.size)];
        out.delete(page);
        pages.give(page);
      }
    }
    while (out.size < numbers.length) out.add(pages.take());
    assert.throws(() => pages.take(), RangeError);
  });

  test('the share of fresh pages is the one asked for', () => {
    const random = randomSource(9);
    const pages = new GuestPages(numbers, 0.2, () => random(1_000_000) / 1e6);
    let last: number[] = [];
    let fresh = 0;
    for (let turn = 0; turn < 300; turn++) {
      const recent = new Set(last);
      last = Array.from({ length: 64 }, () => pages.take());
      if (turn > 50) fresh += last.filter((page) => !recent.has(page)).length;
      for (const page of last) pages.give(page);
    }
    const share = fresh / (249 * 64);
    assert.ok(share > 0.15 && share < 0.35, `${share}`);
  });
});
