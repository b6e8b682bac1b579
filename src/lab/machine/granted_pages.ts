/** A domain that grants pages, and a back end that copies from them by each way there is, timed. */
import {
  PAGE_SIZE,
  S_DST_ADDR,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_STATUS,
  SEG_SIZE,
} from '../../../assembly/layout.js';
import { PORT_BLOCK } from '../../datapath/frames.js';
import { GREF_BASE, PAGE_TX_FIRST } from '../../netif/netfront_memory.js';
import { GrantCopy } from '../../transfer/grant_copy.js';
import { type BareDomain, Machine } from './machine.js';

/** Granted pages, used in turn. */
export const PAGES = 256;

/** ns of one copy, from a granted page (read-only to us) into a page of ours. */
export class DomainWithPages {
  readonly #machine = new Machine(256 << 20);
  readonly #domain: BareDomain = this.#machine.addBareDomain('granter');
  readonly #transfer: GrantCopy;
  /** Arena addresses: segments whose source is a grant; whose source is mapped; our pages; where grants are mapped. */
  readonly #granted: number;
  readonly #local: number;
  readonly #to: number;
  readonly #window: number;
  readonly #counters: number;
  readonly #references = Array.from({ length: PAGES }, (_, i) => GREF_BASE + PAGE_TX_FIRST + i);

  /** `view`: the hypervisor has the domain's RAM mapped, so that copy grants need no system call. */
  constructor(view: boolean) {
    const { arena, loops, hypervisor } = this.#machine;
    const { ram, domain } = this.#domain;
    if (view && !domain.openView()) throw new Error('no room for a view');
    const alloc = (bytes: number) => arena.allocate(bytes, 'grant copies');
    this.#granted = alloc(PAGES * SEG_SIZE);
    this.#local = alloc(PAGES * SEG_SIZE);
    this.#to = alloc(PAGES * PAGE_SIZE);
    this.#window = alloc(PAGES * PAGE_SIZE);
    this.#counters = alloc(PORT_BLOCK);
    this.#transfer = new GrantCopy(loops, hypervisor.grants, this.#counters);
    for (let i = 0; i < PAGES; i++) {
      const page = ram + (PAGE_TX_FIRST + i) * PAGE_SIZE;
      arena.u8.fill(i + 1, page, page + PAGE_SIZE);
      for (const list of [this.#granted, this.#local])
        arena.u32[(list + i * SEG_SIZE + S_DST_ADDR) / 4] = this.#to + i * PAGE_SIZE;
      const segment = this.#granted + i * SEG_SIZE;
      arena.u32[(segment + S_SRC_GREF) / 4] = this.#references[i];
      arena.view.setUint16(segment + S_SRC_DOM, domain.domid, true);
      arena.u32[(this.#local + i * SEG_SIZE + S_SRC_ADDR) / 4] = page;
    }
  }

  /** `batch` copies a call: the grants are looked at, the bytes are copied (without a view by one system call), the grants are let go. */
  copyGrant(length: number, batch: number, copies: number): number {
    return this.#batches(this.#granted, length, batch, copies);
  }

  /** The same from pages that are mapped already. */
  mapped(length: number, batch: number, copies: number): number {
    return this.#batches(this.#local, length, batch, copies);
  }

  /** Maps `batch` pages, copies from each, unmaps them. */
  accessGrant(length: number, batch: number, copies: number): number {
    const { hypervisor, loops } = this.#machine;
    const { grants } = hypervisor;
    const { domid } = this.#domain.domain;
    const batches = Array.from({ length: PAGES / batch }, (_, i) =>
      this.#references.slice(i * batch, (i + 1) * batch),
    );
    const t0 = performance.now();
    for (let done = 0; done < copies; done += batch) {
      const first = done % PAGES;
      const references = batches[first / batch];
      grants.map(domid, references, this.#window, false);
      for (let i = 0; i < batch; i++) {
        loops.copyBytes(this.#to + (first + i) * PAGE_SIZE, this.#window + i * PAGE_SIZE, length);
      }
      grants.unmap(domid, references, this.#window);
    }
    return ((performance.now() - t0) * 1e6) / copies;
  }

  /** Throws if a copy did not arrive or a grant was refused: then nothing that was measured counts. */
  check(): void {
    const { u8, view } = this.#machine.arena;
    for (let i = 0; i < PAGES; i++) {
      const status = view.getInt16(this.#granted + i * SEG_SIZE + S_STATUS, true);
      if (status !== 0) throw new Error(`grant ${this.#references[i]} was refused: ${status}`);
      const page = this.#to + i * PAGE_SIZE;
      const wanted = (i + 1) & 0xff;
      if (u8[page] !== wanted || u8[page + 63] !== wanted) throw new Error(`page ${i} was not copied`);
    }
  }

  close(): void {
    this.#machine.close();
  }

  #batches(list: number, length: number, batch: number, copies: number): number {
    const { view } = this.#machine.arena;
    for (let i = 0; i < PAGES; i++) view.setUint16(list + i * SEG_SIZE + S_LEN, length, true);
    const t0 = performance.now();
    for (let done = 0; done < copies; done += batch) {
      this.#transfer.move(list + (done % PAGES) * SEG_SIZE, batch);
    }
    return ((performance.now() - t0) * 1e6) / copies;
  }
}
