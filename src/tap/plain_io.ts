/** A burst by one readv or writev a frame: for kernels without io_uring in the arena. */
import { IOV_STRIDE } from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import { readv, writev } from '../sys/vector_io.js';
import type { BurstIo } from './burst_io.js';

export class PlainIo implements BurstIo {
  readonly kind = 'plain';
  readonly #base: number;
  readonly #fd: number;
  readonly #i32: Int32Array;

  constructor(arena: Arena, fd: number) {
    this.#base = arena.base;
    this.#fd = fd;
    this.#i32 = new Int32Array(arena.memory.buffer);
  }

  read(iovs: number, n: number, results: number): void {
    let empty = false;
    for (let i = 0; i < n; i++) {
      // After the first EAGAIN the rest need not be tried.
      const result = empty ? -11 : readv(this.#fd, this.#base + iovs + i * IOV_STRIDE, 2);
      this.#i32[results / 4 + i] = result;
      if (result < 0) empty = true;
    }
  }

  write(iovs: number, counts: Uint8Array, n: number, results: number): void {
    for (let i = 0; i < n; i++) {
      this.#i32[results / 4 + i] = writev(this.#fd, this.#base + iovs + i * IOV_STRIDE, counts[i]);
    }
  }

  close(): void {}
}
