import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, pointOf, ratioOf, shown, together, withInterval } from '../../src/lab/intervals.js';
import { sharedRun } from '../../src/lab/turns.js';

const point = (low: number, median: number, high: number, x: number | string = 1) => ({
  ...{ x, low, median, high, samples: 9, outliers: 0, wide: false },
});

test('a ratio spans what both intervals allow; a verdict needs all of it on one side', () => {
  const ratio = ratioOf(point(90, 100, 110), point(40, 50, 60));
  assert.deepEqual(ratio, { value: 2, low: 1.5, high: 2.75, wide: false });
  assert.equal(judge(ratio, 1), 'above');
  assert.equal(judge(ratio, 3), 'below');
  assert.equal(judge(ratio, 2), 'unclear');
  assert.equal(judge(ratioOf({ ...point(90, 100, 110), wide: true }, point(40, 50, 60)), 1), 'unclear');
  assert.equal(ratioOf(point(1, 1, 1), point(0, 1, 2)).high, Number.POSITIVE_INFINITY);
  assert.equal(together(['agrees', 'unclear']), 'unclear');
  assert.equal(together(['agrees', 'unclear', 'differs']), 'differs');
  assert.equal(together(['agrees', 'agrees']), 'agrees');
});

test('points are found by curve and place; one that is not there is a mistake', () => {
  const series = [{ variant: 'a', points: [point(1, 2, 3, 64)] }];
  assert.equal(pointOf(series, 'a', 64).median, 2);
  assert.throws(() => pointOf(series, 'a', 65), RangeError);
  assert.throws(() => pointOf(series, 'b', 64), RangeError);
});

test('numbers for sentences', () => {
  assert.deepEqual([0.123, 2.34, 12.34, 1234.5].map(shown), ['0.12', '2.3', '12.3', '1,235']);
  assert.equal(withInterval(point(90, 100, 110)), '100 (90.0 … 110)');
});

test('figures of one run: one run a round, whoever is asked first', async () => {
  let runs = 0;
  const of = sharedRun(() => {
    runs++;
    return { a: runs, b: -runs };
  });
  const [a, b] = [of('a'), of('b')];
  assert.deepEqual([await a(), await b()], [1, -1]);
  assert.deepEqual([await b(), await a()], [-2, 2]);
  // Warming up: one case several times, then the other. Only what the last run left is still of use.
  assert.deepEqual([await a(), await a(), await b(), await b()], [3, 4, -4, -5]);
  assert.deepEqual([await a(), await b(), await a()], [5, -6, 6]);
  assert.equal(runs, 6);
});
