/** The front end's half of a control ring before a back end that is slow, silent or hostile. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NETIF_CTRL_RING_SIZE, RING_RSP_PROD } from '../../src/abi/ring.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { announcePages } from '../../src/guest/static_pages.js';
import { announcement, ControlFront } from '../../src/netif/control_front.js';
import { pagesToAnnounce } from '../../src/netif/netfront_memory.js';

function setUp() {
  const arena = Arena.create(1 << 22);
  const loops = instantiateLoops(arena);
  const ring = arena.allocate(4096, 'ring');
  const list = arena.allocate(4096, 'list');
  loops.initRing(ring);
  const front = new ControlFront(arena, loops, ring, () => {});
  const answered = (n: number) => Atomics.store(arena.u32, (ring + RING_RSP_PROD) / 4, n >>> 0);
  return { arena, front, list, answered };
}

describe('ControlFront', () => {
  test('a ring of unanswered requests takes no more; each answer makes room for one', () => {
    const { front, answered } = setUp();
    for (let i = 0; i < NETIF_CTRL_RING_SIZE; i++) assert.equal(front.send([8, 0]), i);
    assert.equal(front.send([8, 0]), undefined);
    answered(1);
    assert.equal(front.take()?.type, 8);
    assert.equal(front.take(), undefined);
    assert.equal(front.send([8, 0]), NETIF_CTRL_RING_SIZE);
    assert.equal(front.send([8, 0]), undefined);
  });

  test('answers to what was not asked are not listened to', () => {
    const { front, answered } = setUp();
    front.send([8, 0]);
    for (const n of [2, 200, 0x80000000, 0xffffffff]) {
      answered(n);
      assert.equal(front.take(), undefined, `${n}`);
    }
    answered(1);
    assert.ok(front.take());
  });

  test('a back end that never answers: the guest goes on with nothing announced', async () => {
    const { arena, front, list } = setUp();
    const start = performance.now();
    assert.equal(await announcePages(arena, front, list), 0);
    assert.ok(performance.now() - start < 5000);
  });

  test('what the back end says of its table decides, whatever it says', () => {
    const { arena, list } = setUp();
    const answer = (type: number, status: number, data: number) => ({ id: 0, type, status, data });
    for (const [status, data, asked] of [
      [1, 100, 0],
      [2, 100, 0],
      [0xffffffff, 100, 0],
      [0, 0, 0],
      [0, 1, 1],
      [0, 513, 2],
      [0, 0xffffffff, 11],
    ]) {
      const steps = announcement(arena, list, 12, pagesToAnnounce);
      assert.deepEqual(steps.next().value, [8, 0]);
      let lists = 0;
      let step = steps.next(answer(8, status, data));
      for (; !step.done; step = steps.next(answer(9, 0, 0))) lists++;
      assert.equal(lists, asked, `status ${status}, ${data} pages`);
    }
    // A list that is refused is the last one.
    const steps = announcement(arena, list, 12, pagesToAnnounce);
    steps.next();
    steps.next(answer(8, 0, 2000));
    steps.next(answer(9, 0, 0));
    const end = steps.next(answer(9, 2, 0));
    assert.deepEqual(end, { done: true, value: 512 });
  });
});
