/** Mapping caches where a mapping pins its grant (Xen itself): nothing is compared, and what cannot be mapped is copied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C_CACHE_EVICTIONS, C_CACHE_HITS, C_CACHE_MISSES, COUNTERS_SIZE } from '../../assembly/counters.js';
import { NO_FRAME } from '../../assembly/grant_layout.js';
import {
  PAGE_SIZE,
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
import { GNTST_bad_gntref, GNTST_okay } from '../../src/abi/grant_table.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { cacheTables, Persistent } from '../../src/transfer/persistent.js';
import { Static } from '../../src/transfer/static.js';
import type { GrantTable } from '../../src/xen/grant_table.js';

const DOMID = 9;
const CAPACITY = 4;
const GRANTS = 64;

/** A domain whose page r, granted as reference r, begins with r + 1. References from 60 on are nobody's. */
function setUp(kind: typeof Persistent | typeof Static) {
  const arena = Arena.create(1 << 22);
  const { view } = arena;
  const log: string[] = [];
  const loops = instantiateLoops(arena, {
    mapPage: (_id, address, page, writable) => {
      const at = (address - window) / PAGE_SIZE;
      arena.u8.fill(0, address, address + PAGE_SIZE); // a mapping that fails leaves zeroes
      log.push(page === NO_FRAME ? `${at} empty` : `${at} ${page}${writable ? 'w' : 'r'}`);
      if (page === NO_FRAME) return 0;
      if (page >= 60) return -22;
      view.setUint32(address, page + 1, true);
      return 0;
    },
  });
  const window = arena.allocate(CAPACITY * PAGE_SIZE, 'window');
  const counters = arena.allocate(COUNTERS_SIZE, 'counters');
  const list = arena.allocate(16 * SEG_SIZE, 'segments');
  const buffer = arena.allocate(PAGE_SIZE, 'buffer');
  /** Segments that were left to a grant copy, by reference. */
  const copied: number[] = [];
  const grants: Pick<GrantTable, 'copy'> = {
    copy: (segments, n) => {
      for (let i = 0; i < n; i++) {
        const at = segments + i * SEG_SIZE;
        const read = view.getUint32(at + S_SRC_ADDR, true) === 0;
        if (!read && view.getUint32(at + S_DST_ADDR, true) !== 0) continue;
        const reference = view.getUint32(at + (read ? S_SRC_GREF : S_DST_GREF), true);
        copied.push(reference);
        if (reference >= 60) view.setInt16(at + S_STATUS, GNTST_bad_gntref, true);
      }
    },
  };
  const unmapped: [number, number][] = [];
  const transfer = new kind(arena, loops, grants as GrantTable, {
    id: 1,
    domid: DOMID,
    domains: 0,
    grants: GRANTS,
    capacity: CAPACITY,
    window,
    tables: arena.allocate(cacheTables(GRANTS, CAPACITY), 'tables'),
    counters,
    pins: true,
    unmapWindow: (address, bytes) => unmapped.push([address - window, bytes]),
  });
  const move = (write: boolean, ...references: number[]): number[] => {
    references.forEach((reference, i) => {
      const at = list + i * SEG_SIZE;
      arena.u8.fill(0, at, at + SEG_SIZE);
      view.setUint32(at + (write ? S_DST_GREF : S_SRC_GREF), reference, true);
      view.setUint16(at + (write ? S_DST_DOM : S_SRC_DOM), DOMID, true);
      view.setUint32(at + (write ? S_SRC_ADDR : S_DST_ADDR), buffer + i * 4, true);
      view.setUint16(at + S_LEN, 4, true);
    });
    transfer.move(list, references.length);
    return references.map((_, i) => view.getInt16(list + i * SEG_SIZE + S_STATUS, true));
  };
  const read = (...references: number[]) => move(false, ...references);
  const got = (n: number) => Array.from({ length: n }, (_, i) => view.getUint32(buffer + i * 4, true));
  const counted = (index: number) => Number(view.getBigUint64(counters + index * 8, true));
  return { loops, transfer, list, log, copied, unmapped, read, got, counted, move, view };
}

test('a page is mapped by its reference, once, and stays', () => {
  const w = setUp(Persistent);
  assert.deepEqual(w.read(8, 9, 8), [0, 0, 0]);
  assert.deepEqual(w.got(3), [9, 10, 9]);
  assert.deepEqual(w.read(9, 8), [0, 0]);
  assert.deepEqual(w.got(2), [10, 9]);
  assert.deepEqual(w.log, ['0 8r', '1 9r']);
  assert.deepEqual([w.counted(C_CACHE_MISSES), w.counted(C_CACHE_HITS)], [2, 3]);
  assert.deepEqual(w.copied, []);
});

test('a page that was mapped for reading is mapped anew to be written, in its place', () => {
  const w = setUp(Persistent);
  w.read(8);
  assert.deepEqual(w.move(true, 8), [GNTST_okay]);
  assert.deepEqual(w.log, ['0 8r', '0 8w']);
  w.read(8);
  assert.deepEqual(w.log, ['0 8r', '0 8w'], 'for writing is for reading, too');
});

test('the least recently used page makes room', () => {
  const w = setUp(Persistent);
  w.read(8, 9, 10, 11);
  w.read(8);
  assert.deepEqual(w.read(20), [GNTST_okay]);
  assert.deepEqual(w.got(1), [21]);
  assert.deepEqual(w.log.slice(4), ['1 20r']);
  assert.equal(w.counted(C_CACHE_EVICTIONS), 1);
  w.read(9);
  assert.equal(w.log.at(-1), '2 9r', 'what made room is mapped again when it is wanted');
});

test('what cannot be mapped is left to a grant copy, which says why', () => {
  const w = setUp(Persistent);
  assert.deepEqual(w.read(8, 60, 9), [0, GNTST_bad_gntref, 0]);
  assert.deepEqual(w.read(GRANTS, 0xffffffff), [GNTST_bad_gntref, GNTST_bad_gntref]);
  assert.deepEqual(
    w.copied,
    [60, GRANTS, 0xffffffff],
    'references that no table here has room for among them',
  );
  assert.deepEqual(w.read(60), [GNTST_bad_gntref], 'and the refusal is not remembered as a page');
});

test('a cache is emptied by the platform, which knows what else there is to undo', () => {
  const w = setUp(Persistent);
  w.read(8);
  w.transfer.close();
  assert.deepEqual(w.unmapped, [[0, CAPACITY * PAGE_SIZE]]);
});

test('announced pages are mapped by their references, for what they were announced for', () => {
  const w = setUp(Static);
  const announce = (...pages: [reference: number, readOnly: number][]) => {
    pages.forEach(([reference, readOnly], i) => {
      w.view.setUint32(w.list + i * 8, reference, true);
      w.view.setUint32(w.list + i * 8 + 4, readOnly, true);
    });
    return w.loops.staticAdd(w.transfer.cache, w.list, pages.length);
  };
  assert.ok(announce([8, 1], [9, 0]));
  assert.deepEqual(w.log, ['0 8r', '1 9w']);
  assert.ok(!announce([10, 0], [61, 0]), 'all of a list, or nothing of it');
  assert.deepEqual(w.log.slice(2), ['2 10w', '3 61w', '2 empty']);
  assert.deepEqual(w.read(8, 9, 12), [0, 0, 0]);
  assert.deepEqual(w.got(2), [9, 10]);
  assert.deepEqual(w.copied, [12], 'what was not announced');
  assert.notDeepEqual(w.move(true, 8), [GNTST_okay], 'read-only is read-only');
});
