import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interleave, rounds } from '../../src/lab/rounds.js';

function take(count: number, n: number, seed = 1): number[][] {
  const turns = rounds(count, seed);
  return Array.from({ length: n }, () => turns.next().value);
}

/** How often each follows each within a round. */
function followers(orders: number[][]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const order of orders) {
    for (let i = 1; i < order.length; i++) {
      const pair = `${order[i - 1]}→${order[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
  }
  return counts;
}

test('each round has every case once', () => {
  for (const count of [1, 2, 3, 7, 10, 41]) {
    for (const order of take(count, 2 * count + 3)) {
      assert.deepEqual(
        order.toSorted((a, b) => a - b),
        Array.from({ length: count }, (_, i) => i),
      );
    }
  }
});

test('a square: every case follows every other once, twice when their number is odd; each place once', () => {
  for (const [count, length, times] of [
    [2, 2, 1],
    [4, 4, 1],
    [10, 10, 1],
    [3, 6, 2],
    [7, 14, 2],
  ]) {
    const square = take(count, length);
    const counts = followers(square);
    assert.equal(counts.size, count * (count - 1), `${count} cases`);
    assert.deepEqual(new Set(counts.values()), new Set([times]), `${count} cases`);
    for (let place = 0; place < count; place++) {
      assert.equal(
        new Set(square.map((order) => order[place])).size,
        count,
        `${count} cases, place ${place}`,
      );
    }
  }
});

test('fewer rounds than a square has: nobody follows the same one twice', () => {
  assert.deepEqual(new Set(followers(take(40, 7)).values()), new Set([1]));
});

test('the order is the seed’s: the same again, another with another', () => {
  assert.deepEqual(take(9, 30, 5), take(9, 30, 5));
  assert.notDeepEqual(take(9, 30, 5), take(9, 30, 6));
  const [first, second] = [take(6, 6, 5), take(6, 12, 5).slice(6)];
  assert.notDeepEqual(first, second, 'the next square is drawn anew');
});

test('no cases: rounds of nothing', () => {
  assert.deepEqual(take(0, 3), [[], [], []]);
});

test('interleave takes turns, in the rounds’ order, one at a time', async () => {
  const order: string[] = [];
  let running = 0;
  const variant = (name: string) => async (i: number) => {
    assert.equal(++running, 1);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(name);
    running--;
    return `${name}${i}`;
  };
  const values = await interleave({ a: variant('a'), b: variant('b'), c: variant('c') }, 3, 1);
  const expected = take(3, 3).flat();
  assert.equal(order.join(''), expected.map((i) => 'abc'[i]).join(''));
  assert.deepEqual(values, { a: ['a0', 'a1', 'a2'], b: ['b0', 'b1', 'b2'], c: ['c0', 'c1', 'c2'] });
});

test('interleave passes on what a variant throws', async () => {
  const bad = () => {
    throw new Error('no link');
  };
  await assert.rejects(interleave({ good: () => 1, bad }, 2), /no link/);
});
