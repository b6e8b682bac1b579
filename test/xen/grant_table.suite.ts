/** What a grant table must do, whatever carries it. A platform runs this with a factory of a few lines. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { C_COPIED_BYTES, C_COPIES } from '../../assembly/counters.js';
import { MAP_DOMID, MAP_GREF, MAP_SIZE, MAP_STATUS, MAP_WRITE } from '../../assembly/grant_layout.js';
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_SRC_OFF,
  S_STATUS,
  SEG_SIZE,
} from '../../assembly/layout.js';
import { GNTST_bad_copy_arg, GNTST_okay } from '../../src/abi/grant_table.js';
import type { Arena } from '../../src/arena/arena.js';
import { GrantError, type GrantTable } from '../../src/xen/grant_table.js';
import { pattern } from '../support/packets.js';

/** A domain of the suite, seen from both sides. Its grants have the suite's names, 8 and up. */
export interface GrantingDomain {
  readonly domid: number;
  /** Grants page `frame` to `domid`. */
  grant(name: number, domid: number, frame: number, readOnly: boolean): void;
  /** Takes the grant back. False while it is in use, where that can be seen (`seesUse`): then it stays. */
  end(name: number): boolean;
  /** The reference of a grant; of a name that it does not have, one that nobody may use; from `beyond` on, itself. */
  reference(name: number): number;
  /** No reference is so high. */
  readonly beyond: number;
  /** Pages: 0 … frames - 1. */
  readonly frames: number;
  /** Reads and writes its RAM as the domain itself does. */
  read(frame: number): Uint8Array;
  write(frame: number, bytes: Uint8Array): void;
}

/** GNTST_*, which platforms say with more or with less precision. */
export interface Refusals {
  readonly noGrant: number;
  readonly beyondTable: number;
  readonly anothers: number;
  /** Written though read-only: by a mapping, by a copy. */
  readonly readOnly: number;
  readonly readOnlyCopy: number;
  /** Undefined: a domain cannot grant a page that it does not have. */
  readonly beyondRam: number | undefined;
  readonly nobody: number;
}

export interface GrantTablePlatform {
  readonly arena: Arena;
  readonly table: GrantTable;
  /** To whom they grant: the back end's domid. */
  readonly backend: number;
  /** They may be one domain, with grants of two kinds. */
  readonly domains: readonly [GrantingDomain, GrantingDomain];
  /** A domid that no domain has, and one that is not the back end's. */
  readonly nobody: number;
  readonly other: number;
  readonly refusals: Refusals;
  /** Does a domain learn that its grant is in use when it takes it back? */
  readonly seesUse: boolean;
  close(): void;
}

/** One end of a copy: an address of the arena, or a place in a granted page. */
type End = number | { domid: number; reference: number; offset: number };

const FIRST = 8;

