/**
 * The pages that our netfront has in a real Xen domain: the kernel's, granted to the back end for good (gntalloc), side
 * by side in the arena as in an embedded guest's RAM, under references in no order.
 */
import { PAGE_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import { type NetfrontLayout, PAGE_TX_FIRST, ramPagesFor } from '../netif/netfront_memory.js';
import { Gntalloc, type GrantedPages } from '../sys/gntalloc.js';

/** TX buffers of 64 KiB: 16 pages each. Kernel memory and references, both of which a domain is short of. */
const TX_BUFFERS = 64;

export interface GrantedRam {
  readonly address: number;
  readonly pages: number;
  readonly layout: NetfrontLayout;
  /** Arena address of the table of references, a u32 a page. */
  readonly grefs: number;
  /** The back end keeps what it has mapped until it lets go of it. */
  close(): void;
}

/** Rings and pages to receive into writable, pages to send from not. Throws SetupError or SysError; nothing is left then. */
export function grantRam(arena: Arena, backend: number): GrantedRam {
  const device = new Gntalloc();
  const pages = ramPagesFor(TX_BUFFERS);
  const address = arena.allocate(pages * PAGE_SIZE, 'granted pages');
  const grefs = arena.allocate(pages * 4, 'references');
  const parts: GrantedPages[] = [];
  const close = () => {
    arena.free(address, pages * PAGE_SIZE); // unmapped first: a page goes when nobody has it
    for (const part of parts.splice(0)) device.free(part);
    device.close();
    arena.free(grefs, pages * 4);
  };
  const add = (first: number, count: number, writable: boolean) => {
    const part = device.allocate(backend, count, writable);
    parts.push(part);
    arena.map(address + first * PAGE_SIZE, count * PAGE_SIZE, device.fd, part.offset, true);
    arena.u32.set(part.references, grefs / 4 + first);
  };
  try {
    add(0, PAGE_TX_FIRST, true);
    add(PAGE_TX_FIRST, pages - PAGE_TX_FIRST, false);
  } catch (error) {
    close();
    throw error;
  }
  const layout = { txBuffers: TX_BUFFERS, reference: (page: number) => arena.u32[grefs / 4 + page] };
  return { address, pages, layout, grefs, close };
}
