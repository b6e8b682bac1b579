/**
 * The back end's pool of pages that change hands: a guest gets one with its packet in it, and the page that it had
 * there comes into the pool. Pages are private anonymous memory of the arena on both sides; a page table entry moves,
 * the addresses stay whose they are. By UFFDIO_MOVE where the kernel has it, else by mremap.
 *
 * One place of the pool is empty at any time: the guest's page moves there, the pool's page moves to the guest, and
 * the place that it left is the empty one.
 */
import { PAGE_SIZE } from '../../assembly/layout.js';
import { STACK_CAPACITY, STACK_COUNT, STACK_ITEMS } from '../../assembly/netif_layout.js';
import { SetupError } from '../sys/errors.js';
import { dropPages, movePages, singlePages } from '../sys/memory.js';
import { UserFault } from '../sys/userfaultfd.js';
import type { Arena } from './arena.js';
import type { Loops } from './loops.js';

export type Exchange = 'UFFDIO_MOVE' | 'mremap';

/** What guests are asked of: nobody writes to a page of his that he posted. One who does is tried again this often. */
const TRIES = 8;
const EEXIST = -17;

export class PagePool {
  readonly by: Exchange;
  /** Arena addresses: the pool's pages, and behind the last one. */
  readonly start: number;
  readonly end: number;
  /** Stack of the pages that are free (STACK_* in assembly/netif_layout.ts). */
  readonly stack: number;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #uffd: UserFault | undefined;
  #spare: number;

  /**
   * A pool of `pages` pages. `by`: how they change hands; by default the best way that this kernel has.
   * Throws SetupError or SysError: the arena is full, or the kernel has no such way (mremap: Linux ≥ 5.7).
   */
  constructor(arena: Arena, loops: Loops, pages: number, by?: Exchange) {
    this.#arena = arena;
    this.#loops = loops;
    const bytes = (pages + 1) * PAGE_SIZE;
    this.start = arena.allocate(bytes, 'a page pool');
    this.end = this.start + bytes;
    this.#spare = this.start + pages * PAGE_SIZE;
    try {
      this.stack = arena.allocate(STACK_ITEMS + pages * 4, 'a page pool');
    } catch (error) {
      arena.free(this.start, bytes);
      throw error;
    }
    try {
      this.#uffd = by === 'mremap' ? undefined : this.#openUserFault(bytes, by === undefined);
      this.by = this.#uffd ? 'UFFDIO_MOVE' : 'mremap';
      if (!this.#uffd) this.admit(this.start, bytes);
      if (!this.#uffd && movePages(arena.base + this.#spare, arena.base + this.start, PAGE_SIZE) !== 0)
        throw new SetupError('pages cannot change hands here', 'needs Linux ≥ 5.7 (mremap MREMAP_DONTUNMAP)');
    } catch (error) {
      this.close();
      throw error;
    }
    arena.u32[(this.stack + STACK_CAPACITY) / 4] = pages;
    arena.u32[(this.stack + STACK_COUNT) / 4] = 0;
    for (let page = this.#spare - PAGE_SIZE; page >= this.start; page -= PAGE_SIZE) this.give(page);
  }

  /** Makes arena memory private, zeroed, in single pages, and lets its pages change hands. Throws SysError. */
  admit(address: number, bytes: number): void {
    this.#arena.unmap(address, bytes);
    singlePages(this.#arena.base + address, bytes);
    this.#uffd?.register(this.#arena.base + address, bytes);
  }

  /** A free page (what was in it is there still), or 0. The caller gives it back, or away. */
  take(): number {
    return this.#loops.stackPop(this.stack);
  }

  give(page: number): void {
    this.#loops.stackPush(this.stack, page);
  }

  /** Pages that are free. */
  get free(): number {
    return this.#arena.u32[(this.stack + STACK_COUNT) / 4];
  }

  /**
   * Gives the pool's page `page`, taken before, to the guest that has `guest`, an admitted page; the guest's old one is
   * free in the pool afterwards. 0, or a negative errno: then `page` is free again, and the guest has what it had,
   * or, if it wrote there meanwhile, only that.
   */
  exchange(page: number, guest: number): number {
    const { base } = this.#arena;
    let result = this.#move(base + this.#spare, base + guest);
    if (result !== 0) {
      this.give(page);
      return result;
    }
    for (let tries = 0; tries < TRIES; tries++) {
      result = this.#move(base + guest, base + page);
      if (result !== EEXIST) break;
      dropPages(base + guest, PAGE_SIZE);
    }
    // Whatever became of it, this place has to be empty for the next exchange.
    if (result !== 0) dropPages(base + page, PAGE_SIZE);
    this.give(this.#spare);
    this.#spare = page;
    return result;
  }

  /** Guests keep the pages that they have. */
  close(): void {
    this.#uffd?.close();
    this.#arena.free(this.start, this.end - this.start);
    this.#arena.free(this.stack, STACK_ITEMS + ((this.end - this.start) / PAGE_SIZE - 1) * 4);
  }

  /** Undefined where the kernel cannot (an older one, or one without it) and another way will do. */
  #openUserFault(bytes: number, optional: boolean): UserFault | undefined {
    let uffd: UserFault | undefined;
    try {
      uffd = new UserFault();
      this.#arena.unmap(this.start, bytes);
      singlePages(this.#arena.base + this.start, bytes);
      uffd.register(this.#arena.base + this.start, bytes);
      return uffd;
    } catch (error) {
      uffd?.close();
      if (optional) return undefined;
      throw error;
    }
  }

  #move(to: number, from: number): number {
    return this.#uffd ? this.#uffd.move(to, from, PAGE_SIZE) : movePages(to, from, PAGE_SIZE);
  }
}
