/** Pages that this domain grants, out of gntalloc, mapped into an arena. */
import { PAGE_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../../src/arena/arena.js';
import { Gntalloc } from '../../src/sys/gntalloc.js';

/** Pages of one call: the driver's table is an allocation of the kernel's. */
const AT_ONCE = 256;

export class GrantedPages {
  readonly #arena: Arena;
  readonly #device = new Gntalloc();
  readonly #undo: (() => void)[] = [];

  /** Throws SetupError: no /dev/xen/gntalloc. */
  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /**
   * Replaces `pages` pages at `address` by new, zeroed ones that domain `backend` may use. Their references, a page
   * each, in no order. Throws SysError; ENOSPC: /sys/module/xen_gntalloc/parameters/limit.
   */
  grant(backend: number, address: number, pages: number, writable: boolean): number[] {
    const references: number[] = [];
    while (references.length < pages) {
      const count = Math.min(AT_ONCE, pages - references.length);
      const at = address + references.length * PAGE_SIZE;
      const granted = this.#device.allocate(backend, count, writable);
      this.#undo.push(() => this.#device.free(granted));
      this.#arena.map(at, count * PAGE_SIZE, this.#device.fd, granted.offset, true);
      this.#undo.push(() => this.#arena.unmap(at, count * PAGE_SIZE));
      references.push(...granted.references);
    }
    return references;
  }

  /** Takes all grants back; what the other domain has mapped stays its until it unmaps. */
  close(): void {
    for (const step of this.#undo.splice(0).reverse()) step();
    this.#device.close();
  }
}
