/**
 * Xen's own grants: pages are mapped through /dev/xen/gntdev, and copied by batches of its GRANT_COPY. Xen checks and
 * counts; nothing of a domain's grant table can be seen from here. One object a thread.
 *
 * mmap(2) unmaps what is in its place before the driver asks Xen, and what Xen then refuses leaves a hole in the arena, into
 * which another thread's mapping may fall before it is closed. So each page is mapped outside the arena first: what is
 * wrong with a grant is found there. And it pins the grant: Xen does not look at the guest's entry again as long as it
 * is mapped, so that nothing the guest does meanwhile makes the mapping in the arena fail. (Moving the first mapping there
 * would do on a PVH dom0, but in a PV one Xen knows each mapping by its page table entry.)
 */
import {
  MAP_DOMID,
  MAP_GREF,
  MAP_HANDLE,
  MAP_MARKS,
  MAP_SIZE,
  MAP_STATUS,
  MAP_WRITE,
} from '../../../assembly/grant_layout.js';
import { PAGE_SIZE } from '../../../assembly/layout.js';
import { NATIVE_SEGMENTS_MAX } from '../../../assembly/native_layout.js';
import {
  COPY_DEST,
  COPY_END_DOMID,
  COPY_END_REF,
  COPY_FLAGS,
  COPY_LEN,
  COPY_SEGMENT_SIZE,
  COPY_SOURCE,
  COPY_STATUS,
} from '../../abi/gntdev.js';
import {
  GNTCOPY_source_gref,
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTST_no_device_space,
  GNTST_okay,
  GNTST_permission_denied,
} from '../../abi/grant_table.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import { SetupError } from '../../sys/errors.js';
import { Gntdev, GRANTS_AT_ONCE } from '../../sys/gntdev.js';
import { tryMapAnywhere, tryUnmap } from '../../sys/memory.js';
import { GrantError, type GrantTable } from '../grant_table.js';

const SEGMENTS = NATIVE_SEGMENTS_MAX * COPY_SEGMENT_SIZE;
/** Bytes of arena for one thread's grant copies; the last few take what is only read to see whether it can be. */
export const NATIVE_SEGMENTS_SIZE = SEGMENTS + 8;

/** A registration of gntdev: page number in its file, and how many pages. */
interface Registration {
  readonly page: number;
  readonly count: number;
}

export class NativeGrantTable implements GrantTable {
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #device = new Gntdev();
  readonly #segments: number;
  readonly #foreign: number;
  /** By arena address of the first page. */
  readonly #mapped = new Map<number, Registration>();

  /**
   * `segments`: NATIVE_SEGMENTS_SIZE bytes of this thread's own; `foreign`: the table of foreign pages, all threads'.
   * Throws SetupError: no device.
   */
  constructor(arena: Arena, loops: Loops, segments: number, foreign: number) {
    this.#arena = arena;
    this.#loops = loops;
    this.#segments = segments;
    this.#foreign = foreign;
  }

  map(domid: number, references: readonly number[], address: number, writable: boolean): void {
    for (const reference of references) {
      const isReference = Number.isInteger(reference) && reference >= 0 && reference <= 0xffffffff;
      if (!isReference) throw new GrantError(domid, reference, GNTST_bad_gntref);
    }
    if (references.length > GRANTS_AT_ONCE) throw new RangeError(`${references.length} grants at once`);
    for (const [i, reference] of references.entries()) this.#device.enter(i, domid, reference);
    const page = this.#mapEntered(references.length, address, writable);
    if (page >= 0) {
      this.#mapped.set(address, { page, count: references.length });
      for (const [i, reference] of references.entries())
        this.#mark(address + i * PAGE_SIZE, domid, reference, writable);
      return;
    }
    // Which of them it was: one by one.
    for (const reference of references) {
      this.#device.enter(0, domid, reference);
      const alone = this.#mapEntered(1, address, writable);
      if (alone < 0) {
        const status = this.#why(domid, reference, writable, alone);
        if (status !== GNTST_okay) throw new GrantError(domid, reference, status);
        break;
      }
      this.#arena.unmap(address, PAGE_SIZE);
      this.#device.unregister(alone, 1);
    }
    throw new SetupError(`mapping ${references.length} pages of domain ${domid}: errno ${-page}`, LIMIT_HINT);
  }

