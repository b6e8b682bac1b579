/**
 * The embedded platform's grant table. A domain's entries lie in a memory file of its own that is mapped here;
 * its RAM, another file, is mapped whole outside the arena, as the hypervisor's own view, for grant copies only.
 * Granted pages reach the arena one by one. The entries are checked and marked exactly as Xen does.
 */

import {
  DOM_BASE,
  DOM_FRAMES,
  DOM_GRANTS,
  DOM_SIZE,
  DOM_TABLE,
  DOM_UNMAPPABLE,
  DOMAINS_MAX,
  IOV_MAX,
  IOVEC_SIZE,
  MAP_DOMID,
  MAP_HANDLE,
  MAP_SIZE,
  MAP_STATUS,
  MAP_WRITE,
} from '../../../assembly/grant_layout.js';
import { PAGE_SIZE } from '../../../assembly/layout.js';
import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_no_device_space,
  GNTST_okay,
  GNTST_permission_denied,
  GRANT_ENTRY_SIZE,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_type_mask,
  GTF_writing,
} from '../../abi/grant_table.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import { copyVectors } from '../../sys/vector_io.js';
import { GrantError, type GrantOwner, type GrantTable } from '../grant_table.js';

/** Bytes of arena for the domain records, shared by all threads. */
export const DOMAINS_SIZE = DOMAINS_MAX * DOM_SIZE;
/** Bytes of arena for the iovecs of one thread's grant copies. */
export const IOVECS_SIZE = 2 * IOV_MAX * IOVEC_SIZE;

/** What the hypervisor knows of a domain's memory. */
export interface DomainMemory {
  /** Arena address of the mapped grant table. */
  readonly table: number;
  readonly grants: number;
  /** -1: private memory of this process. */
  readonly ramFd: number;
  readonly frames: number;
  /** Address of the whole RAM in this process, outside the arena. */
  readonly base: number;
}

/** Enters or (undefined) removes a domain in the records at `domains`. */
export function recordDomain(
  arena: Arena,
  domains: number,
  domid: number,
  memory: DomainMemory | undefined,
): void {
  const record = domains + domid * DOM_SIZE;
  if (!memory) {
    Atomics.store(arena.u32, (record + DOM_TABLE) / 4, 0);
    return;
  }
  arena.u32[(record + DOM_GRANTS) / 4] = memory.grants;
  arena.u32[(record + DOM_FRAMES) / 4] = memory.frames;
  arena.u32[(record + DOM_UNMAPPABLE) / 4] = memory.ramFd < 0 ? 1 : 0;
  arena.view.setBigUint64(record + DOM_BASE, BigInt(memory.base), true);
  Atomics.store(arena.u32, (record + DOM_TABLE) / 4, memory.table);
}

export class EmbeddedGrantTable implements GrantTable {
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #domains: number;
  readonly #iovecs: number;
  readonly #ramOf: (domid: number) => number | undefined;

  /** `iovecs`: IOVECS_SIZE bytes of this thread's own; `ramOf`: a domain's RAM file. */
  constructor(
    arena: Arena,
    loops: Loops,
    domains: number,
    iovecs: number,
    ramOf: (domid: number) => number | undefined,
  ) {
    this.#arena = arena;
    this.#loops = loops;
    this.#domains = domains;
    this.#iovecs = iovecs;
    this.#ramOf = ramOf;
  }

  map(domid: number, references: readonly number[], address: number, writable: boolean): void {
    const done: number[] = [];
    try {
      for (const [i, reference] of references.entries()) {
        const { frame, ramFd } = this.#pin(domid, reference, writable);
        done.push(reference);
        this.#arena.map(address + i * PAGE_SIZE, PAGE_SIZE, ramFd, frame * PAGE_SIZE, writable);
      }
    } catch (error) {
      this.unmap(domid, done, address);
      throw error;
    }
  }

