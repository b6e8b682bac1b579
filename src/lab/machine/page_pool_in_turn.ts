/**
 * A front end that receives into a large pool of pages, each in its turn: as much memory as many guests have, in the
 * hands of one. netfront itself posts again what came back last.
 */
import { PAGE_SIZE } from '../../../assembly/layout.js';
import { NF_PAGES, STACK_COUNT, STACK_ITEMS } from '../../../assembly/netif_layout.js';
import { GREF_BASE, PAGE_TX_FIRST } from '../../netif/netfront_memory.js';
import type { Guest, Machine } from './machine.js';

export class PagePoolInTurn {
  /** Arena address of its first page. */
  readonly first: number;
  readonly #u32: Uint32Array;
  readonly #stack: number;
  readonly order: ArrayLike<number>;
  /** Place in the order of the page that is posted next. */
  #next = 0;

  /**
   * `order`: numbers of its pages, as they have their turns; at least as many as are kept posted. They lie behind as many of
   * the guest's transmit pages, and are granted for writing here.
   */
  constructor(machine: Machine, guest: Guest, order: ArrayLike<number>) {
    const pages = order.length;
    const page = PAGE_TX_FIRST + pages;
    for (let i = 0; i < pages; i++) guest.grants.grant(GREF_BASE + page + i, 0, page + i, false);
    this.first = guest.ram + page * PAGE_SIZE;
    this.#u32 = machine.arena.u32;
    this.#stack = this.#u32[(guest.netfront.state + NF_PAGES) / 4] / 4;
    this.order = order;
  }

  /** Puts the next `n` pages where netfront takes from what it posts; whatever lay there has its turn later, or is not of the pool. */
  offer(n: number): void {
    for (let i = 0; i < n; i++) {
      const page = this.order[(this.#next + n - 1 - i) % this.order.length]; // last in, first out
      this.#u32[this.#stack + STACK_ITEMS / 4 + i] = this.first + page * PAGE_SIZE;
    }
    this.#u32[this.#stack + STACK_COUNT / 4] = n;
    this.#next = (this.#next + n) % this.order.length;
  }
}
