// io_uring rings in the arena (IORING_SETUP_NO_MMAP): fill SQEs, read CQEs; one io_uring_enter submits a batch.

import {
  CQE_RES,
  CQE_SIZE,
  CQE_USER_DATA,
  IORING_OP_READV,
  IORING_OP_WRITEV,
  IOSQE_FIXED_FILE,
  SQE_ADDR,
  SQE_FD,
  SQE_FLAGS,
  SQE_LEN,
  SQE_OFF,
  SQE_OP_FLAGS,
  SQE_OPCODE,
  SQE_SIZE,
  SQE_USER_DATA,
} from '../src/abi/io_uring';
import { RWF_NOWAIT } from '../src/abi/uio';
import {
  URING_BASE,
  URING_CQ_HEAD,
  URING_CQ_MASK,
  URING_CQ_TAIL,
  URING_CQES,
  URING_SQ_MASK,
  URING_SQ_TAIL,
  URING_SQES,
} from './uring_layout';

/** Queues a vectored read or write of the registered file; `iov` lies in the arena. The caller never queues more than the ring holds. */
export function uringQueue(ring: u32, write: bool, iov: u32, count: u32, tag: u32): void {
  const tailAt = load<u32>(ring + URING_SQ_TAIL);
  const tail = load<u32>(tailAt);
  const sqe = load<u32>(ring + URING_SQES) + (tail & load<u32>(ring + URING_SQ_MASK)) * SQE_SIZE;
  const zero = i64x2.splat(0);
  for (let at: u32 = 0; at < <u32>SQE_SIZE; at += 16) v128.store(sqe + at, zero);
  store<u8>(sqe, <u8>(write ? IORING_OP_WRITEV : IORING_OP_READV), SQE_OPCODE);
  store<u8>(sqe, <u8>IOSQE_FIXED_FILE, SQE_FLAGS);
  store<i32>(sqe, 0, SQE_FD); // index of the registered file
  store<u64>(sqe, 0xffffffffffffffff, SQE_OFF); // no file position
  store<u64>(sqe, <u64>load<f64>(ring + URING_BASE) + iov, SQE_ADDR);
  store<u32>(sqe, count, SQE_LEN);
  // Without it the kernel would wait for a file that has nothing now, O_NONBLOCK or not.
  store<u32>(sqe, RWF_NOWAIT, SQE_OP_FLAGS);
  store<u64>(sqe, tag, SQE_USER_DATA);
  atomic.store<u32>(tailAt, tail + 1);
}

/** Takes completions: results[tag] = res. Returns how many there were. */
export function uringReap(ring: u32, results: u32): u32 {
  const headAt = load<u32>(ring + URING_CQ_HEAD);
  const tail = atomic.load<u32>(load<u32>(ring + URING_CQ_TAIL));
  const mask = load<u32>(ring + URING_CQ_MASK);
  const cqes = load<u32>(ring + URING_CQES);
  let head = load<u32>(headAt);
  const n = tail - head;
  while (head != tail) {
    const cqe = cqes + (head & mask) * CQE_SIZE;
    store<i32>(results + (load<u32>(cqe, CQE_USER_DATA) << 2), load<i32>(cqe, CQE_RES));
    head++;
  }
  atomic.store<u32>(headAt, head);
  return n;
}
