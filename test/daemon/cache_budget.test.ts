/** How far vm.max_map_count goes, and what becomes of vifs beyond it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CacheBudget, limitFor, MAP_COUNT, vifsWithin } from '../../src/daemon/cache_budget.js';
import { CACHE_PAGES } from '../../src/transfer/persistent.js';

test('the kernel’s default is enough for 45 vifs, full caches for the first ones', () => {
  const budget = new CacheBudget(MAP_COUNT);
  assert.equal(budget.take('persistent'), CACHE_PAGES);
  const caches = [CACHE_PAGES];
  for (let pages = budget.take('persistent'); pages > 0; pages = budget.take('persistent'))
    caches.push(pages);
  assert.equal(caches.length, 45);
  assert.equal(vifsWithin(MAP_COUNT), 45);
  assert.ok(caches.every((pages, i) => pages >= 512 && (i === 0 || pages <= caches[i - 1])));
  assert.ok(caches.reduce((sum, pages) => sum + pages) <= MAP_COUNT * 0.75);
});

test('what one gives back another can have', () => {
  const budget = new CacheBudget(8192);
  const first = budget.take('static');
  while (budget.take('persistent') > 0);
  assert.equal(budget.take('persistent'), 0);
  budget.give(first);
  assert.ok(budget.take('persistent') > 0);
});

test('a limit for many vifs is enough for them, and the next smaller one is not', () => {
  for (const vifs of [1, 45, 128, 512]) {
    const limit = limitFor(vifs);
    assert.ok(vifsWithin(limit) >= vifs);
    assert.ok(vifsWithin(limit - 4096) < vifs);
  }
  assert.equal(vifsWithin(100), 0);
});
