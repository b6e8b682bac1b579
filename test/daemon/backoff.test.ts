/** How often what fails is tried again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../src/daemon/backoff.js';

test('the first time at once, then ever later, but never later than 16 s', () => {
  const backoff = new Backoff();
  const tried: number[] = [];
  for (let ms = 0; ms <= 64_000; ms += 50) {
    if (!backoff.isDue(7, ms)) continue;
    tried.push(ms);
    backoff.failed(7, ms);
  }
  assert.deepEqual(tried, [0, 1000, 3000, 7000, 15_000, 31_000, 47_000, 63_000]);
});

test('another interface is tried at once, and so is one that did well since', () => {
  const backoff = new Backoff();
  backoff.failed(7, 0);
  backoff.failed(7, 1000);
  assert.deepEqual([backoff.isDue(7, 1500), backoff.isDue(8, 1500)], [false, true]);
  backoff.failed(8, 1500);
  assert.deepEqual([backoff.isDue(8, 2400), backoff.isDue(8, 2500)], [false, true]);
  backoff.succeeded();
  assert.equal(backoff.isDue(8, 2400), true);
});
