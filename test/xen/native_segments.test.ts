/** Grant copies of the native platform as the loops prepare and finish them; the driver's part is played here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C_COPIED_BYTES, C_COPIES, COUNTERS_SIZE } from '../../assembly/counters.js';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SOURCE_REFUSED,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_SRC_OFF,
  S_STATUS,
  SEG_SIZE,
} from '../../assembly/layout.js';
import { FOREIGN_SIZE } from '../../assembly/native_layout.js';
import {
  COPY_DEST,
  COPY_END_DOMID,
  COPY_END_OFFSET,
  COPY_END_REF,
  COPY_FLAGS,
  COPY_LEN,
  COPY_SEGMENT_SIZE,
  COPY_SOURCE,
  COPY_STATUS,
} from '../../src/abi/gntdev.js';
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_general_error,
  GNTST_okay,
} from '../../src/abi/grant_table.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';

type End = number | { gref: number; offset?: number; domid?: number };
/** What the driver is given: an address, or `domid:reference+offset`. */
interface Given {
  readonly from: string;
  readonly to: string;
  readonly length: number;
}

const MOST = 64;

function world() {
  const arena = Arena.create(1 << 24);
  const loops = instantiateLoops(arena);
  const { view } = arena;
  const foreign = arena.allocate((arena.u8.length / PAGE_SIZE) * FOREIGN_SIZE, 'foreign pages');
  const list = arena.allocate(MOST * SEG_SIZE, 'segments');
  const out = arena.allocate(MOST * COPY_SEGMENT_SIZE + 8, "the driver's");
  const counters = arena.allocate(COUNTERS_SIZE, 'counters');
  const put = (moves: readonly { from: End; to: End; length: number; status?: number }[]) => {
    arena.u8.fill(0, list, list + MOST * SEG_SIZE);
    moves.forEach(({ from, to, length, status = 0 }, i) => {
      const at = list + i * SEG_SIZE;
      for (const [end, address, gref, offset, dom] of [
        [from, S_SRC_ADDR, S_SRC_GREF, S_SRC_OFF, S_SRC_DOM],
        [to, S_DST_ADDR, S_DST_GREF, S_DST_OFF, S_DST_DOM],
      ] as const) {
        if (typeof end === 'number') view.setUint32(at + address, end, true);
        else {
          view.setUint32(at + gref, end.gref, true);
          view.setUint16(at + offset, end.offset ?? 0, true);
          view.setUint16(at + dom, end.domid ?? 5, true);
        }
      }
      view.setUint16(at + S_LEN, length, true);
      view.setInt16(at + S_STATUS, status, true);
    });
    return moves.length;
  };
  const end = (at: number, granted: boolean): string => {
    if (!granted) return String(Number(view.getBigUint64(at, true)) - arena.base);
    const offset = view.getUint16(at + COPY_END_OFFSET, true);
    return `${view.getUint16(at + COPY_END_DOMID, true)}:${view.getUint32(at + COPY_END_REF, true)}+${offset}`;
  };
  const given = (count: number): Given[] =>
    Array.from({ length: count }, (_, i) => {
      const at = out + i * COPY_SEGMENT_SIZE;
      const flags = view.getUint16(at + COPY_FLAGS, true);
      return {
        from: end(at + COPY_SOURCE, (flags & GNTCOPY_source_gref) !== 0),
        to: end(at + COPY_DEST, (flags & GNTCOPY_dest_gref) !== 0),
        length: view.getUint16(at + COPY_LEN, true),
      };
    });
  return {
    arena,
    loops,
    foreign,
    put,
    given,
    counters,
    prepare: (from: number, n: number, most = MOST) =>
      loops.nativePrepare(foreign, list, from, n, arena.base, out, most),
    answer: (...statuses: number[]) => {
      for (const [i, status] of statuses.entries())
        view.setInt16(out + i * COPY_SEGMENT_SIZE + COPY_STATUS, status, true);
    },
    finish: (to: number, failed = false) => loops.nativeFinish(list, 0, to, out, failed ? 1 : 0, counters),
    probe: (to: number) => loops.nativeProbe(list, 0, to, arena.base, out, out + MOST * COPY_SEGMENT_SIZE),
    probed: (to: number) => loops.nativeProbed(list, 0, to, out),
    statuses: (n: number) =>
      Array.from({ length: n }, (_, i) => view.getInt16(list + i * SEG_SIZE + S_STATUS, true)),
    blamesSource: (i: number) =>
      (view.getUint16(list + i * SEG_SIZE + S_DST_OFF, true) & S_SOURCE_REFUSED) !== 0,
    counted: () =>
      [C_COPIES, C_COPIED_BYTES].map((index) => Number(view.getBigUint64(counters + index * 8, true))),
  };
}

test('granted ends are references, others addresses of this process', () => {
  const w = world();
  const here = w.arena.allocate(PAGE_SIZE, 'here');
  const n = w.put([
    { from: { gref: 9, offset: 12 }, to: here + 3, length: 100 },
    { from: here, to: { gref: 0xffffffff, offset: 4095, domid: 0x7fef }, length: 1 },
    { from: { gref: 1 }, to: { gref: 2, domid: 6 }, length: 4096 },
    { from: here, to: here + 64, length: 64 },
    { from: { gref: 3 }, to: here, length: 10, status: GNTST_general_error },
    { from: { gref: 3 }, to: here, length: 0 },
  ]);
  assert.equal(w.prepare(0, n), 3);
  assert.equal(w.loops.nativeNext(), n);
  assert.deepEqual(w.given(3), [
    { from: '5:9+12', to: String(here + 3), length: 100 },
    { from: String(here), to: '32751:4294967295+4095', length: 1 },
    { from: '5:1+0', to: '6:2+0', length: 4096 },
  ]);
  w.answer(GNTST_okay, GNTST_okay, GNTST_okay);
  assert.equal(w.finish(n), 0);
  assert.deepEqual(w.statuses(n), [0, 0, 0, 0, GNTST_general_error, 0]);
  assert.deepEqual(w.counted(), [4, 100 + 1 + 4096], 'the one of no bytes is a copy, too');
});

