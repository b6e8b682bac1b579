/**
 * Every mechanism, segment by segment: the same bytes from and to every offset of a page, and the same grants refused
 * for the same reasons, each at its own segment's cost.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_okay,
  GNTST_permission_denied,
  GRANT_ENTRY_SIZE,
  GTF_reading,
  GTF_writing,
} from '../../src/abi/grant_table.js';
import { pattern } from '../support/packets.js';
import { type End, type Move, segmentWorld } from './segment_world.js';
import { restOf, STRATEGIES } from './transfer.suite.js';

const PAGE = 4096;
/** Pages of a batch. */
const BATCH = 64;
const okay = (n: number) => new Array<number>(n).fill(GNTST_okay);

for (const strategy of STRATEGIES) {
  describe(`segments, ${strategy}`, () => {
    test('bytes are read at every offset of a granted page', () => {
      const { machine, guest, move, u8 } = segmentWorld(strategy);
      const bytes = pattern(PAGE, 3);
      u8.set(bytes, guest.txPage(0));
      const here = machine.arena.allocate(BATCH * PAGE, 'here');
      for (let first = 0; first < PAGE; first += BATCH) {
        const moves = Array.from({ length: BATCH }, (_, i) => {
          const offset = first + i;
          const length = Math.min(PAGE - offset, 1 + (offset % 700));
          return { from: { gref: guest.txGref(0), offset }, to: here + i * PAGE + (offset % 64), length };
        });
        assert.deepEqual(move(moves), okay(BATCH));
        for (const { from, to, length } of moves)
          assert.deepEqual(u8.slice(to, to + length), bytes.slice(from.offset, from.offset + length));
      }
      machine.close();
    });

    test('bytes are written at every offset of a granted page, and not one beside them', () => {
      const { machine, guest, move, u8 } = segmentWorld(strategy);
      const source = machine.arena.allocate(PAGE, 'source');
      const bytes = pattern(PAGE, 4);
      u8.set(bytes, source);
      for (let first = 0; first < PAGE; first += BATCH) {
        const moves = Array.from({ length: BATCH }, (_, i) => {
          const offset = first + i;
          u8.fill(0xcc, guest.rxPage(i), guest.rxPage(i + 1));
          const length = Math.min(PAGE - offset, 1 + (offset % 700));
          return { from: source + (offset % 100), to: { gref: guest.rxGref(i), offset }, length };
        }).filter((one) => one.length + (one.to.offset % 100) <= PAGE);
        assert.deepEqual(move(moves), okay(moves.length));
        for (const { from, to, length } of moves) {
          const page = guest.ram + (to.gref - guest.rxGref(0)) * PAGE + (guest.rxPage(0) - guest.ram);
          const expected = new Uint8Array(PAGE).fill(restOf(strategy, 0xcc));
          expected.set(bytes.subarray(from - source, from - source + length), to.offset);
          assert.ok(Buffer.from(expected).equals(u8.subarray(page, page + PAGE)), `offset ${to.offset}`);
        }
      }
      machine.close();
    });

    test('from one guest to another, both ends granted', () => {
      const { machine, guest, move, u8 } = segmentWorld(strategy);
      const other = machine.addBareGuest('other', { transfer: 'grant-copy' });
      const moves: Move[] = [];
      const expected: [page: number, bytes: Uint8Array][] = [];
      for (let i = 0; i < 100; i++) {
        const bytes = pattern(1 + ((i * 401) % 3000), i);
        u8.set(bytes, other.txPage(i) + i);
        const from = { gref: other.txGref(i), offset: i, domid: other.domain.domid };
        moves.push({ from, to: { gref: guest.rxGref(i), offset: 7 * i }, length: bytes.length });
        expected.push([guest.rxPage(i) + 7 * i, bytes]);
      }
      assert.deepEqual(move(moves), okay(100));
      for (const [at, bytes] of expected)
        assert.ok(Buffer.from(bytes).equals(u8.subarray(at, at + bytes.length)));
      machine.close();
    });

    test('the same bad grants are refused for the same reasons, each element by itself (XSA-361)', () => {
      const { machine, guest, move, u8 } = segmentWorld(strategy);
      const { grants } = guest;
      const here = machine.arena.allocate(2 * PAGE, 'here');
      const [good, absent, foreign, locked, outside] = [0, 1, 2, 3, 4].map((k) => guest.rxGref(100 + k));
      const frame = (guest.rxPage(100) - guest.ram) / PAGE;
      assert.ok(grants.end(absent));
      grants.grant(foreign, 5, frame + 2, false);
      grants.grant(locked, 0, frame + 3, true);
      grants.grant(outside, 0, guest.domain.frames, false);
      const read = (gref: number, offset = 0, length = 64): Move => ({
        from: { gref, offset },
        to: here,
        length,
      });
      const write = (gref: number, offset = 0, length = 64): Move => ({
        from: here,
        to: { gref, offset },
        length,
      });
      const bad: [what: string, move: Move, status: number][] = [
        ['read of what is not granted', read(absent), GNTST_bad_gntref],
        ['write to what is not granted', write(absent), GNTST_bad_gntref],
        ["read of another domain's", read(foreign), GNTST_bad_domain],
        ["write to another domain's", write(foreign), GNTST_bad_domain],
        ['write to what is read-only', write(locked), GNTST_permission_denied],
        ['read of a page beyond RAM', read(outside), GNTST_bad_page],
        ['write to a page beyond RAM', write(outside), GNTST_bad_page],
        ['read beyond the page', read(good, 4090, 7), GNTST_bad_copy_arg],
        ['write beyond the page', write(good, 4090, 7), GNTST_bad_copy_arg],
        ['read from behind the page', read(good, 65_535, 1), GNTST_bad_copy_arg],
        ['write of more than a page', write(good, 0, PAGE + 1), GNTST_bad_copy_arg],
        ['reference behind the table', read(guest.domain.grants), GNTST_bad_gntref],
        ['write to the last reference there could be', write(0xffffffff), GNTST_bad_gntref],
      ];
      u8.fill(0x77, here, here + 2 * PAGE);
      for (const [what, element, status] of bad) {
        for (let k = 0; k < 3; k++) {
          const moves = [0, 1, 2].map((i) => (i === k ? element : write(guest.rxGref(i), i, 50 + i)));
          for (let i = 0; i < 3; i++) u8.fill(0xcc, guest.rxPage(i), guest.rxPage(i + 1));
          for (let i = 100; i < 105; i++) u8.fill(0xdd, guest.rxPage(i), guest.rxPage(i + 1));
          const expected = okay(3);
          expected[k] = status;
          assert.deepEqual(move(moves), expected, `${what}, element ${k}`);
          for (let i = 0; i < 3; i++) {
            const page = u8.subarray(guest.rxPage(i), guest.rxPage(i + 1));
            if (i === k) assert.ok(page.every((byte) => byte === 0xcc));
            else assert.ok(page.subarray(i, 50 + 2 * i).every((byte) => byte === 0x77));
          }
          const refused = u8.subarray(guest.rxPage(100), guest.rxPage(105));
          assert.ok(
            refused.every((byte) => byte === 0xdd),
            what,
          );
        }
      }
      assert.deepEqual(move([read(locked)]), [GNTST_okay], 'read-only is for reading');
      const nobody: End = { gref: good, domid: 77 };
      assert.ok(move([{ from: nobody, to: here, length: 1 }])[0] < 0, 'a domain that is not there');
      for (const gref of [good, locked, outside, foreign])
        assert.ok(grants.end(gref), 'nothing stays marked');
      machine.close();
    });

    test('a grant that is revoked between two batches is refused in the second', () => {
      const { machine, guest, move, u8 } = segmentWorld(strategy);
      const here = machine.arena.allocate(PAGE, 'here');
      const frame = (guest.rxPage(0) - guest.ram) / PAGE;
      const both: Move[] = [
        { from: { gref: guest.rxGref(0) }, to: here, length: 8 },
        { from: here + 64, to: { gref: guest.rxGref(0) }, length: 8 },
      ];
      assert.deepEqual(move(both), okay(2));
      assert.ok(guest.grants.end(guest.rxGref(0)), 'between batches the guest may end its grant');
      u8.fill(0xee, guest.rxPage(0), guest.rxPage(1));
      assert.deepEqual(move(both), [GNTST_bad_gntref, GNTST_bad_gntref]);
      assert.ok(u8.subarray(guest.rxPage(0), guest.rxPage(1)).every((byte) => byte === 0xee));
      guest.grants.grant(guest.rxGref(0), 0, frame, true);
      assert.deepEqual(move(both), [GNTST_okay, GNTST_permission_denied]);
      guest.grants.grant(guest.rxGref(0), 0, frame, false);
      assert.deepEqual(move(both), okay(2));
      machine.close();
    });

    test('no mark stays in the grant table between batches', () => {
      const { machine, guest, move, u8 } = segmentWorld(strategy);
      const here = machine.arena.allocate(PAGE, 'here');
      const moves = Array.from({ length: 300 }, (_, i): Move => {
        if (i % 3 === 0) return { from: { gref: guest.txGref(i) }, to: here, length: 100 };
        return { from: here, to: { gref: guest.rxGref(i), offset: i }, length: i % 5 === 0 ? 4090 : 100 };
      });
      move(moves);
      const marked: number[] = [];
      for (let gref = 0; gref < guest.domain.grants; gref++) {
        const flags = u8[guest.domain.table + gref * GRANT_ENTRY_SIZE];
        if ((flags & (GTF_reading | GTF_writing)) !== 0) marked.push(gref);
      }
      // The rings stay mapped as long as the vif is connected; in private memory they are not mapped at all.
      assert.equal(marked.length, guest.domain.ramFd < 0 ? 0 : 3);
      machine.close();
    });
  });
}
