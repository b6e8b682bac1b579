/** Break-even arithmetic on made-up curves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { breakEven, bytesList, medianAt, seriesOf } from '../../src/lab/compare.js';
import type { Point, Series } from '../../src/lab/experiment.js';

const SIZES = [64, 128, 256, 512, 1024, 2048, 4096];

/** A curve with intervals of ± `slack`. */
function curve(
  variant: string,
  cost: (x: number) => number,
  slack = 1,
  wide: readonly number[] = [],
): Series {
  const points = SIZES.map((x): Point => {
    const median = cost(x);
    return {
      x,
      median,
      low: median - slack,
      high: median + slack,
      samples: 20,
      outliers: 0,
      wide: wide.includes(x),
    };
  });
  return { variant, points };
}

describe('break-even', () => {
  const flip = curve('flip', () => 1000);

  test('a copy that grows with the packet crosses a flip that does not, once', () => {
    const copy = curve('copy', (x) => 500 + x / 2);
    const even = breakEven(copy, flip);
    assert.equal(even.kind, 'crossings');
    assert.equal(even.crossings.length, 1);
    assert.deepEqual(even.crossings[0], { at: 1000, above: 'second', from: 512, to: 1024 });
    assert.deepEqual(even.first, [64, 128, 256, 512]);
    assert.deepEqual(even.second, [1024, 2048, 4096]);
    assert.deepEqual(even.doubtful, []);
  });

  test('the same seen from the other side', () => {
    const even = breakEven(
      flip,
      curve('copy', (x) => 500 + x / 2),
    );
    assert.deepEqual(even.crossings, [{ at: 1000, above: 'first', from: 512, to: 1024 }]);
  });

  test('never, and always', () => {
    const cheap = breakEven(
      curve('copy', (x) => x / 100),
      flip,
    );
    assert.equal(cheap.kind, 'first');
    assert.deepEqual(cheap.crossings, []);
    assert.deepEqual(cheap.first, SIZES);
    const dear = breakEven(
      curve('copy', (x) => 3000 + x),
      flip,
    );
    assert.equal(dear.kind, 'second');
    assert.deepEqual(dear.second, SIZES);
  });

  test('several crossings, each with its direction', () => {
    const wave = curve('copy', (x) => (x === 256 || x === 512 ? 1400 : x === 4096 ? 2000 : 600));
    const even = breakEven(wave, flip);
    assert.deepEqual(
      even.crossings.map(({ at, above }) => [Math.round(at), above]),
      [
        [192, 'second'],
        [768, 'first'],
        [2633, 'second'],
      ],
    );
  });

  test('intervals that overlap leave the neighbourhood of a crossing open', () => {
    const even = breakEven(
      curve('copy', (x) => 500 + x / 2, 300),
      curve('flip', () => 1000, 100),
    );
    assert.deepEqual(even.crossings, [{ at: 1000, above: 'second', from: 128, to: 2048 }]);
    assert.deepEqual(even.doubtful, [256, 512, 1024]);
  });

  test('a crossing that nothing confirms has no bounds', () => {
    const even = breakEven(
      curve('copy', (x) => 500 + x / 2, 10_000),
      flip,
    );
    assert.deepEqual(even.crossings, [{ at: 1000, above: 'second', from: undefined, to: undefined }]);
    assert.deepEqual(even.doubtful, SIZES);
  });

  test('a point whose interval is too wide says only what is a whole factor apart', () => {
    const near = breakEven(
      curve('copy', () => 700, 1, [128, 4096]),
      flip,
    );
    assert.equal(near.kind, 'first');
    assert.deepEqual(near.doubtful, [128, 4096]);
    const far = breakEven(
      curve('copy', () => 100, 1, [128, 4096]),
      flip,
    );
    assert.deepEqual(far.doubtful, []);
  });

  test('equal medians are no crossing of their own; touching intervals are doubtful', () => {
    const even = breakEven(
      curve('copy', (x) => (x < 256 ? 900 : x === 256 ? 1000 : 1100)),
      flip,
    );
    assert.equal(even.crossings.length, 1);
    assert.deepEqual(even.doubtful, [256]);
    assert.equal(breakEven(flip, flip).kind, 'none');
  });

  test('only places that both curves have count, in any order', () => {
    const points = flip.points.filter(({ x }) => x === 64 || x === 4096).reverse();
    const even = breakEven(
      { variant: 'flip', points },
      curve('copy', (x) => 500 + x / 2),
    );
    assert.equal(even.crossings.length, 1);
    assert.equal(even.doubtful.length + even.first.length + even.second.length, 2);
    assert.equal(breakEven({ variant: 'flip', points: [] }, flip).kind, 'none');
  });
});

test('words of a sentence', () => {
  assert.equal(bytesList([64]), '64 bytes');
  assert.equal(bytesList([64, 128, 256]), '64, 128 and 256 bytes');
  assert.equal(bytesList([]), 'no bytes');
  const series = [curve('a', () => 12.34), curve('b', () => 1234.5)];
  assert.equal(medianAt(seriesOf(series, 'a'), 64), '12.3');
  assert.equal(medianAt(seriesOf(series, 'b'), 64), '1235');
  assert.equal(medianAt(seriesOf(series, 'b'), 65), '?');
  assert.throws(() => seriesOf(series, 'c'), RangeError);
});
