/**
 * io_uring for kernels that neither take the arena's memory for its rings (before Linux 6.6, see uring.ts) nor let theirs
 * be mapped at an address of ours: they lie where the kernel puts them, outside the arena, and are filled from here. For
 * vectored writes to one file; a read of nothing would wait there (a tap knows RWF_NOWAIT since Linux 6.4).
 */
import koffi from 'koffi';
import {
  CQ_OFF_CQES,
  CQ_OFF_HEAD,
  CQ_OFF_RING_MASK,
  CQ_OFF_TAIL,
  CQE_RES,
  CQE_SIZE,
  CQE_USER_DATA,
  IORING_ENTER_GETEVENTS,
  IORING_FEAT_SINGLE_MMAP,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_OP_WRITEV,
  IORING_REGISTER_FILES,
  IORING_UNREGISTER_FILES,
  IOSQE_FIXED_FILE,
  PARAMS_CQ_ENTRIES,
  PARAMS_CQ_OFF,
  PARAMS_FEATURES,
  PARAMS_SIZE,
  PARAMS_SQ_OFF,
  SQ_OFF_ARRAY,
  SQ_OFF_HEAD,
  SQ_OFF_RING_MASK,
  SQ_OFF_TAIL,
  SQE_ADDR,
  SQE_FLAGS,
  SQE_LEN,
  SQE_OFF,
  SQE_OPCODE,
  SQE_SIZE,
  SQE_USER_DATA,
  SYS_io_uring_enter,
  SYS_io_uring_register,
  SYS_io_uring_setup,
} from '../abi/io_uring.js';
import { SysError } from './errors.js';
import { addressOf, check, close, errno, rawSyscall } from './libc.js';
import { mapFileAt, unmap } from './memory.js';
import { URING_ENTRIES } from './uring.js';

const PAGE = 4096;
const SQES_BYTES = URING_ENTRIES * SQE_SIZE;
const SQE_WORDS = SQE_SIZE / 4;

export class OutsideUring {
  readonly #fd: number;
  /** Of the mappings, in this process; their views are gone with them. */
  readonly #sqesAt: number;
  readonly #ringAt: number;
  readonly #ringBytes: number;
  #sqes: Uint32Array;
  #ring: Uint32Array;
  // Indices into #ring, and masks.
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;

