/** The page allocator: first fit, merging, refusal; and a random run against a plain set of pages. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PageAllocator } from '../../src/arena/pages.js';
import { randomSource } from '../support/random.js';

describe('page allocator', () => {
  test('gives runs from the front and merges what comes back, in any order', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [0, 2, 1],
      [2, 0, 1],
      [1, 2, 0],
    ]) {
      const pages = new PageAllocator(16, 46);
      const runs = [pages.take(10), pages.take(10), pages.take(10)];
      assert.deepEqual(runs, [16, 26, 36]);
      assert.equal(pages.free, 0);
      for (const i of order) pages.give(runs[i]!, 10);
      assert.equal(pages.take(30), 16, `after giving back in the order ${order}`);
    }
  });

  test('says so when no run is long enough, even if enough pages are free', () => {
    const pages = new PageAllocator(0, 30);
    const [a, , c] = [pages.take(10), pages.take(10), pages.take(10)];
    assert.equal(pages.take(1), undefined);
    pages.give(a!, 10);
    pages.give(c!, 10);
    assert.equal(pages.free, 20);
    assert.equal(pages.take(11), undefined);
    assert.equal(pages.take(10), 0);
  });

  test('a page that is free already cannot be given back', () => {
    const pages = new PageAllocator(0, 30);
    pages.take(30);
    pages.give(10, 10);
    for (const [start, count] of [
      [10, 10],
      [5, 6],
      [19, 2],
      [12, 1],
      [0, 30],
    ]) {
      assert.throws(() => pages.give(start, count), RangeError, `${start}, ${count}`);
    }
    assert.equal(pages.free, 10);
  });

  test('never hands a page out twice, and forgets none, in 20,000 random steps', () => {
    const random = randomSource(1);
    const pages = new PageAllocator(7, 507);
    const held: { start: number; count: number }[] = [];
    const taken = new Set<number>();
    for (let step = 0; step < 20_000; step++) {
      if (random(2) === 0) {
        const count = 1 + random(20);
        const start = pages.take(count);
        if (start === undefined) continue;
        for (let page = start; page < start + count; page++) {
          assert.ok(page >= 7 && page < 507 && !taken.has(page), `step ${step}: page ${page}`);
          taken.add(page);
        }
        held.push({ start, count });
      } else if (held.length > 0) {
        const [run] = held.splice(random(held.length), 1);
        pages.give(run.start, run.count);
        for (let page = run.start; page < run.start + run.count; page++) taken.delete(page);
      }
      assert.equal(pages.free, 500 - taken.size);
    }
    for (const run of held) pages.give(run.start, run.count);
    assert.equal(pages.take(500), 7, 'all in one piece again');
  });
});
