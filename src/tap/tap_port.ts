/**
 * A tap as a port: the kernel's network stack is the peer. Frames are read and written in bursts, through
 * io_uring where the kernel has it, else by one readv/writev each. The kernel takes and gives any offload.
 */

import { C_EVENTS, DROP_TAP_ERROR } from '../../assembly/counters.js';
import { BURST, F_LEN, F_SETTLED, F_VERDICT, VERDICT_DROP } from '../../assembly/layout.js';
import { STACK_CAPACITY, STACK_COUNT, STACK_ITEMS } from '../../assembly/netif_layout.js';
import {
  IOV_STRIDE,
  TAP_BASE,
  TAP_BUFFER_SIZE,
  TAP_BUFFERS,
  TAP_COUNTERS,
  TAP_HEADER,
  TAP_IOVS,
  TAP_PORT,
  TAP_SIZE,
} from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from '../datapath/counters.js';
import { fillList, portBlock } from '../datapath/frames.js';
import type { Port } from '../datapath/port.js';
import { URING_MEMORY } from '../sys/uring.js';
import type { BurstIo } from './burst_io.js';
import { OutsideIo } from './outside_io.js';
import { PlainIo } from './plain_io.js';
import { UringIo } from './uring_io.js';

/** Bytes of arena for a tap port's own state: io_uring pages first (page-aligned), then the rest. */
export const TAP_MEMORY = URING_MEMORY + 256 + TAP_SIZE + BURST * IOV_STRIDE + BURST * 4;
/** Bytes of a burst of reads at most, as far as the last one foretells: more would push each other out of the cache. */
const BURST_BYTES = 512 * 1024;
/** Bytes of a stack of `n` buffers, and of the buffers. */
export const stackSize = (n: number) => STACK_ITEMS + n * 4;

export interface TapPortOptions {
  readonly id: number;
  readonly name: string;
  readonly fd: number;
  /** PORT_BLOCK bytes. */
  readonly block: number;
  /** TAP_MEMORY bytes, page-aligned. */
  readonly memory: number;
  /** Stack of free buffers (stackSize bytes), made by `fillBuffers`. */
  readonly buffers: number;
  /** Header bytes read into descriptors: HEADER_READ, or 0 where frames are not looked at. */
  readonly header: number;
  /** false: plain calls even where io_uring is there. */
  readonly uring?: boolean;
  /** A look for what the stack answers follows every write: for where the wait that would tell is the dearer call (Xen's dom0). */
  readonly eager?: boolean;
}

/** Makes a stack at `stack` that holds `count` buffers of TAP_BUFFER_SIZE from `first` on. */
export function fillBuffers(arena: Arena, stack: number, first: number, count: number): void {
  arena.u32[(stack + STACK_COUNT) / 4] = count;
  arena.u32[(stack + STACK_CAPACITY) / 4] = count;
  for (let i = 0; i < count; i++) {
    arena.u32[(stack + STACK_ITEMS) / 4 + i] = first + (count - 1 - i) * TAP_BUFFER_SIZE;
  }
}

