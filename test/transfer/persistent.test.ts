/** The mapping cache of "persistent": bounded, least recently used out, honest about grants that end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  C_CACHE_COPIED,
  C_CACHE_EVICTIONS,
  C_CACHE_HITS,
  C_CACHE_MISSES,
  COUNTERS_SIZE,
} from '../../assembly/counters.js';
import { NO_FRAME } from '../../assembly/grant_layout.js';
import {
  F_FRAGS,
  F_NFRAGS,
  F_SETTLED,
  FRAME_SIZE,
  G_ADDR,
  G_DOM,
  G_GREF,
  G_LEN,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_STATUS,
  SEG_SIZE,
} from '../../assembly/layout.js';
import { GNTST_okay, GNTST_permission_denied } from '../../src/abi/grant_table.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { cacheTables, Persistent } from '../../src/transfer/persistent.js';
import { EmbeddedGrantOwner } from '../../src/xen/embedded/grants.js';
import { Hypervisor } from '../../src/xen/embedded/hypervisor.js';
import { randomSource } from '../support/random.js';

const PAGE = 4096;
const SHAPE = { ramPages: 512, grantPages: 2 };
/** Slot g % CAPACITY is the one that reference g takes when it is empty. */
const CAPACITY = 8;

function setUp() {
  const arena = Arena.create(1 << 24);
  /** Pages mapped so far, as window page and domain frame. */
  const mapped: { slot: number; frame: number; writable: boolean }[] = [];
  let failing = false;
  let asked = 0;
  const loops = instantiateLoops(arena, {
    mapPage: (_id, address, frame, writable) => {
      if (failing) {
        asked++;
        return -12;
      }
      if (frame >>> 0 === NO_FRAME) {
        arena.unmap(address, PAGE);
        return 0;
      }
      mapped.push({ slot: (address - window) / PAGE, frame, writable: writable !== 0 });
      arena.map(address, PAGE, domain.ramFd, frame * PAGE, writable !== 0);
      return 0;
    },
  });
  const hypervisor = new Hypervisor(arena, loops);
  const domain = hypervisor.create('a', SHAPE);
  const ram = arena.allocate(SHAPE.ramPages * PAGE, 'ram');
  arena.map(ram, SHAPE.ramPages * PAGE, domain.ramFd, 0, true);
  const owner = new EmbeddedGrantOwner(arena, domain.table, SHAPE.grantPages * PAGE);
  const window = arena.allocate((CAPACITY + 1) * PAGE, 'window and a canary');
  arena.u8.fill(0xc5, window + CAPACITY * PAGE, window + (CAPACITY + 1) * PAGE);
  const counters = arena.allocate(COUNTERS_SIZE, 'counters');
  const tables = arena.allocate(cacheTables(domain.grants, CAPACITY), 'tables');
  const transfer = new Persistent(arena, loops, hypervisor.grants, {
    id: 1,
    domid: domain.domid,
    domains: hypervisor.records,
    grants: domain.grants,
    capacity: CAPACITY,
    window,
    tables,
    counters,
  });
  const segment = arena.allocate(SEG_SIZE * 16, 'segments');
  const buffer = arena.allocate(PAGE, 'buffer');
  const frames = arena.allocate(FRAME_SIZE * 16 + 256, 'frames');
  const { view, u32 } = arena;
  for (let page = 0; page < SHAPE.ramPages; page++) {
    u32[(ram + page * PAGE) / 4] = page;
    if (page >= 8) owner.grant(page, 0, page, false);
  }
  /** Moves the first 4 bytes of each granted page, all in one batch, one a round; the statuses. */
  const read = (...references: number[]) => {
    references.forEach((reference, i) => {
      const at = segment + i * SEG_SIZE;
      arena.u8.fill(0, at, at + SEG_SIZE);
      view.setUint32(at + S_SRC_ADDR, 0, true);
      view.setUint32(at + S_SRC_GREF, reference, true);
      view.setUint16(at + S_SRC_DOM, domain.domid, true);
      view.setUint32(at + S_DST_ADDR, buffer + i * 4, true);
      view.setUint16(at + S_LEN, 4, true);
    });
    loops.cacheRound();
    transfer.move(segment, references.length);
    return references.map((_, i) => view.getInt16(segment + i * SEG_SIZE + S_STATUS, true));
  };
  const write = (reference: number) => {
    arena.u8.fill(0, segment, segment + SEG_SIZE);
    view.setUint32(segment + S_SRC_ADDR, buffer, true);
    view.setUint32(segment + S_DST_GREF, reference, true);
    view.setUint32(segment + S_DST_ADDR, 0, true);
    view.setUint16(segment + S_DST_DOM, domain.domid, true);
    view.setUint16(segment + S_LEN, 4, true);
    transfer.move(segment, 1);
    return view.getInt16(segment + S_STATUS, true);
  };
  /** One frame with a fragment in each page; true when all could be borrowed. */
  const borrow = (index: number, ...references: number[]) => {
    const list = frames + FRAME_SIZE * 16;
    const frame = frames + index * FRAME_SIZE;
    u32[list / 4] = frame;
    u32[(frame + F_SETTLED) / 4] = 0;
    u32[(frame + F_NFRAGS) / 4] = references.length;
    references.forEach((reference, i) => {
      const at = frame + F_FRAGS + i * 16;
      view.setUint32(at + G_ADDR, 0, true);
      view.setUint32(at + G_GREF, reference, true);
      view.setUint16(at + G_LEN, 4, true);
      view.setUint16(at + G_DOM, domain.domid, true);
    });
    return transfer.borrow(list, 1, list + 128) === 0;
  };
  const borrowedPage = (index: number, fragment: number) =>
    u32[u32[(frames + index * FRAME_SIZE + F_FRAGS + fragment * 16) / 4] / 4];
  const counter = (index: number) => Number(view.getBigUint64(counters + index * 8, true));
  const canary = () =>
    arena.u8
      .subarray(window + CAPACITY * PAGE, window + (CAPACITY + 1) * PAGE)
      .every((byte) => byte === 0xc5);
  return {
    arena,
    owner,
    transfer,
    mapped,
    window,
    ram,
    read,
    write,
    borrow,
    borrowedPage,
    counter,
    canary,
    got: (i: number) => u32[buffer / 4 + i],
    /** How often the failing kernel was asked. */
    asked: () => asked,
    fail: (yes: boolean) => {
      failing = yes;
    },
  };
}

