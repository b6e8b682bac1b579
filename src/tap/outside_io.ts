/** Bursts of writes by one io_uring_enter(2) whose rings are not in the arena (Linux before 6.6); reads one by one. */
import { IOV_STRIDE } from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import { SysError } from '../sys/errors.js';
import { OutsideUring } from '../sys/outside_uring.js';
import { writev } from '../sys/vector_io.js';
import type { BurstIo } from './burst_io.js';
import { PlainIo } from './plain_io.js';

const EAGAIN = 11;
const EINTR = 4;

export class OutsideIo implements BurstIo {
  readonly kind = 'io_uring';
  readonly #plain: PlainIo;
  readonly #uring: OutsideUring;
  readonly #fd: number;
  readonly #base: number;
  readonly #i32: Int32Array;

  private constructor(arena: Arena, fd: number, uring: OutsideUring) {
    this.#plain = new PlainIo(arena, fd);
    this.#uring = uring;
    this.#fd = fd;
    this.#base = arena.base;
    this.#i32 = new Int32Array(arena.memory.buffer);
  }

  /** undefined where this kernel has no io_uring for us. */
  static open(arena: Arena, fd: number): OutsideIo | undefined {
    try {
      return new OutsideIo(arena, fd, new OutsideUring(fd));
    } catch (error) {
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }

  read(iovs: number, n: number, results: number): void {
    this.#plain.read(iovs, n, results);
  }

  write(iovs: number, counts: Uint8Array, n: number, results: number): void {
    if (n === 1) {
      this.#plain.write(iovs, counts, n, results);
      return;
    }
    const iov = this.#base + iovs;
    const at = results / 4;
    for (let i = 0; i < n; i++) this.#uring.queue(iov + i * IOV_STRIDE, counts[i], i);
    this.#i32.fill(-EAGAIN, at, at + n);
    let submitted = 0;
    for (let reaped = 0; reaped < n; ) {
      const result = this.#uring.submit(n - submitted);
      if (result < 0 && result !== -EINTR) break; // what has no result yet is written below
      if (result > 0) submitted += result;
      reaped += this.#uring.reap(this.#i32, at);
    }
    if (submitted < n) this.#uring.drop();
    for (let i = 0; i < n; i++) {
      // The kernel may find no memory without sleeping; a plain call may sleep.
      if (this.#i32[at + i] === -EAGAIN)
        this.#i32[at + i] = writev(this.#fd, iov + i * IOV_STRIDE, counts[i]);
    }
  }

  close(): void {
    this.#uring.close();
  }
}
