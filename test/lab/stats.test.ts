import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CONFIDENCE,
  median,
  medianInterval,
  quartiles,
  setAside,
  summarize,
  toSeries,
  WIDE,
} from '../../src/lab/stats.js';
import { randomSource } from '../support/random.js';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test('median of odd, even, one and no values, whatever their order', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([10, 2, 9, 1]), 5.5);
  assert.equal(median([7]), 7);
  assert.equal(median([100, 20, 3]), 20); // numbers, not strings
  assert.ok(Number.isNaN(median([])));
});

test('median leaves its argument as it was', () => {
  const values = [3, 1, 2];
  median(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test('quartiles interpolate between order statistics, as R does by default', () => {
  assert.deepEqual(quartiles([1, 2, 3, 4, 5]), { q1: 2, median: 3, q3: 4 });
  assert.deepEqual(quartiles([4, 3, 2, 1]), { q1: 1.75, median: 2.5, q3: 3.25 });
});

test('median interval: the ranks of the published tables', () => {
  // Conover, Practical Nonparametric Statistics, table of the sign test; also R: qbinom(0.025, n, 0.5).
  const ranks: [n: number, k: number][] = [
    [6, 1], [7, 1], [8, 1], [9, 2], [11, 2], [12, 3], [15, 4], [17, 5], [20, 6], [25, 8], [50, 18], [100, 40],
  ]; // biome-ignore format: one row
  for (const [n, k] of ranks) {
    const { low, high, coverage } = medianInterval(upTo(n).toReversed());
    assert.deepEqual([low, high], [k, n + 1 - k], `n = ${n}`);
    assert.ok(coverage >= CONFIDENCE, `n = ${n}: ${coverage}`);
  }
  assert.ok(Math.abs(medianInterval(upTo(9)).coverage - (1 - 20 / 512)) < 1e-12);
});

test('median interval: fewer than six values cannot give 95 %, and say what they give', () => {
  assert.deepEqual(medianInterval([3, 1, 2]), { low: 1, high: 3, coverage: 0.75 });
  assert.deepEqual(medianInterval([1, 2, 3, 4, 5]), { low: 1, high: 5, coverage: 0.9375 });
  assert.deepEqual(medianInterval([1]), { low: 1, high: 1, coverage: 0 });
  assert.throws(() => medianInterval([]), RangeError);
});

test('median interval: more values than 2^-n can be written for', () => {
  const n = 4000;
  const { low, high, coverage } = medianInterval(upTo(n));
  // Normal approximation: n/2 ± 1.96 √n/2.
  assert.ok(Math.abs(low - (n / 2 - 0.98 * Math.sqrt(n))) < 2, `${low}`);
  assert.equal(low + high, n + 1);
  assert.ok(coverage >= 0.95 && coverage < 0.96, `${coverage}`);
});

test('median interval: holds the true median as often as it says, of a skewed distribution', () => {
  const random = randomSource(42);
  const exponential = () => -Math.log((random(1 << 30) + 1) / ((1 << 30) + 1));
  let held = 0;
  for (let i = 0; i < 4000; i++) {
    const { low, high } = medianInterval(Array.from({ length: 15 }, exponential));
    if (low <= Math.LN2 && Math.LN2 <= high) held++;
  }
  assert.ok(held / 4000 > 0.95 && held / 4000 < 0.98, `${held / 4000}; the theory says 0.9648`);
});

test('outliers: far ones on either side are set aside, a second mode and a clock tick are not', () => {
  const quiet = [100, 101, 102, 103, 104, 105, 106];
  assert.deepEqual(setAside([...quiet, 500, 1]), { kept: quiet, aside: [500, 1] });
  assert.deepEqual(setAside([...quiet, 110]).aside, []); // within three interquartile ranges
  const modes = [10, 10, 10, 11, 11, 11, 50, 51, 52];
  assert.deepEqual(setAside(modes).aside, []);
  assert.deepEqual(setAside([200, 200, 200, 200, 200, 200, 203]).aside, []); // IQR 0, but 1.5 %
  assert.deepEqual(setAside([200, 200, 200, 200, 200, 200, 220]).aside, [220]);
  assert.deepEqual(setAside([0, 0, 0, 0, 0, 0, 1]).aside, []); // no scale at all
  assert.deepEqual(setAside([1, 1, 1, 1, 1000]).aside, []); // too few to judge
});

test('a point: counts what was set aside, and says when its interval is too wide', () => {
  const steady = summarize(64, [100, 101, 102, 103, 104, 105, 106, 107, 108, 5000]);
  assert.deepEqual(steady, { x: 64, median: 104, low: 101, high: 107, samples: 9, outliers: 1, wide: false });
  const noisy = summarize('a', [60, 80, 100, 120, 140, 160, 180, 90, 110]);
  assert.ok(noisy.high - noisy.low > WIDE * noisy.median);
  assert.equal(noisy.wide, true);
  assert.equal(summarize(1, [5, 5, 5, 5, 5]).wide, true, 'five samples have no 95 % interval');
  assert.equal(summarize(1, [0, 0, 0, 0, 0, 0]).wide, false);
  assert.equal(
    summarize(1, [-100, -101, -102, -103, -104, -105, -106]).wide,
    false,
    'differences may be negative',
  );
  assert.throws(() => summarize(1, []), RangeError);
});

test('series: variants and places in the order in which they come, without those that have no sample', () => {
  const six = [1, 1, 1, 1, 1, 1];
  const series = toSeries([
    { variant: 'b', x: 2, samples: six },
    { variant: 'a', x: 'y', samples: six },
    { variant: 'b', x: 1, samples: six },
    { variant: 'c', x: 1, samples: [] },
  ]);
  assert.deepEqual(
    series.map(({ variant, points }) => [variant, points.map((point) => point.x)]),
    [
      ['b', [2, 1]],
      ['a', ['y']],
    ],
  );
});