  unmap(domid: number, references: readonly number[], address: number): void {
    if (references.length === 0) return;
    const registration = this.#mapped.get(address);
    if (!registration) throw new SetupError(`nothing of domain ${domid} is mapped at ${address}`);
    // First: should that fail, whoever has the page next must not be taken for the domain.
    this.#unmark(address, registration.count);
    this.#arena.unmap(address, registration.count * PAGE_SIZE);
    this.#mapped.delete(address);
    this.#release(registration.page, registration.count, address);
  }

  /** When the page mapped at `address` goes, event channel `port` is signalled: the death of this process included. */
  signalOnUnmap(address: number, port: number): void {
    const registration = this.#mapped.get(address);
    if (registration) this.#device.signalOnUnmap(registration.page, port);
  }

  mapEach(requests: number, n: number, window: number): void {
    const { view } = this.#arena;
    for (let k = 0; k < n; ) {
      // Neighbours of one kind are one registration; the driver takes all of them or none.
      const writable = view.getUint16(requests + k * MAP_SIZE + MAP_WRITE, true);
      let end = k + 1;
      while (
        end < n &&
        end - k < GRANTS_AT_ONCE &&
        view.getUint16(requests + end * MAP_SIZE + MAP_WRITE, true) === writable
      )
        end++;
      if (this.#mapRun(requests, k, end, window, writable !== 0) < 0) {
        for (let i = k; i < end; i++) {
          const failed = this.#mapRun(requests, i, i + 1, window, writable !== 0);
          if (failed >= 0) continue;
          const request = requests + i * MAP_SIZE;
          const domid = view.getUint16(request + MAP_DOMID, true);
          const reference = view.getUint32(request + MAP_GREF, true);
          const status = this.#why(domid, reference, writable !== 0, failed);
          view.setInt16(request + MAP_STATUS, status === GNTST_okay ? GNTST_no_device_space : status, true);
        }
      }
      k = end;
    }
  }

  unmapEach(requests: number, n: number, window: number): number {
    if (n === 0) return 0;
    const result = this.#arena.tryUnmap(window, n * PAGE_SIZE);
    if (result === 0) this.abandonEach(requests, n, window);
    return result;
  }

  abandonEach(requests: number, n: number, window: number): void {
    const { u32, view } = this.#arena;
    for (let k = 0; k < n; k++) {
      const request = requests + k * MAP_SIZE;
      const count = view.getUint16(request + MAP_MARKS, true);
      if (view.getInt16(request + MAP_STATUS, true) === GNTST_okay && count > 0)
        this.#release(u32[(request + MAP_HANDLE) / 4], count, window + k * PAGE_SIZE);
    }
  }

  copy(segments: number, n: number, counters: number): void {
    const loops = this.#loops;
    const out = this.#segments;
    const { base } = this.#arena;
    for (let from = 0; from < n; ) {
      const count = loops.nativePrepare(this.#foreign, segments, from, n, base, out, NATIVE_SEGMENTS_MAX);
      const to = loops.nativeNext();
      const failed = count === 0 ? 0 : this.#device.copy(base + out, count);
      const doubtful = loops.nativeFinish(segments, from, to, out, failed === 0 ? 0 : 1, counters);
      if (doubtful > 0) this.#probe(segments, from, to);
      from = to;
    }
  }

  /** One page into a mapping cache. 0 or a negative errno; then zeroes are there. */
  mapPage(domid: number, reference: number, address: number, writable: boolean): number {
    const failed = this.unmapPage(address);
    if (failed !== 0) return failed;
    this.#device.enter(0, domid, reference);
    const page = this.#mapEntered(1, address, writable);
    if (page < 0) return page;
    this.#mapped.set(address, { page, count: 1 });
    this.#mark(address, domid, reference, writable);
    return 0;
  }

  /** Its opposite; nothing happens where no page is. */
  unmapPage(address: number): number {
    const registration = this.#mapped.get(address);
    if (!registration) return 0;
    const failed = this.#arena.tryUnmap(address, PAGE_SIZE);
    if (failed !== 0) return failed;
    this.#mapped.delete(address);
    this.#release(registration.page, 1, address);
    return 0;
  }

  /** Empties a whole mapping cache, which nobody uses any more. Throws SysError; then its pages are still mapped. */
  unmapWindow(address: number, bytes: number): void {
    this.#unmark(address, bytes / PAGE_SIZE); // as in unmap: the window's owner frees it in any case
    this.#arena.unmap(address, bytes);
    for (let page = address; page < address + bytes; page += PAGE_SIZE) {
      const registration = this.#mapped.get(page);
      if (!registration) continue;
      this.#mapped.delete(page);
      this.#release(registration.page, 1, page);
    }
  }

  close(): void {
    this.#device.close();
  }

  /** Maps requests [from, to) as one registration. A negative errno when any was refused: then zeroes are there. */
  #mapRun(requests: number, from: number, to: number, window: number, writable: boolean): number {
    const { u32, view } = this.#arena;
    for (let i = from; i < to; i++) {
      const request = requests + i * MAP_SIZE;
      this.#device.enter(i - from, view.getUint16(request + MAP_DOMID, true), u32[(request + MAP_GREF) / 4]);
    }
    const page = this.#mapEntered(to - from, window + from * PAGE_SIZE, writable);
    if (page < 0) return page;
    for (let i = from; i < to; i++) {
      const request = requests + i * MAP_SIZE;
      view.setInt16(request + MAP_STATUS, GNTST_okay, true);
      view.setUint16(request + MAP_MARKS, i === from ? to - from : 0, true);
      u32[(request + MAP_HANDLE) / 4] = page;
      const domid = view.getUint16(request + MAP_DOMID, true);
      this.#mark(window + i * PAGE_SIZE, domid, u32[(request + MAP_GREF) / 4], writable);
    }
    return 0;
  }