export class TapPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly list: number;
  readonly counters: number;
  readonly takesGrants = false;
  readonly descriptors: readonly number[];
  readonly fenced = 0;
  readonly io: BurstIo;
  readonly #loops: Loops;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #tap: number;
  readonly #iovs: number;
  readonly #results: number;
  readonly #scratch: number;
  readonly #counts = new Uint8Array(BURST);
  readonly #written = new Uint32Array(BURST);
  /** The kernel said there is something to read, and we have not met EAGAIN since. */
  #readable = true;
  readonly #eager: boolean;
  /** Reads worth trying at once: grows while all of them find a frame. */
  #ask = 4;

  constructor(arena: Arena, loops: Loops, options: TapPortOptions) {
    this.id = options.id;
    this.name = options.name;
    this.descriptors = [options.fd];
    this.#eager = options.eager ?? false;
    this.#loops = loops;
    this.#u32 = arena.u32;
    this.#i32 = new Int32Array(arena.memory.buffer);
    const block = portBlock(options.block);
    fillList(arena, block);
    this.list = block.list;
    this.counters = block.counters;
    this.#scratch = block.scratch;
    const state = options.memory + URING_MEMORY;
    this.#tap = state + 256;
    this.#iovs = this.#tap + TAP_SIZE;
    this.#results = this.#iovs + BURST * IOV_STRIDE;
    arena.view.setFloat64(this.#tap + TAP_BASE, arena.base, true);
    this.#set(TAP_HEADER, options.header);
    this.#set(TAP_IOVS, this.#iovs);
    this.#set(TAP_BUFFERS, options.buffers);
    this.#set(TAP_COUNTERS, this.counters);
    this.#set(TAP_PORT, this.id);
    const uring =
      options.uring === false
        ? undefined
        : (UringIo.open(arena, loops, options.fd, options.memory, state) ??
          OutsideIo.open(arena, options.fd));
    this.io = uring ?? new PlainIo(arena, options.fd);
  }

  pull(waiting: number): number {
    if (!this.#readable || waiting === BURST) return waiting;
    const list = this.list + waiting * 4;
    const n = this.#loops.tapPrepareReads(this.#tap, list, Math.min(this.#ask, BURST - waiting));
    if (n === 0) return waiting; // no buffer is free: the kernel's queue holds the frames
    this.io.read(this.#iovs, n, this.#results);
    let read = 0;
    let bytes = 0;
    for (let i = 0; i < n; i++) {
      const frame = this.#u32[list / 4 + i];
      if (!this.#loops.tapFinishRead(this.#tap, frame, this.#i32[this.#results / 4 + i])) continue;
      this.#u32[list / 4 + i] = this.#u32[list / 4 + read]; // keep the filled ones in front, in order
      this.#u32[list / 4 + read] = frame;
      bytes += this.#u32[(frame + F_LEN) / 4];
      read++;
    }
    if (read < n) this.#readable = false;
    const most = Math.min(BURST, Math.max(2, (BURST_BYTES * read) / bytes) | 0);
    this.#ask = read === n ? Math.min(most, n * 2) : Math.max(2, read + 1);
    return waiting + read;
  }

  push(list: number, n: number, _now: number): void {
    let queued = 0;
    for (let i = 0; i < n; i++) {
      const frame = this.#u32[list / 4 + i];
      if (this.#u32[(frame + F_VERDICT) / 4] >= VERDICT_DROP) continue;
      this.#counts[queued] = this.#loops.tapPrepareWrite(this.#tap, frame, queued);
      this.#written[queued++] = frame;
    }
    if (queued === 0) return;
    this.io.write(this.#iovs, this.#counts, queued, this.#results);
    if (this.#eager) this.#readable = true;
    for (let i = 0; i < queued; i++) {
      const frame = this.#written[i];
      if (this.#i32[this.#results / 4 + i] > 0) this.#loops.tapWritten(this.#tap, frame);
      else countUp(this.#u32, this.counters, DROP_TAP_ERROR);
      this.#u32[(frame + F_SETTLED) / 4] = 1;
    }
  }

  localize(): void {} // its frames always lie in its own buffers

  release(n: number): number {
    return this.#loops.tapRelease(this.#tap, this.list, n, this.#scratch);
  }

  flush(): void {}

  arm(waiting: number): boolean {
    return (
      waiting < BURST &&
      this.#readable &&
      this.#u32[(this.#u32[(this.#tap + TAP_BUFFERS) / 4] + STACK_COUNT) / 4] > 0
    );
  }

  wake(): void {
    this.#readable = true;
    countUp(this.#u32, this.counters, C_EVENTS);
  }

  close(): void {
    this.io.close();
  }

  #set(field: number, value: number): void {
    this.#u32[(this.#tap + field) / 4] = value;
  }
}
