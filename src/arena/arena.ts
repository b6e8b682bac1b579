/**
 * The one address space of the datapath: a fixed-size shared WebAssembly memory. Guest pages, rings and
 * packet buffers are mapped into it, so that WebAssembly reads them in place, bounds-checked.
 *
 * An address is a byte offset into the arena (u32). 0 is nobody's: the first 64 KiB stay unused, so a
 * forgotten address meets zeroes. What is unmapped is replaced by zero pages, never by a hole.
 */

import { PAGE_SIZE } from '../../assembly/layout.js';
import { SetupError } from '../sys/errors.js';
import { baseOf, mapFixed, mapZero, tryMapFixed, tryMapZero } from '../sys/memory.js';
import { PageAllocator } from './pages.js';

const WASM_PAGE = 65536;
/** Cache lines of a page. */
const LINES = 64;

export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** Address of the arena's first byte in this process. */
  readonly base: number;
  readonly #pages: PageAllocator | undefined;
  #line = 0;

  private constructor(memory: WebAssembly.Memory, owner: boolean) {
    this.memory = memory;
    this.u8 = new Uint8Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.base = baseOf(memory);
    const first = WASM_PAGE / PAGE_SIZE;
    this.#pages = owner ? new PageAllocator(first, memory.buffer.byteLength / PAGE_SIZE) : undefined;
  }

  /**
   * A new arena of `size` bytes of address space (memory is only used where it is touched), or the half of it, and so
   * on down to `least`, where the machine promises no more (vm.overcommit_memory, a small dom0). Throws SetupError.
   */
  static create(size: number, least = size): Arena {
    for (let bytes = size; ; bytes /= 2) {
      const pages = Math.ceil(bytes / WASM_PAGE);
      try {
        return new Arena(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), true);
      } catch (cause) {
        if (bytes / 2 >= least) continue;
        const hint = 'raise `ulimit -v`, set vm.overcommit_memory=0, or free memory';
        throw new SetupError(`no address space for an arena of ${bytes} bytes`, hint, { cause });
      }
    }
  }

  /** The same arena seen from another thread. Only its creator allocates. */
  static attach(memory: WebAssembly.Memory): Arena {
    return new Arena(memory, false);
  }

  /**
   * `bytes`, rounded up to pages, page-aligned and zeroed. The caller owns them until `free`. `apart`: they begin at a
   * cache line of their first page that is another one each time, never the first: states of many vifs would share one in 64 of a
   * cache's sets, and with them the beginnings of all guests' pages. Throws SetupError.
   */
  allocate(bytes: number, what: string, apart = false): number {
    const inPage = apart ? this.#nextLine() : 0;
    const count = pagesOf(inPage + bytes);
    const page = this.#allocator.take(count);
    if (page === undefined) {
      throw new SetupError(
        `arena is full: no ${count} pages for ${what}`,
        'fewer vifs, or smaller mapping caches',
      );
    }
    return page * PAGE_SIZE + inPage;
  }

  /** Gives the pages back; whatever was mapped there is replaced by zeroes first. */
  free(address: number, bytes: number): void {
    const inPage = address % PAGE_SIZE;
    this.unmap(address - inPage, inPage + bytes);
    this.#allocator.give((address - inPage) / PAGE_SIZE, pagesOf(inPage + bytes));
  }

  /** Maps `bytes` of file `fd` from `offset` at `address` (all page-aligned). Throws SysError. */
  map(address: number, bytes: number, fd: number, offset: number, writable: boolean): void {
    this.#inside(address, bytes);
    mapFixed(this.base + address, bytes, fd, offset, writable);
  }

  /** Puts private zero pages where a mapping was. */
  unmap(address: number, bytes: number): void {
    this.#inside(address, bytes);
    mapZero(this.base + address, pagesOf(bytes) * PAGE_SIZE);
  }

  /** `map` for the datapath: no error's object, 0 or a negative errno. */
  tryMap(address: number, bytes: number, fd: number, offset: number, writable: boolean): number {
    this.#inside(address, bytes);
    return tryMapFixed(this.base + address, bytes, fd, offset, writable);
  }

  /** `unmap` likewise. When it fails, what was mapped is still there. */
  tryUnmap(address: number, bytes: number): number {
    this.#inside(address, bytes);
    return tryMapZero(this.base + address, pagesOf(bytes) * PAGE_SIZE);
  }

  /** Pages not yet given out. */
  get freePages(): number {
    return this.#allocator.free;
  }

  /** Of lines 1 … 63 of a page, all of them before one comes again; neighbours are not next to each other. */
  #nextLine(): number {
    this.#line = (this.#line + 11) % (LINES - 1);
    return (this.#line + 1) * (PAGE_SIZE / LINES);
  }

  get #allocator(): PageAllocator {
    if (!this.#pages) throw new Error('only the thread that created an arena allocates in it');
    return this.#pages;
  }

  #inside(address: number, bytes: number): void {
    if (address % PAGE_SIZE !== 0 || address < WASM_PAGE || address + bytes > this.u8.length) {
      throw new RangeError(`[${address}, +${bytes}) is not a page range of the arena`);
    }
  }
}

/** Pages that `bytes` take. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE);
}