  /** Registers and maps the entered references. Their page in the driver's file, or a negative errno. */
  #mapEntered(count: number, address: number, writable: boolean): number {
    const device = this.#device;
    const bytes = count * PAGE_SIZE;
    const pinned = device.register(count);
    if (pinned < 0) return pinned;
    const outside = tryMapAnywhere(bytes, device.fd, pinned * PAGE_SIZE, writable);
    const page = outside < 0 ? outside : device.register(count);
    const failed =
      page < 0 ? page : this.#arena.tryMap(address, bytes, device.fd, page * PAGE_SIZE, writable);
    if (outside >= 0) tryUnmap(outside, bytes);
    device.unregister(pinned, count);
    if (failed === 0) return page;
    if (page >= 0) {
      this.#arena.tryUnmap(address, bytes); // no memory, or no more mappings at all: then nothing was unmapped there
      device.unregister(page, count);
    }
    return failed;
  }

  /** The range is unmapped already, or will be by its owner; until then the driver keeps it mapped. */
  #release(page: number, count: number, address: number): void {
    this.#unmark(address, count);
    this.#device.unregister(page, count);
  }

  #unmark(address: number, count: number): void {
    for (let i = 0; i < count; i++) this.#loops.foreignPage(this.#foreign, address + i * PAGE_SIZE, 0, 0, 0);
  }

  #mark(address: number, domid: number, reference: number, writable: boolean): void {
    this.#loops.foreignPage(this.#foreign, address, domid + 1, reference, writable ? 1 : 0);
  }

  /** Why a grant could not be mapped (`failed`), by reading a byte of it; GNTST_okay when it is not the grant's fault. */
  #why(domid: number, reference: number, writable: boolean, failed: number): number {
    const { view } = this.#arena;
    const at = this.#segments;
    for (let i = 0; i < COPY_SEGMENT_SIZE; i += 4) view.setUint32(at + i, 0, true);
    view.setUint32(at + COPY_SOURCE + COPY_END_REF, reference, true);
    view.setUint16(at + COPY_SOURCE + COPY_END_DOMID, domid, true);
    const sink = this.#arena.base + at + SEGMENTS;
    view.setUint32(at + COPY_DEST, sink % 2 ** 32, true);
    view.setUint32(at + COPY_DEST + 4, Math.floor(sink / 2 ** 32), true);
    view.setUint16(at + COPY_LEN, 1, true);
    view.setUint16(at + COPY_FLAGS, GNTCOPY_source_gref, true);
    if (this.#device.copy(this.#arena.base + at, 1) !== 0) return GNTST_general_error;
    const status = view.getInt16(at + COPY_STATUS, true);
    // It can be read: it is granted for reading only, or the driver has no memory.
    return status === GNTST_okay && writable && failed === -EINVAL ? GNTST_permission_denied : status;
  }

  /** Finds out which end of the doubtful ones of [from, to) it was: netback answers its own guest otherwise than the sender. */
  #probe(segments: number, from: number, to: number): void {
    const loops = this.#loops;
    const out = this.#segments;
    const { base } = this.#arena;
    const count = loops.nativeProbe(segments, from, to, base, out, out + SEGMENTS);
    if (this.#device.copy(base + out, count) === 0) loops.nativeProbed(segments, from, to, out);
  }
}

const EINVAL = 22;
const LIMIT_HINT = 'ENOMEM: free memory, or raise /sys/module/xen_gntdev/parameters/limit';
