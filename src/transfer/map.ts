/**
 * "map": the access grant of the talk. Each granted end of a segment is mapped into a small window of the arena, the
 * bytes are copied, the page is unmapped again and the guest may end its grant: per packet, nothing is kept.
 *
 * That costs the kernel two changes of the address space a page, thousands of ns, and the marks in the grant table
 * their time. Pages of the window are mapped one by one and given up together; a batch is short (`most`), so that
 * a guest whose packets are chains of tiny slots does not hold the datapath thread.
 */
import { MAP_SIZE } from '../../assembly/grant_layout.js';
import { PAGE_SIZE, S_STATUS, SEG_SIZE } from '../../assembly/layout.js';
import { GNTST_no_device_space } from '../abi/grant_table.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import type { GrantTable } from '../xen/grant_table.js';
import type { Transfer } from './transfer.js';

/** Pages mapped at a time. */
export const MAP_WINDOW = 64;
/** Bytes of arena for the requests. */
export const MAP_TABLES = MAP_WINDOW * MAP_SIZE;
/** Segments of one batch: some 500 mappings at most, about 2 ms. */
const MOST = 256;

export interface MapMemory {
  /** Address of the domain records. */
  readonly domains: number;
  /** MAP_WINDOW pages of arena and MAP_TABLES bytes, the vif's own. */
  readonly window: number;
  readonly requests: number;
  readonly counters: number;
}

export class MapUnmap implements Transfer {
  readonly name = 'map';
  readonly cache = 0;
  readonly most = MOST;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #grants: GrantTable;
  readonly #domains: number;
  readonly #window: number;
  readonly #requests: number;
  readonly #counters: number;
  /** Requests whose pages are mapped: the first ones, and the last ones. Between batches 0, unless the kernel refused to unmap. */
  #read = 0;
  #written = 0;

  constructor(arena: Arena, loops: Loops, grants: GrantTable, memory: MapMemory) {
    this.#arena = arena;
    this.#loops = loops;
    this.#grants = grants;
    this.#domains = memory.domains;
    this.#window = memory.window;
    this.#requests = memory.requests;
    this.#counters = memory.counters;
  }

  move(segments: number, n: number): void {
    const loops = this.#loops;
    for (let from = 0; from < n; ) {
      if (!this.#unmapped()) {
        this.#refuse(segments, from, n);
        return;
      }
      const requests = this.#requests;
      const window = this.#window;
      const read = loops.mapPrepare(this.#domains, segments, from, n, requests, window, MAP_WINDOW);
      const written = loops.mapTargets();
      const to = loops.mapNext();
      if (read > 0) this.#grants.mapEach(requests, read, window);
      this.#read = read;
      const last = MAP_WINDOW - written;
      if (written > 0) this.#grants.mapEach(requests + last * MAP_SIZE, written, window + last * PAGE_SIZE);
      this.#written = written;
      const left = loops.mapSettle(segments, from, to, requests, window, MAP_WINDOW);
      const list = segments + from * SEG_SIZE;
      loops.moveLocal(list, to - from, this.#counters);
      // A guest in private memory (the lab's) has nothing to map.
      if (left > 0) this.#grants.copy(list, to - from, this.#counters);
      this.#unmapped();
      from = to;
    }
  }

  borrow(): number {
    return 0;
  }

  tick(): void {}

  settle(): void {}

  close(): void {
    if (this.#unmapped()) return;
    // The kernel has no memory for that now. The window's owner unmaps it when it frees it; whose the pages were is forgotten.
    this.#grants.abandonEach(this.#requests, this.#read, this.#window);
    this.#read = 0;
    const last = MAP_WINDOW - this.#written;
    this.#grants.abandonEach(
      this.#requests + last * MAP_SIZE,
      this.#written,
      this.#window + last * PAGE_SIZE,
    );
    this.#written = 0;
  }

  /** Gives up what is mapped. False when the kernel has no memory for that now. */
  #unmapped(): boolean {
    const last = MAP_WINDOW - this.#written;
    if (this.#grants.unmapEach(this.#requests, this.#read, this.#window) !== 0) return false;
    this.#read = 0;
    const written = this.#requests + last * MAP_SIZE;
    if (this.#grants.unmapEach(written, this.#written, this.#window + last * PAGE_SIZE) !== 0) return false;
    this.#written = 0;
    return true;
  }

  /** No window to map into: the rest of the batch is refused, each segment by itself. */
  #refuse(segments: number, from: number, n: number): void {
    for (let i = from; i < n; i++) {
      const at = segments + i * SEG_SIZE + S_STATUS;
      if (this.#arena.view.getInt16(at, true) === 0)
        this.#arena.view.setInt16(at, GNTST_no_device_space, true);
    }
  }
}