test('a page that is a domain’s is copied by its grant, and no more once it is let go', () => {
  const w = world();
  const mapped = w.arena.allocate(2 * PAGE_SIZE, 'mapped');
  w.loops.foreignPage(w.foreign, mapped, 7 + 1, 40, 1);
  w.loops.foreignPage(w.foreign, mapped + PAGE_SIZE, 0 + 1, 41, 0);
  const moves = [
    { from: mapped + 100, to: { gref: 2 }, length: 50 },
    { from: mapped + PAGE_SIZE, to: { gref: 2 }, length: 50 },
    { from: { gref: 2 }, to: mapped + 4095, length: 1 },
    { from: mapped + 4090, to: { gref: 2 }, length: 7 },
  ];
  assert.equal(w.prepare(0, w.put(moves)), 3);
  assert.deepEqual(w.given(3), [
    { from: '7:40+100', to: '5:2+0', length: 50 },
    { from: '0:41+0', to: '5:2+0', length: 50 },
    { from: '5:2+0', to: '7:40+4095', length: 1 },
  ]);
  assert.equal(w.statuses(4)[3], GNTST_bad_copy_arg, 'it would end in another page');
  w.loops.foreignPage(w.foreign, mapped, 0, 0, 0);
  assert.equal(w.prepare(0, w.put(moves.slice(0, 1))), 1);
  assert.equal(w.given(1)[0].from, String(mapped + 100));
});

test('what reaches beyond a page is refused here: the driver would refuse all of the call', () => {
  const w = world();
  const here = w.arena.allocate(2 * PAGE_SIZE, 'here');
  const moves = [
    { from: { gref: 1, offset: 4090 }, to: here, length: 7 },
    { from: here, to: { gref: 1, offset: 4096 }, length: 1 },
    { from: { gref: 1 }, to: here, length: 65535 },
    { from: here + 4000, to: { gref: 1 }, length: 4096 },
  ];
  assert.equal(w.prepare(0, w.put(moves)), 1, 'an own page’s end is nothing to the driver');
  w.answer(GNTST_okay);
  w.finish(4);
  assert.deepEqual(w.statuses(4), [GNTST_bad_copy_arg, GNTST_bad_copy_arg, GNTST_bad_copy_arg, GNTST_okay]);
  assert.deepEqual([0, 1, 2].map(w.blamesSource), [true, false, true]);
  assert.deepEqual(w.counted(), [1, 4096]);
});

test('element k of n alone has its status (XSA-361); a call that fails fails all of them', () => {
  const w = world();
  const here = w.arena.allocate(PAGE_SIZE, 'here');
  const moves = Array.from({ length: 6 }, (_, i) => ({ from: { gref: i }, to: here + i, length: 1 }));
  for (let k = 0; k < 6; k++) {
    w.prepare(0, w.put(moves));
    w.answer(...moves.map((_, i) => (i === k ? -3 : 0)));
    assert.equal(w.finish(6), 0);
    assert.deepEqual(
      w.statuses(6),
      moves.map((_, i) => (i === k ? -3 : 0)),
    );
  }
  const [copies] = w.counted();
  w.prepare(0, w.put(moves));
  w.answer(0, 0, 0, 0, 0, 0);
  assert.equal(w.finish(6, true), 0);
  assert.deepEqual(w.statuses(6), Array(6).fill(GNTST_general_error));
  assert.equal(w.counted()[0], copies);
});

test('of two granted ends, the one at fault is found: the sender only answers for its own', () => {
  const w = world();
  const here = w.arena.allocate(PAGE_SIZE, 'here');
  const n = w.put([
    { from: { gref: 1 }, to: { gref: 2, domid: 6 }, length: 100 },
    { from: { gref: 3, offset: 77 }, to: { gref: 4, domid: 6 }, length: 100 },
    { from: { gref: 5 }, to: { gref: 6, domid: 6 }, length: 100 },
    { from: { gref: 7 }, to: here, length: 100 },
  ]);
  assert.equal(w.prepare(0, n), 4);
  w.answer(-1, -1, GNTST_okay, -1);
  assert.equal(w.finish(n), 2, 'with one granted end there is no doubt');
  assert.equal(w.probe(n), 2);
  assert.deepEqual(
    w.given(2).map(({ from, length }) => `${from} ${length}`),
    ['5:1+0 1', '5:3+77 1'],
  );
  w.answer(GNTST_okay, -3);
  w.probed(n);
  assert.deepEqual(w.statuses(n), [-1, -3, GNTST_okay, -1]);
  assert.deepEqual([0, 1, 2].map(w.blamesSource), [false, true, false]);
});

test('a list longer than the driver’s part is taken piece by piece', () => {
  const w = world();
  const here = w.arena.allocate(PAGE_SIZE, 'here');
  const moves = Array.from({ length: 10 }, (_, i) => ({
    from: i % 2 ? { gref: i } : here,
    to: here + i,
    length: 1,
  }));
  w.put(moves);
  assert.equal(w.prepare(0, 10, 2), 2);
  assert.equal(w.loops.nativeNext(), 4);
  assert.equal(w.prepare(4, 10, 2), 2);
  assert.equal(w.prepare(w.loops.nativeNext(), 10, 2), 1);
  assert.equal(w.loops.nativeNext(), 10);
});