  /** Its writes go to file `fd`. Throws SysError where the kernel has no io_uring for us. */
  constructor(fd: number) {
    const params = new DataView(new ArrayBuffer(PARAMS_SIZE));
    const pointer = addressOf(new Uint8Array(params.buffer));
    this.#fd = check('io_uring_setup', rawSyscall(SYS_io_uring_setup, URING_ENTRIES, pointer, 0, 0, 0, 0));
    const at = (offset: number) => params.getUint32(offset, true);
    const cqes = at(PARAMS_CQ_OFF + CQ_OFF_CQES);
    const array = at(PARAMS_SQ_OFF + SQ_OFF_ARRAY);
    const end = Math.max(array + URING_ENTRIES * 4, cqes + at(PARAMS_CQ_ENTRIES) * CQE_SIZE);
    this.#ringBytes = Math.ceil(end / PAGE) * PAGE;
    let mapped = 0;
    try {
      if (!(at(PARAMS_FEATURES) & IORING_FEAT_SINGLE_MMAP)) throw new SysError('io_uring_setup', EINVAL);
      this.#sqesAt = mapped = mapFileAt(this.#fd, IORING_OFF_SQES, SQES_BYTES);
      this.#ringAt = mapFileAt(this.#fd, IORING_OFF_SQ_RING, this.#ringBytes);
    } catch (error) {
      if (mapped !== 0) unmap(mapped, SQES_BYTES);
      close(this.#fd);
      throw error;
    }
    this.#sqes = new Uint32Array(koffi.view(this.#sqesAt, SQES_BYTES));
    this.#ring = new Uint32Array(koffi.view(this.#ringAt, this.#ringBytes));
    this.#sqHead = at(PARAMS_SQ_OFF + SQ_OFF_HEAD) / 4;
    this.#sqTail = at(PARAMS_SQ_OFF + SQ_OFF_TAIL) / 4;
    this.#sqMask = this.#ring[at(PARAMS_SQ_OFF + SQ_OFF_RING_MASK) / 4];
    this.#cqHead = at(PARAMS_CQ_OFF + CQ_OFF_HEAD) / 4;
    this.#cqTail = at(PARAMS_CQ_OFF + CQ_OFF_TAIL) / 4;
    this.#cqMask = this.#ring[at(PARAMS_CQ_OFF + CQ_OFF_RING_MASK) / 4];
    this.#cqes = cqes / 4;
    // What never changes: entry i is SQE i, a write to the registered file without a position.
    for (let i = 0; i < URING_ENTRIES; i++) {
      this.#ring[array / 4 + i] = i;
      const sqe = i * SQE_WORDS;
      this.#sqes[sqe + SQE_OPCODE / 4] = IORING_OP_WRITEV | (IOSQE_FIXED_FILE << (SQE_FLAGS * 8));
      this.#sqes.fill(0xffffffff, sqe + SQE_OFF / 4, sqe + SQE_OFF / 4 + 2);
    }
    this.#register(fd);
  }

  /** Queues a write of `count` iovecs at `address`, of this process. No more than URING_ENTRIES between two submits. */
  queue(address: number, count: number, tag: number): void {
    const tail = this.#ring[this.#sqTail];
    const sqe = (tail & this.#sqMask) * SQE_WORDS;
    const sqes = this.#sqes;
    sqes[sqe + SQE_ADDR / 4] = address % 2 ** 32;
    sqes[sqe + SQE_ADDR / 4 + 1] = Math.floor(address / 2 ** 32);
    sqes[sqe + SQE_LEN / 4] = count;
    sqes[sqe + SQE_USER_DATA / 4] = tag;
    Atomics.store(this.#ring, this.#sqTail, tail + 1);
  }

  /** Submits `n` queued entries and waits until all are complete. How many it took, or a negative errno. */
  submit(n: number): number {
    const result = rawSyscall(SYS_io_uring_enter, this.#fd, n, n, IORING_ENTER_GETEVENTS, 0, 0) as number;
    return result < 0 ? -errno() : result;
  }

  /** Forgets what is queued and was not submitted. */
  drop(): void {
    Atomics.store(this.#ring, this.#sqTail, Atomics.load(this.#ring, this.#sqHead));
  }

  /** Takes completions: results[at + tag] = bytes, or a negative errno. Returns how many there were. */
  reap(results: Int32Array, at: number): number {
    const ring = this.#ring;
    const tail = Atomics.load(ring, this.#cqTail);
    let head = ring[this.#cqHead];
    const n = (tail - head) >>> 0;
    for (let i = 0; i < n; i++, head++) {
      const cqe = this.#cqes + (head & this.#cqMask) * (CQE_SIZE / 4);
      results[at + ring[cqe + CQE_USER_DATA / 4]] = ring[cqe + CQE_RES / 4];
    }
    Atomics.store(ring, this.#cqHead, head);
    return n;
  }

  close(): void {
    rawSyscall(SYS_io_uring_register, this.#fd, IORING_UNREGISTER_FILES, 0, 0, 0, 0);
    this.#sqes = this.#ring = new Uint32Array(0);
    unmap(this.#sqesAt, SQES_BYTES);
    unmap(this.#ringAt, this.#ringBytes);
    close(this.#fd);
  }

  /** Index 0 means `fd` from now on. Throws SysError; then all is let go of. */
  #register(fd: number): void {
    const files = new Uint8Array(new Int32Array([fd]).buffer);
    const result = rawSyscall(
      SYS_io_uring_register,
      this.#fd,
      IORING_REGISTER_FILES,
      addressOf(files),
      1,
      0,
      0,
    );
    if (result === 0) return;
    const error = errno();
    this.close();
    throw new SysError('io_uring_register', error, `file ${fd}`);
  }
}

const EINVAL = 22;
