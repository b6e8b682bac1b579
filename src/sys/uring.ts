/**
 * io_uring with its rings inside the arena (IORING_SETUP_NO_MMAP, Linux ≥ 6.6), so that the hot loops write
 * SQEs and read CQEs and one io_uring_enter(2) submits a batch.
 */
import {
  CQ_OFF_CQES,
  CQ_OFF_HEAD,
  CQ_OFF_RING_MASK,
  CQ_OFF_TAIL,
  CQ_OFF_USER_ADDR,
  IORING_ENTER_GETEVENTS,
  IORING_REGISTER_FILES,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_UNREGISTER_FILES,
  PARAMS_CQ_OFF,
  PARAMS_FLAGS,
  PARAMS_SIZE,
  PARAMS_SQ_OFF,
  SQ_OFF_RING_MASK,
  SQ_OFF_TAIL,
  SQ_OFF_USER_ADDR,
  SYS_io_uring_enter,
  SYS_io_uring_register,
  SYS_io_uring_setup,
} from '../abi/io_uring.js';
import { SysError } from './errors.js';
import { addressOf, check, close, errno, rawSyscall } from './libc.js';

/** Submissions a ring holds; its SQEs fill one page, its rings fit another. */
export const URING_ENTRIES = 64;
/** Bytes of arena, page-aligned: one page of SQEs, one of rings. */
export const URING_MEMORY = 8192;

/** Where the parts lie, as arena addresses; masks as values. */
export interface UringLayout {
  readonly sqes: number;
  readonly sqTail: number;
  readonly sqMask: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqMask: number;
  readonly cqes: number;
}

export class Uring {
  readonly fd: number;
  readonly layout: UringLayout;

  /**
   * `memory`: arena address of URING_MEMORY zeroed bytes that stay this ring's until `close`; `base`: the
   * arena's address in this process; `u32`: the arena. Throws SysError where the kernel cannot.
   */
  constructor(base: number, u32: Uint32Array, memory: number) {
    const params = new DataView(new ArrayBuffer(PARAMS_SIZE));
    const flags =
      IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
    params.setUint32(PARAMS_FLAGS, flags, true);
    params.setBigUint64(PARAMS_SQ_OFF + SQ_OFF_USER_ADDR, BigInt(base + memory), true);
    params.setBigUint64(PARAMS_CQ_OFF + CQ_OFF_USER_ADDR, BigInt(base + memory + 4096), true);
    const bytes = new Uint8Array(params.buffer);
    const pointer = addressOf(bytes);
    const hint = 'needs Linux ≥ 6.6 with io_uring enabled (sysctl kernel.io_uring_disabled=0)';
    const setup = rawSyscall(SYS_io_uring_setup, URING_ENTRIES, pointer, 0, 0, 0, 0);
    this.fd = check('io_uring_setup', setup, '', hint);
    const ring = memory + 4096;
    const at = (offset: number) => params.getUint32(offset, true);
    this.layout = {
      sqes: memory,
      sqTail: ring + at(PARAMS_SQ_OFF + SQ_OFF_TAIL),
      sqMask: u32[(ring + at(PARAMS_SQ_OFF + SQ_OFF_RING_MASK)) / 4],
      cqHead: ring + at(PARAMS_CQ_OFF + CQ_OFF_HEAD),
      cqTail: ring + at(PARAMS_CQ_OFF + CQ_OFF_TAIL),
      cqMask: u32[(ring + at(PARAMS_CQ_OFF + CQ_OFF_RING_MASK)) / 4],
      cqes: ring + at(PARAMS_CQ_OFF + CQ_OFF_CQES),
    };
  }

  /** Entries with IOSQE_FIXED_FILE mean `fd` by index 0 from now on: its reference is taken once, not for each. Throws SysError. */
  registerFile(fd: number): void {
    const files = new Uint8Array(4);
    new DataView(files.buffer).setInt32(0, fd, true);
    const pointer = addressOf(files);
    const result = rawSyscall(SYS_io_uring_register, this.fd, IORING_REGISTER_FILES, pointer, 1, 0, 0);
    check('io_uring_register', result, `file ${fd}`);
  }

  /** Submits `n` queued entries and waits until all are complete (the files do not block). Negative errno on failure. */
  submit(n: number): number {
    const result = rawSyscall(SYS_io_uring_enter, this.fd, n, n, IORING_ENTER_GETEVENTS, 0, 0) as number;
    return result < 0 ? -errno() : result;
  }

  /** Lets go of the registered file at once; closing the ring alone would do so later, on a kernel thread. */
  close(): void {
    rawSyscall(SYS_io_uring_register, this.fd, IORING_UNREGISTER_FILES, 0, 0, 0, 0);
    close(this.fd);
  }
}

/** Whether this kernel lets us set one up; `try` says why not. */
export function uringProblem(base: number, u32: Uint32Array, memory: number): SysError | undefined {
  try {
    new Uring(base, u32, memory).close();
    return undefined;
  } catch (error) {
    if (error instanceof SysError) return error;
    throw error;
  }
}
