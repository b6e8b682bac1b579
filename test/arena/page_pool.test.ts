/** Pages that change hands, both ways that Linux has: whose bytes are where, what stays empty, what a racing guest does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { type Exchange, PagePool } from '../../src/arena/page_pool.js';
import { SetupError } from '../../src/sys/errors.js';

const PAGE = 4096;
const GUEST_PAGES = 32;

function setUp(by: Exchange) {
  const arena = Arena.create(1 << 24);
  const free = arena.freePages;
  const pool = new PagePool(arena, instantiateLoops(arena), 8, by);
  const guest = arena.allocate(GUEST_PAGES * PAGE, 'guest');
  pool.admit(guest, GUEST_PAGES * PAGE);
  const page = (at: number) => arena.u8.subarray(at, at + PAGE);
  return { arena, pool, guest, page, free };
}

for (const by of ['UFFDIO_MOVE', 'mremap'] as const) {
  describe(`page pool, by ${by}`, () => {
    test('page and page change places, and nothing else moves', () => {
      const { arena, pool, guest, page, free } = setUp(by);
      assert.equal(pool.by, by);
      assert.equal(pool.free, 8);
      for (let i = 0; i < GUEST_PAGES; i++) page(guest + i * PAGE).fill(i + 1);
      for (let turn = 0; turn < 500; turn++) {
        const which = (turn * 7) % GUEST_PAGES;
        const mine = pool.take();
        assert.ok(mine >= pool.start && mine < pool.end);
        page(mine).fill(100 + (turn % 100));
        const had = arena.u8[guest + which * PAGE];
        assert.equal(pool.exchange(mine, guest + which * PAGE), 0);
        assert.ok(page(guest + which * PAGE).every((byte) => byte === 100 + (turn % 100)));
        assert.equal(pool.free, 8, 'the pool is refilled');
        const back = pool.take();
        assert.ok(
          page(back).every((byte) => byte === had),
          'with the page that the guest had',
        );
        pool.give(back);
        const next = (which + 1) % GUEST_PAGES;
        const neighbour = page(guest + next * PAGE);
        assert.ok(neighbour.every((byte) => byte === neighbour[0]));
      }
      pool.close();
      arena.free(guest, GUEST_PAGES * PAGE);
      assert.equal(arena.freePages, free);
    });

    test('a page that was never touched changes hands as zeroes', () => {
      const { pool, guest, page } = setUp(by);
      const mine = pool.take();
      assert.equal(pool.exchange(mine, guest), 0);
      assert.ok(page(guest).every((byte) => byte === 0));
      page(pool.take()).fill(9);
      page(guest).fill(8); // neither is a hole
      pool.close();
    });

    test('all pages can be out, and an empty pool says so', () => {
      const { pool } = setUp(by);
      const pages = Array.from({ length: 8 }, () => pool.take());
      assert.equal(new Set(pages).size, 8);
      assert.equal(pool.take(), 0);
      for (const one of pages) pool.give(one);
      assert.equal(pool.free, 8);
      pool.close();
    });

    test('a guest that writes to a page it has posted cannot break the pool', async () => {
      const { arena, pool, guest, page } = setUp(by);
      const stop = new Int32Array(new SharedArrayBuffer(4));
      const hammer = new Worker(
        `const { workerData: { memory, guest, stop, pages } } = require('node:worker_threads');
         const u32 = new Uint32Array(memory.buffer);
         while (Atomics.load(stop, 0) === 0)
           for (let i = 0; i < pages; i++) u32[(guest + i * 4096) / 4 + 7] = 0x77777777;`,
        { eval: true, workerData: { memory: arena.memory, guest, stop, pages: GUEST_PAGES } },
      );
      await new Promise((resolve) => hammer.once('online', resolve));
      for (let turn = 0; turn < 20_000; turn++) {
        const mine = pool.take();
        page(mine).fill(turn);
        const result = pool.exchange(mine, guest + (turn % GUEST_PAGES) * PAGE);
        assert.ok(result <= 0 && result > -200);
        assert.equal(pool.free, 8);
      }
      Atomics.store(stop, 0, 1);
      await new Promise((resolve) => hammer.once('exit', resolve));
      const pages = Array.from({ length: 8 }, () => pool.take());
      assert.equal(new Set(pages).size, 8, 'no page is there twice');
      for (const mine of pages) {
        page(mine).fill(0xab);
        assert.equal(pool.exchange(mine, guest), 0);
        assert.ok(page(guest).every((byte) => byte === 0xab));
      }
      pool.close();
    });
  });
}

test('an arena without room for a pool says so and stays whole', () => {
  const arena = Arena.create(1 << 20);
  const free = arena.freePages;
  assert.throws(() => new PagePool(arena, instantiateLoops(arena), 100_000), SetupError);
  assert.equal(arena.freePages, free);
});
