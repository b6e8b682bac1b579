/** A burst by one io_uring_enter(2). */
import { IOV_STRIDE } from '../../assembly/tap_layout.js';
import {
  URING_BASE,
  URING_CQ_HEAD,
  URING_CQ_MASK,
  URING_CQ_TAIL,
  URING_CQES,
  URING_SQ_MASK,
  URING_SQ_TAIL,
  URING_SQES,
} from '../../assembly/uring_layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { SysError } from '../sys/errors.js';
import { Uring } from '../sys/uring.js';
import { writev } from '../sys/vector_io.js';
import type { BurstIo } from './burst_io.js';

const EAGAIN = 11;

export class UringIo implements BurstIo {
  readonly kind = 'io_uring';
  readonly #loops: Loops;
  readonly #uring: Uring;
  readonly #fd: number;
  readonly #ring: number;
  readonly #base: number;
  readonly #i32: Int32Array;

  private constructor(arena: Arena, loops: Loops, fd: number, uring: Uring, state: number) {
    this.#loops = loops;
    this.#uring = uring;
    this.#fd = fd;
    this.#ring = state;
    this.#base = arena.base;
    this.#i32 = new Int32Array(arena.memory.buffer);
    uring.registerFile(fd);
    const { layout } = uring;
    arena.view.setFloat64(state + URING_BASE, arena.base, true);
    const fields: [number, number][] = [
      [URING_SQES, layout.sqes],
      [URING_SQ_TAIL, layout.sqTail],
      [URING_SQ_MASK, layout.sqMask],
      [URING_CQ_HEAD, layout.cqHead],
      [URING_CQ_TAIL, layout.cqTail],
      [URING_CQ_MASK, layout.cqMask],
      [URING_CQES, layout.cqes],
    ];
    for (const [field, value] of fields) arena.u32[(state + field) / 4] = value;
  }

  /** undefined where this kernel has no io_uring for us. `memory`: URING_MEMORY bytes; `state`: URING_SIZE. */
  static open(arena: Arena, loops: Loops, fd: number, memory: number, state: number): UringIo | undefined {
    try {
      return new UringIo(arena, loops, fd, new Uring(arena.base, arena.u32, memory), state);
    } catch (error) {
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }

  read(iovs: number, n: number, results: number): void {
    for (let i = 0; i < n; i++) this.#loops.uringQueue(this.#ring, 0, iovs + i * IOV_STRIDE, 2, i);
    this.#run(n, results);
  }

  write(iovs: number, counts: Uint8Array, n: number, results: number): void {
    for (let i = 0; i < n; i++) {
      this.#loops.uringQueue(this.#ring, 1, iovs + i * IOV_STRIDE, counts[i], i);
    }
    this.#run(n, results);
    for (let i = 0; i < n; i++) {
      // The kernel may find no memory without sleeping; a plain call may sleep.
      if (this.#i32[results / 4 + i] !== -EAGAIN) continue;
      this.#i32[results / 4 + i] = writev(this.#fd, this.#base + iovs + i * IOV_STRIDE, counts[i]);
    }
  }

  close(): void {
    this.#uring.close();
  }

  #run(n: number, results: number): void {
    this.#i32.fill(-EAGAIN, results / 4, results / 4 + n);
    let submitted = 0;
    let reaped = 0;
    while (reaped < n) {
      const result = this.#uring.submit(n - submitted);
      if (result < 0 && result !== -4) break; // EINTR is retried; anything else leaves EAGAIN as the result
      if (result > 0) submitted += result;
      reaped += this.#loops.uringReap(this.#ring, results);
    }
  }
}