export function grantTableSuite(name: string, open: () => GrantTablePlatform): void {
  describe(`grant table, ${name}`, () => {
    const run = (title: string, body: (p: GrantTablePlatform) => void) =>
      test(title, () => {
        const platform = open();
        try {
          body(platform);
        } finally {
          platform.close();
        }
      });

    /** Copies and returns each segment's status. */
    const copy = (
      p: GrantTablePlatform,
      moves: readonly { from: End; to: End; length: number }[],
    ): number[] => {
      const bytes = moves.length * SEG_SIZE;
      const list = p.arena.allocate(bytes, 'segments');
      const counters = p.arena.allocate(PAGE_SIZE, 'counters');
      const end = (at: number, what: End, [address, gref, offset, dom]: readonly number[]) => {
        if (typeof what === 'number') {
          p.arena.view.setUint32(at + address, what, true);
          return;
        }
        p.arena.view.setUint32(at + address, 0, true);
        p.arena.view.setUint32(at + gref, what.reference, true);
        p.arena.view.setUint16(at + offset, what.offset, true);
        p.arena.view.setUint16(at + dom, what.domid, true);
      };
      moves.forEach(({ from, to, length }, i) => {
        const at = list + i * SEG_SIZE;
        end(at, from, [S_SRC_ADDR, S_SRC_GREF, S_SRC_OFF, S_SRC_DOM]);
        end(at, to, [S_DST_ADDR, S_DST_GREF, S_DST_OFF, S_DST_DOM]);
        p.arena.view.setUint16(at + S_LEN, length, true);
      });
      p.table.copy(list, moves.length, counters);
      const statuses = moves.map((_, i) => p.arena.view.getInt16(list + i * SEG_SIZE + S_STATUS, true));
      const good = moves.filter((_, i) => statuses[i] === GNTST_okay);
      const counted = (index: number) => Number(p.arena.view.getBigUint64(counters + index * 8, true));
      assert.equal(counted(C_COPIES), good.length);
      assert.equal(
        counted(C_COPIED_BYTES),
        good.reduce((sum, move) => sum + move.length, 0),
      );
      p.arena.free(list, bytes);
      p.arena.free(counters, PAGE_SIZE);
      return statuses;
    };
    const at = (domain: GrantingDomain, reference: number, offset = 0): End => ({
      domid: domain.domid,
      reference: domain.reference(reference),
      offset,
    });
    /** It cannot be taken back now. */
    const stays = (p: GrantTablePlatform, domain: GrantingDomain, name: number, why?: string) => {
      if (p.seesUse) assert.equal(domain.end(name), false, why);
    };
    const refused = (status: number) => (error: unknown) =>
      error instanceof GrantError && error.status === status;

    run('maps granted pages side by side, and writes go through', (p) => {
      const [a] = p.domains;
      a.grant(FIRST, p.backend, 5, false);
      a.grant(FIRST + 1, p.backend, 3, false);
      a.write(5, pattern(PAGE_SIZE, 5));
      a.write(3, pattern(PAGE_SIZE, 3));
      const address = p.arena.allocate(2 * PAGE_SIZE, 'mapping');
      p.table.map(a.domid, [a.reference(FIRST), a.reference(FIRST + 1)], address, true);
      assert.deepEqual(p.arena.u8.slice(address, address + PAGE_SIZE), pattern(PAGE_SIZE, 5));
      assert.deepEqual(p.arena.u8.slice(address + PAGE_SIZE, address + 2 * PAGE_SIZE), pattern(PAGE_SIZE, 3));
      p.arena.u8[address + 100] = 1;
      assert.equal(a.read(5)[100], 1);
      p.table.unmap(a.domid, [a.reference(FIRST), a.reference(FIRST + 1)], address);
      assert.ok(p.arena.u8.subarray(address, address + 2 * PAGE_SIZE).every((byte) => byte === 0));
      p.arena.u8[address + 100] = 2;
      assert.equal(a.read(5)[100], 1, 'what is unmapped is out of reach');
    });

    run('a mapped grant cannot be ended until it is unmapped', (p) => {
      const [a] = p.domains;
      a.grant(FIRST, p.backend, 1, false);
      const address = p.arena.allocate(PAGE_SIZE, 'mapping');
      p.table.map(a.domid, [a.reference(FIRST)], address, true);
      stays(p, a, FIRST);
      assert.deepEqual(
        copy(p, [{ from: at(a, FIRST), to: p.arena.allocate(PAGE_SIZE, 'copy'), length: 64 }]),
        [GNTST_okay],
      );
      stays(p, a, FIRST, 'a copy of the same page does not end the mapping');
      p.table.unmap(a.domid, [a.reference(FIRST)], address);
      assert.equal(a.end(FIRST), true);
      assert.throws(
        () => p.table.map(a.domid, [a.reference(FIRST)], address, true),
        refused(p.refusals.noGrant),
      );
    });

    run('a page that is mapped for reading stays so when a copy writes to it', (p) => {
      const [a] = p.domains;
      a.grant(FIRST, p.backend, 1, false);
      const address = p.arena.allocate(PAGE_SIZE, 'mapping');
      const source = p.arena.allocate(PAGE_SIZE, 'source');
      p.table.map(a.domid, [a.reference(FIRST)], address, false);
      assert.deepEqual(copy(p, [{ from: source, to: at(a, FIRST), length: 8 }]), [GNTST_okay]);
      stays(p, a, FIRST);
      p.table.unmap(a.domid, [a.reference(FIRST)], address);
      assert.equal(a.end(FIRST), true);
    });

    run('refuses to map what is not granted, and maps all or nothing', (p) => {
      const [a, b] = p.domains;
      const address = p.arena.allocate(3 * PAGE_SIZE, 'mapping');
      const tryMap =
        (references: number[], writable = true, domid = a.domid) =>
        () =>
          p.table.map(domid, references.map(a.reference), address, writable);
      a.grant(FIRST, p.backend, 1, false);
      a.grant(FIRST + 1, p.backend, 2, true);
      a.grant(FIRST + 2, p.other, 3, false);
      if (p.refusals.beyondRam !== undefined) a.grant(FIRST + 3, p.backend, a.frames, false);
      if (p.refusals.beyondRam !== undefined) a.grant(FIRST + 4, p.backend, 0xffffffff, false);
      const beyondRam = p.refusals.beyondRam ?? p.refusals.noGrant;
      assert.throws(tryMap([FIRST + 9]), refused(p.refusals.noGrant));
      for (const reference of [a.beyond, 0xffffffff, -1])
        assert.throws(tryMap([reference]), refused(p.refusals.beyondTable));
      assert.throws(tryMap([FIRST + 1]), refused(p.refusals.readOnly));
      assert.throws(tryMap([FIRST + 2]), refused(p.refusals.anothers));
      assert.throws(tryMap([FIRST + 3]), refused(beyondRam));
      assert.throws(tryMap([FIRST + 4]), refused(beyondRam));
      assert.throws(tryMap([FIRST], true, p.nobody), refused(p.refusals.nobody));
      if (a.domid !== b.domid) assert.throws(tryMap([FIRST], true, b.domid), refused(p.refusals.noGrant));
      assert.throws(tryMap([FIRST, FIRST + 9, FIRST + 1]), refused(p.refusals.noGrant));
      for (const reference of [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]) {
        assert.equal(a.end(reference), true, `reference ${reference} stayed marked after a refusal`);
      }
      assert.ok(p.arena.u8.subarray(address, address + 3 * PAGE_SIZE).every((byte) => byte === 0));
    });

    run('a page granted read-only can be mapped for reading', (p) => {
      const [a] = p.domains;
      a.grant(FIRST, p.backend, 4, true);
      a.write(4, pattern(PAGE_SIZE, 4));
      const address = p.arena.allocate(PAGE_SIZE, 'mapping');
      p.table.map(a.domid, [a.reference(FIRST)], address, false);
      assert.deepEqual(p.arena.u8.slice(address, address + PAGE_SIZE), pattern(PAGE_SIZE, 4));
      p.table.unmap(a.domid, [a.reference(FIRST)], address);
      assert.equal(a.end(FIRST), true);
    });

    /** Maps one by one into `window`; the statuses. `requests`: PAGE_SIZE bytes that stay until unmapEach. */
    const mapEach = (
      p: GrantTablePlatform,
      requests: number,
      window: number,
      wanted: readonly { domid: number; reference: number; writable: boolean }[],
    ): number[] => {
      wanted.forEach(({ domid, reference, writable }, i) => {
        const at = requests + i * MAP_SIZE;
        p.arena.u8.fill(0, at, at + MAP_SIZE);
        p.arena.view.setUint32(at + MAP_GREF, reference, true);
        p.arena.view.setUint16(at + MAP_DOMID, domid, true);
        p.arena.view.setUint16(at + MAP_WRITE, writable ? 1 : 0, true);
      });
      p.table.mapEach(requests, wanted.length, window);
      return wanted.map((_, i) => p.arena.view.getInt16(requests + i * MAP_SIZE + MAP_STATUS, true));
    };

    run('maps one by one, each with a status of its own, and refusals cost nobody else', (p) => {
      const [a, b] = p.domains;
      const requests = p.arena.allocate(PAGE_SIZE, 'requests');
      const window = p.arena.allocate(16 * PAGE_SIZE, 'window');
      a.grant(FIRST, p.backend, 1, false);
      a.grant(FIRST + 1, p.backend, 2, true);
      a.grant(FIRST + 2, p.other, 3, false);
      if (p.refusals.beyondRam !== undefined) a.grant(FIRST + 3, p.backend, a.frames, false);
      b.grant(FIRST, p.backend, 4, false);
      a.write(1, pattern(PAGE_SIZE, 1));
      a.write(2, pattern(PAGE_SIZE, 2));
      b.write(4, pattern(PAGE_SIZE, 4));
      const wanted: [domid: number, reference: number, writable: boolean, status: number][] = [
        [a.domid, a.reference(FIRST), true, GNTST_okay],
        [a.domid, a.reference(FIRST + 9), true, p.refusals.noGrant],
        [a.domid, a.reference(FIRST + 1), false, GNTST_okay],
        [a.domid, a.reference(FIRST + 1), true, p.refusals.readOnly],
        [a.domid, a.reference(FIRST + 2), false, p.refusals.anothers],
        [a.domid, a.reference(FIRST + 3), false, p.refusals.beyondRam ?? p.refusals.noGrant],
        [a.domid, a.reference(a.beyond), false, p.refusals.beyondTable],
        [a.domid, a.reference(0xffffffff), false, p.refusals.beyondTable],
        [p.nobody, a.reference(FIRST), false, p.refusals.nobody],
        [b.domid, b.reference(FIRST), true, GNTST_okay],
        [a.domid, a.reference(FIRST), false, GNTST_okay],
      ];
      const statuses = mapEach(
        p,
        requests,
        window,
        wanted.map(([domid, reference, writable]) => ({ domid, reference, writable })),
      );
      assert.deepEqual(
        statuses,
        wanted.map(([, , , status]) => status),
      );
      const page = (i: number) => p.arena.u8.slice(window + i * PAGE_SIZE, window + (i + 1) * PAGE_SIZE);
      assert.deepEqual(page(0), pattern(PAGE_SIZE, 1));
      assert.deepEqual(page(2), pattern(PAGE_SIZE, 2));
      assert.deepEqual(page(9), pattern(PAGE_SIZE, 4));
      assert.deepEqual(page(10), pattern(PAGE_SIZE, 1), 'a page may be mapped twice');
      for (const i of [1, 3, 4, 5, 6, 7, 8, 11]) assert.ok(page(i).every((byte) => byte === 0));
      p.arena.u8[window + 9 * PAGE_SIZE + 5] = 0x99;
      assert.equal(b.read(4)[5], 0x99);
      stays(p, a, FIRST, 'what is mapped stays granted');
      stays(p, a, FIRST + 1);
      assert.equal(p.table.unmapEach(requests, wanted.length, window), 0);
      assert.ok(
        p.arena.u8.subarray(window, window + 16 * PAGE_SIZE).every((byte) => byte === 0),
        'zeroes',
      );
      p.arena.u8[window] = 1; // and no hole
      for (const reference of [FIRST, FIRST + 1, FIRST + 2, FIRST + 3])
        assert.equal(a.end(reference), true, `reference ${reference} stayed marked`);
      assert.equal(b.end(FIRST), true);
      assert.equal(p.table.unmapEach(requests, 0, window), 0);
    });

    run('a mapping for good outlives one for a batch', (p) => {
      const [a] = p.domains;
      const requests = p.arena.allocate(PAGE_SIZE, 'requests');
      const window = p.arena.allocate(PAGE_SIZE, 'window');
      const address = p.arena.allocate(PAGE_SIZE, 'mapping');
      a.grant(FIRST, p.backend, 1, false);
      p.table.map(a.domid, [a.reference(FIRST)], address, true);
      assert.deepEqual(
        mapEach(p, requests, window, [{ domid: a.domid, reference: a.reference(FIRST), writable: true }]),
        [GNTST_okay],
      );
      assert.equal(p.table.unmapEach(requests, 1, window), 0);
      stays(p, a, FIRST);
      p.table.unmap(a.domid, [a.reference(FIRST)], address);
      assert.equal(a.end(FIRST), true);
    });

    run('what is abandoned ends with the window', (p) => {
      const [a] = p.domains;
      const requests = p.arena.allocate(PAGE_SIZE, 'requests');
      const window = p.arena.allocate(2 * PAGE_SIZE, 'window');
      const references = [FIRST, FIRST + 1];
      for (const reference of references) a.grant(reference, p.backend, reference - FIRST + 1, false);
      const wanted = references.map((reference) => {
        return { domid: a.domid, reference: a.reference(reference), writable: true };
      });
      assert.deepEqual(mapEach(p, requests, window, wanted), [GNTST_okay, GNTST_okay]);
      p.table.abandonEach(requests, 2, window);
      p.arena.free(window, 2 * PAGE_SIZE);
      assert.ok(p.arena.u8.subarray(window, window + 2 * PAGE_SIZE).every((byte) => byte === 0));
      for (const reference of references) assert.equal(a.end(reference), true);
    });

    run('copies from, to and between domains, the bytes asked for and no more', (p) => {
      const [a, b] = p.domains;
      a.grant(FIRST, p.backend, 1, true);
      b.grant(FIRST, p.backend, 2, false);
      const bytes = pattern(PAGE_SIZE, 9);
      a.write(1, bytes);
      const here = p.arena.allocate(PAGE_SIZE, 'here');
      for (const [offset, to, length] of [
        [0, 0, PAGE_SIZE],
        [1, 3, 1],
        [100, 200, 1500],
        [PAGE_SIZE - 7, PAGE_SIZE - 7, 7],
        [8, 9, 0],
      ]) {
        b.write(2, new Uint8Array(PAGE_SIZE).fill(0xcc));
        p.arena.u8.fill(0xcc, here, here + PAGE_SIZE);
        const expected = new Uint8Array(PAGE_SIZE).fill(0xcc);
        expected.set(bytes.subarray(offset, offset + length), to);
        assert.deepEqual(copy(p, [{ from: at(a, FIRST, offset), to: at(b, FIRST, to), length }]), [
          GNTST_okay,
        ]);
        assert.deepEqual(b.read(2), expected);
        assert.deepEqual(copy(p, [{ from: at(a, FIRST, offset), to: here + to, length }]), [GNTST_okay]);
        assert.deepEqual(p.arena.u8.slice(here, here + PAGE_SIZE), expected);
        b.write(2, new Uint8Array(PAGE_SIZE).fill(0xcc));
        assert.deepEqual(copy(p, [{ from: here + to, to: at(b, FIRST, to), length }]), [GNTST_okay]);
        assert.deepEqual(b.read(2), expected);
      }
      assert.equal(a.end(FIRST), true, 'nothing stays marked');
      assert.equal(b.end(FIRST), true);
    });

    run('every refusal has its status, and element k of n alone has it (XSA-361)', (p) => {
      const [a] = p.domains;
      const here = p.arena.allocate(PAGE_SIZE, 'here');
      a.grant(FIRST, p.backend, 1, false);
      a.grant(FIRST + 1, p.backend, 2, true);
      a.grant(FIRST + 2, p.other, 3, false);
      if (p.refusals.beyondRam !== undefined) a.grant(FIRST + 3, p.backend, a.frames, false);
      a.write(1, pattern(PAGE_SIZE, 1));
      const good = (i: number) => ({ from: at(a, FIRST, i * 64), to: here + i * 64, length: 64 });
      const bad: readonly [string, { from: End; to: End; length: number }, number][] = [
        ['no such grant', { from: at(a, FIRST + 9), to: here, length: 64 }, p.refusals.noGrant],
        ['beyond the table', { from: at(a, 0xffffffff), to: here, length: 64 }, p.refusals.beyondTable],
        [
          'written though read-only',
          { from: here, to: at(a, FIRST + 1), length: 64 },
          p.refusals.readOnlyCopy,
        ],
        ["another's", { from: at(a, FIRST + 2), to: here, length: 64 }, p.refusals.anothers],
        [
          'beyond RAM',
          { from: at(a, FIRST + 3), to: here, length: 64 },
          p.refusals.beyondRam ?? p.refusals.noGrant,
        ],
        ['over the end of the page', { from: at(a, FIRST, 4090), to: here, length: 7 }, GNTST_bad_copy_arg],
        ['offset beyond the page', { from: here, to: at(a, FIRST, 65535), length: 1 }, GNTST_bad_copy_arg],
        ['longer than a page', { from: at(a, FIRST), to: here, length: 65535 }, GNTST_bad_copy_arg],
        [
          'good source, bad target',
          { from: at(a, FIRST), to: at(a, FIRST + 1), length: 1 },
          p.refusals.readOnlyCopy,
        ],
      ];
      for (const [what, element, status] of bad) {
        for (let k = 0; k < 6; k++) {
          p.arena.u8.fill(0, here, here + PAGE_SIZE);
          const moves = Array.from({ length: 6 }, (_, i) => (i === k ? element : good(i)));
          const expected = moves.map((_, i) => (i === k ? status : GNTST_okay));
          assert.deepEqual(copy(p, moves), expected, `${what}, element ${k}`);
          for (let i = 0; i < 6; i++) {
            const bytes = i === k ? new Uint8Array(64) : pattern(PAGE_SIZE, 1).subarray(i * 64, i * 64 + 64);
            assert.deepEqual(
              p.arena.u8.slice(here + i * 64, here + i * 64 + 64),
              Uint8Array.from(bytes),
              what,
            );
          }
          assert.equal(a.end(FIRST), true, `${what}: a grant stayed marked`);
          a.grant(FIRST, p.backend, 1, false);
        }
      }
      assert.equal(
        copy(p, [{ from: { domid: p.nobody, reference: FIRST, offset: 0 }, to: here, length: 1 }])[0] < 0,
        true,
      );
    });

    run('more elements than one system call takes', (p) => {
      const [a] = p.domains;
      a.grant(FIRST, p.backend, 1, false);
      a.write(1, pattern(PAGE_SIZE, 1));
      const here = p.arena.allocate(3000, 'here');
      const moves = Array.from({ length: 3000 }, (_, i) => ({
        from: at(a, i % 7 === 3 ? FIRST + 50 : FIRST, i),
        to: here + i,
        length: 1,
      }));
      const statuses = copy(p, moves);
      const source = pattern(PAGE_SIZE, 1);
      statuses.forEach((status, i) => {
        assert.equal(status, i % 7 === 3 ? p.refusals.noGrant : GNTST_okay);
        assert.equal(p.arena.u8[here + i], i % 7 === 3 ? 0 : source[i]);
      });
      assert.equal(a.end(FIRST), true);
    });
  });
}
