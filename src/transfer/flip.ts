/**
 * "flip": the page flip of the talk. A packet is put into a page of the back end's pool, unless it lies in one already
 * (where a NIC's DMA would have put it); then that page and the guest's granted page change places. Nothing of the
 * packet is copied for the flip itself, but its page has to be a whole one: what the packet leaves of it is zeroed,
 * since a pool page was another guest's before, and its rest would go along.
 *
 * Only for in-process domains of the lab, whose RAM is private memory of the arena. What the guest granted is checked
 * and marked as for every other access; it must be a grant for writing.
 */
import { FLIP_PAGE, FLIP_SIZE } from '../../assembly/flip_layout.js';
import { MAP_HANDLE, MAP_SIZE, MAP_STATUS } from '../../assembly/grant_layout.js';
import { PAGE_SIZE, S_STATUS, SEG_SIZE } from '../../assembly/layout.js';
import { GNTST_general_error, GNTST_no_device_space, GNTST_okay } from '../abi/grant_table.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import type { PagePool } from '../arena/page_pool.js';
import type { GrantTable } from '../xen/grant_table.js';
import { FLIP, type Transfer } from './transfer.js';

/** Pages flipped at a time. */
const GROUPS = 128;
/** Bytes of arena that a vif's flips need. */
export const FLIP_TABLES = GROUPS * (MAP_SIZE + FLIP_SIZE);

export interface FlipTarget {
  readonly domid: number;
  /** Address of the domain records. */
  readonly domains: number;
  /** Arena address of the domain's RAM, admitted to the pool. */
  readonly ram: number;
  /** FLIP_TABLES bytes of arena. */
  readonly tables: number;
  readonly counters: number;
}

export class Flip implements Transfer {
  readonly name = FLIP;
  readonly cache = 0;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #grants: GrantTable;
  readonly #pool: PagePool;
  readonly #target: FlipTarget;

  constructor(arena: Arena, loops: Loops, grants: GrantTable, pool: PagePool, target: FlipTarget) {
    this.#arena = arena;
    this.#loops = loops;
    this.#grants = grants;
    this.#pool = pool;
    this.#target = target;
  }

  move(segments: number, n: number): void {
    const { domid, domains, tables, counters } = this.#target;
    const loops = this.#loops;
    const { stack, start, end } = this.#pool;
    const groups = tables + GROUPS * MAP_SIZE;
    for (let from = 0; from < n; ) {
      const list = segments + from * SEG_SIZE;
      const used = loops.flipPrepare(list, 0, n - from, domid, tables, groups, GROUPS, stack, start, end);
      const taken = loops.flipNext();
      if (taken === 0) {
        this.#refuse(segments, from, n);
        return;
      }
      loops.moveLocal(list, taken, counters);
      this.#grants.copy(list, taken, counters);
      loops.flipMark(domains, list, tables, groups, used);
      for (let k = 0; k < used; k++) this.#exchange(tables + k * MAP_SIZE, groups + k * FLIP_SIZE);
      loops.flipSettle(domains, list, tables, groups, used);
      from += taken;
    }
  }

  borrow(): number {
    return 0;
  }

  tick(): void {}

  settle(): void {}

  close(): void {} // the pool is the back end's, and pages that changed hands are their owners'

  /** All pages of the pool are lent: the rest of the batch is refused, each segment by itself. */
  #refuse(segments: number, from: number, n: number): void {
    for (let i = from; i < n; i++) {
      const at = segments + i * SEG_SIZE + S_STATUS;
      if (this.#arena.view.getInt16(at, true) === GNTST_okay)
        this.#arena.view.setInt16(at, GNTST_no_device_space, true);
    }
  }

  #exchange(request: number, group: number): void {
    const { u32, view } = this.#arena;
    const page = u32[(group + FLIP_PAGE) / 4];
    if (view.getInt16(request + MAP_STATUS, true) !== GNTST_okay) {
      this.#pool.give(page);
      return;
    }
    const guest = this.#target.ram + u32[(request + MAP_HANDLE) / 4] * PAGE_SIZE;
    if (this.#pool.exchange(page, guest) === 0) return;
    this.#loops.grantUnmark(this.#target.domains, request, 1);
    view.setInt16(request + MAP_STATUS, GNTST_general_error, true);
  }
}