describe('the mapping cache', () => {
  test('maps a page once and finds it again', () => {
    const c = setUp();
    for (let turn = 0; turn < 5; turn++) assert.deepEqual(c.read(8, 9), [GNTST_okay, GNTST_okay]);
    assert.deepEqual([c.got(0), c.got(1)], [8, 9]);
    assert.deepEqual(c.mapped, [
      { slot: 0, frame: 8, writable: true },
      { slot: 1, frame: 9, writable: true },
    ]);
    assert.deepEqual(
      [c.counter(C_CACHE_HITS), c.counter(C_CACHE_MISSES), c.counter(C_CACHE_EVICTIONS)],
      [8, 2, 0],
    );
  });

  test('never maps more pages than it may: a random run stays in its window and reads the right bytes', () => {
    const c = setUp();
    const random = randomSource(5);
    for (let turn = 0; turn < 5000; turn++) {
      const references = Array.from({ length: 1 + random(4) }, () => 8 + random(200));
      assert.deepEqual(
        c.read(...references),
        references.map(() => GNTST_okay),
      );
      assert.deepEqual(
        references.map((_, i) => c.got(i)),
        references,
      );
    }
    assert.ok(c.mapped.every(({ slot }) => slot >= 0 && slot < CAPACITY));
    assert.ok(c.canary());
    assert.ok(c.counter(C_CACHE_EVICTIONS) > 1000);
  });

  test('the least recently used page goes first', () => {
    const c = setUp();
    for (let reference = 8; reference < 16; reference++) c.read(reference);
    c.read(8);
    c.read(10);
    for (const [reference, slot] of [
      [100, 1],
      [101, 3],
      [102, 4],
      [103, 5],
      [104, 6],
      [105, 7],
      [106, 0],
      [107, 2],
    ]) {
      c.read(reference);
      assert.equal(c.mapped.at(-1)?.slot, slot, `reference ${reference} takes the oldest slot`);
    }
    assert.equal(c.counter(C_CACHE_EVICTIONS), 8);
  });

  test('of a batch that needs more pages than there are the last ones are copied by grant', () => {
    const c = setUp();
    const references = Array.from({ length: 12 }, (_, i) => 8 + i);
    assert.deepEqual(
      c.read(...references),
      references.map(() => GNTST_okay),
    );
    assert.deepEqual(
      references.map((_, i) => c.got(i)),
      references,
    );
    assert.equal(c.counter(C_CACHE_COPIED), 12 - CAPACITY);
    assert.deepEqual(c.read(30), [GNTST_okay], 'the next batch may evict');
    assert.ok(c.canary());
  });

  test('pages of frames in flight are never evicted', () => {
    const c = setUp();
    assert.ok(c.borrow(0, 8, 9, 10));
    assert.ok(c.borrow(1, 11, 12));
    for (let i = 0; i < 100; i++) assert.deepEqual(c.read(20 + i), [GNTST_okay]);
    assert.deepEqual(
      [0, 1, 2].map((i) => c.borrowedPage(0, i)),
      [8, 9, 10],
    );
    assert.deepEqual(
      [0, 1].map((i) => c.borrowedPage(1, i)),
      [11, 12],
    );
    assert.ok(c.borrow(2, 13, 14, 15));
    const mappings = c.mapped.length;
    assert.deepEqual(c.read(50), [GNTST_okay], 'all pages are in flight: it is copied by grant');
    assert.equal(c.got(0), 50);
    assert.ok(c.borrow(3, 50), 'and stays a grant where it would be lent');
    assert.equal(c.borrowedPage(3, 0), c.arena.u32[0]);
    assert.equal(c.mapped.length, mappings);
    assert.equal(c.counter(C_CACHE_COPIED), 2);
    c.transfer.settle();
    assert.deepEqual(c.read(50), [GNTST_okay]);
    assert.equal(c.mapped.length, mappings + 1);
  });

  test('a grant that ends is known at the next use; a changed one is mapped anew', () => {
    const c = setUp();
    assert.deepEqual(c.read(8), [GNTST_okay]);
    assert.ok(c.owner.end(8), 'a cached mapping does not keep a guest from ending its grant');
    assert.ok(c.read(8)[0] < 0);
    assert.equal(c.borrow(0, 8), false);
    c.owner.grant(8, 0, 300, false);
    assert.deepEqual(c.read(8), [GNTST_okay]);
    assert.equal(c.got(0), 300);
    c.owner.grant(8, 5, 300, false);
    assert.ok(c.read(8)[0] < 0, "now another domain's");
    c.owner.grant(8, 0, SHAPE.ramPages, false);
    assert.ok(c.read(8)[0] < 0, 'beyond RAM');
    assert.ok(c.read(0xffffffff)[0] < 0);
    assert.ok(c.read(1024)[0] < 0);
  });

  test('a page that becomes read-only is no longer written, and the other way round', () => {
    const c = setUp();
    assert.equal(c.write(8), GNTST_okay);
    c.owner.grant(8, 0, 8, true);
    assert.equal(c.write(8), GNTST_permission_denied);
    assert.deepEqual(c.read(8), [GNTST_okay]);
    assert.equal(c.mapped.at(-1)?.writable, false);
    c.owner.grant(8, 0, 8, false);
    assert.equal(c.write(8), GNTST_okay);
  });

  test('what a kernel without another mapping does not map is copied by grant; it is asked again later', () => {
    const c = setUp();
    assert.deepEqual(c.read(8), [GNTST_okay]);
    c.fail(true);
    for (let i = 0; i < 10; i++) {
      assert.deepEqual(c.read(8, 9), [GNTST_okay, GNTST_okay]);
      assert.deepEqual([c.got(0), c.got(1)], [8, 9]);
      assert.equal(c.write(10), GNTST_okay);
      assert.equal(c.arena.u32[(c.ram + 10 * PAGE) / 4], 8);
    }
    assert.ok(c.asked() <= 2, `${c.asked()} times in 20 batches`);
    assert.equal(c.counter(C_CACHE_COPIED), 20);
    c.owner.end(9);
    assert.ok(c.read(9)[0] < 0, 'what is not granted is not copied either');
    c.owner.grant(9, 0, 9, false);
    c.fail(false);
    for (let i = 0; i < 300; i++) assert.deepEqual(c.read(9), [GNTST_okay]);
    assert.deepEqual(c.mapped.at(-1), { slot: 1, frame: 9, writable: true });
    assert.equal(c.mapped.length, 2);
  });

  test('closing leaves zero pages', () => {
    const c = setUp();
    c.read(8, 9, 10);
    c.transfer.close();
    assert.ok(c.arena.u8.subarray(c.window, c.window + CAPACITY * PAGE).every((byte) => byte === 0));
    assert.ok(c.canary());
  });
});