  unmap(domid: number, references: readonly number[], address: number): void {
    if (references.length === 0) return;
    this.#arena.unmap(address, references.length * PAGE_SIZE);
    const table = this.#tableOf(domid);
    if (table === undefined) return; // the domain is gone, and its table with it
    for (const reference of references) {
      const word = (table + reference * GRANT_ENTRY_SIZE) / 4;
      Atomics.and(this.#arena.u32, word, ~(GTF_reading | GTF_writing));
    }
  }

  mapEach(requests: number, n: number, window: number): void {
    const { u32, view } = this.#arena;
    this.#loops.grantMark(this.#domains, requests, n);
    for (let k = 0; k < n; k++) {
      const request = requests + k * MAP_SIZE;
      if (view.getInt16(request + MAP_STATUS, true) !== GNTST_okay) continue;
      const ramFd = this.#ramOf(view.getUint16(request + MAP_DOMID, true));
      const offset = u32[(request + MAP_HANDLE) / 4] * PAGE_SIZE;
      const writable = view.getUint16(request + MAP_WRITE, true) !== 0;
      const failed =
        ramFd === undefined
          ? GNTST_bad_domain // no memory file: a domain whose pages cannot be in two places
          : this.#arena.tryMap(window + k * PAGE_SIZE, PAGE_SIZE, ramFd, offset, writable) === 0
            ? GNTST_okay
            : GNTST_no_device_space; // the kernel maps no more: vm.max_map_count
      if (failed === GNTST_okay) continue;
      this.#loops.grantUnmark(this.#domains, request, 1);
      view.setInt16(request + MAP_STATUS, failed, true);
    }
  }

  unmapEach(requests: number, n: number, window: number): number {
    if (n === 0) return 0;
    const result = this.#arena.tryUnmap(window, n * PAGE_SIZE);
    if (result === 0) this.#loops.grantUnmark(this.#domains, requests, n);
    return result;
  }

  abandonEach(requests: number, n: number): void {
    this.#loops.grantUnmark(this.#domains, requests, n);
  }

  copy(segments: number, n: number, counters: number): void {
    const loops = this.#loops;
    const local = this.#iovecs;
    const remote = local + IOV_MAX * IOVEC_SIZE;
    const base = this.#arena.base;
    for (let from = 0; from < n; ) {
      const count = loops.grantPrepare(this.#domains, segments, from, n, base, local, remote, IOV_MAX);
      const to = loops.grantNext();
      const moved = count === 0 ? 0 : copyVectors(base + local, base + remote, count);
      loops.grantFinish(this.#domains, segments, from, to, Math.max(0, moved), counters);
      from = to;
    }
  }

  #tableOf(domid: number): number | undefined {
    if (!Number.isInteger(domid) || domid < 0 || domid >= DOMAINS_MAX) return undefined;
    const table = this.#arena.u32[(this.#domains + domid * DOM_SIZE + DOM_TABLE) / 4];
    return table === 0 ? undefined : table;
  }

  /** Checks an entry and marks it in use for as long as the mapping lives. */
  #pin(domid: number, reference: number, writable: boolean): { frame: number; ramFd: number } {
    const table = this.#tableOf(domid);
    const ramFd = this.#ramOf(domid);
    if (table === undefined || ramFd === undefined) throw new GrantError(domid, reference, GNTST_bad_domain);
    const record = (this.#domains + domid * DOM_SIZE) / 4;
    const { u32 } = this.#arena;
    const inTable = Number.isInteger(reference) && reference >= 0 && reference < u32[record + DOM_GRANTS / 4];
    if (!inTable) throw new GrantError(domid, reference, GNTST_bad_gntref);
    const word = (table + reference * GRANT_ENTRY_SIZE) / 4;
    for (;;) {
      const old = Atomics.load(u32, word);
      const status = statusOf(old, writable);
      if (status !== GNTST_okay) throw new GrantError(domid, reference, status);
      const marked = old | GTF_reading | (writable ? GTF_writing : 0);
      if (Atomics.compareExchange(u32, word, old, marked) !== old) continue;
      const frame = Atomics.load(u32, word + 1);
      if (frame < u32[record + DOM_FRAMES / 4]) return { frame, ramFd };
      Atomics.and(u32, word, ~(GTF_reading | GTF_writing));
      throw new GrantError(domid, reference, GNTST_bad_page);
    }
  }
}

/** The low word of an entry: u16 flags, u16 domid. Grants to domain 0, the back end's, count. */
function statusOf(word: number, writable: boolean): number {
  const other = 0xffff & ~(GTF_type_mask | GTF_readonly | GTF_reading | GTF_writing);
  if ((word & GTF_type_mask) !== GTF_permit_access || (word & other) !== 0) return GNTST_bad_gntref;
  if (word >>> 16 !== 0) return GNTST_bad_domain;
  if (writable && (word & GTF_readonly) !== 0) return GNTST_permission_denied;
  return GNTST_okay;
}

/** A domain's own side of its grant table, mapped at `address` of its arena. */
export class EmbeddedGrantOwner implements GrantOwner {
  readonly size: number;
  readonly #u32: Uint32Array;
  readonly #table: number;

  constructor(arena: Arena, address: number, bytes: number) {
    this.#u32 = arena.u32;
    this.#table = address / 4;
    this.size = bytes / GRANT_ENTRY_SIZE;
  }

  grant(reference: number, domid: number, frame: number, readOnly: boolean): void {
    if (reference < 0 || reference >= this.size) throw new RangeError(`grant reference ${reference}`);
    const word = this.#table + reference * 2;
    // Frame and domain first, the flags last (grant_table.h, "Introducing a valid entry").
    Atomics.store(this.#u32, word + 1, frame);
    Atomics.store(this.#u32, word, (domid << 16) >>> 0);
    Atomics.or(this.#u32, word, GTF_permit_access | (readOnly ? GTF_readonly : 0));
  }

  end(reference: number): boolean {
    const word = this.#table + reference * 2;
    for (;;) {
      const old = Atomics.load(this.#u32, word);
      if ((old & (GTF_reading | GTF_writing)) !== 0) return false;
      if (Atomics.compareExchange(this.#u32, word, old, 0) === old) return true;
    }
  }
}
