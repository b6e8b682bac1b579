/**
 * userfaultfd(2), for UFFDIO_MOVE alone: a page of private memory goes to another address by its page table entry.
 *
 * Ranges are registered for write protection, which nobody asks for: a page that was never touched is filled with
 * zeroes by the kernel as ever, and no thread ever waits for a handler.
 */
import {
  SYS_USERFAULTFD_GENERIC,
  SYS_USERFAULTFD_X86_64,
  UFFD_API,
  UFFD_FEATURE_MOVE,
  UFFD_USER_MODE_ONLY,
  UFFDIO_API,
  UFFDIO_API_API,
  UFFDIO_API_FEATURES,
  UFFDIO_API_SIZE,
  UFFDIO_MOVE,
  UFFDIO_MOVE_DST,
  UFFDIO_MOVE_LEN,
  UFFDIO_MOVE_MODE,
  UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES,
  UFFDIO_MOVE_SIZE,
  UFFDIO_MOVE_SRC,
  UFFDIO_RANGE_LEN,
  UFFDIO_RANGE_START,
  UFFDIO_REGISTER,
  UFFDIO_REGISTER_MODE,
  UFFDIO_REGISTER_MODE_WP,
  UFFDIO_REGISTER_RANGE,
  UFFDIO_REGISTER_SIZE,
} from '../abi/userfaultfd.js';
import { SysError } from './errors.js';
import { addressOf, check, close, errno, ioctlPointer, rawSyscall } from './libc.js';

const O_CLOEXEC = 0o2000000;
const EAGAIN = 11;
/** A move that meets a change of the mappings of another thread says EAGAIN; it is tried again this often. */
const TRIES = 64;
const HINT = 'needs Linux ≥ 6.8 with CONFIG_USERFAULTFD; without it pages change hands by mremap';

export class UserFault {
  readonly fd: number;
  /** A field, so that it lives as long as its address is used. */
  readonly #argument = new Uint8Array(new ArrayBuffer(UFFDIO_MOVE_SIZE));
  readonly #view = new DataView(this.#argument.buffer);
  readonly #pointer = addressOf(this.#argument);

  /** Throws SysError where the kernel has no userfaultfd or it cannot move pages. */
  constructor() {
    const number = process.arch === 'x64' ? SYS_USERFAULTFD_X86_64 : SYS_USERFAULTFD_GENERIC;
    const flags = O_CLOEXEC | UFFD_USER_MODE_ONLY;
    this.fd = check('userfaultfd', rawSyscall(number, flags, 0, 0, 0, 0, 0) as number, '', HINT);
    const api = new DataView(new ArrayBuffer(UFFDIO_API_SIZE));
    api.setBigUint64(UFFDIO_API_API, BigInt(UFFD_API), true);
    api.setBigUint64(UFFDIO_API_FEATURES, BigInt(UFFD_FEATURE_MOVE), true);
    try {
      this.#set(api, UFFDIO_API, 'UFFDIO_API');
    } catch (error) {
      close(this.fd);
      throw error;
    }
  }

  /** Pages may be moved to this range (private anonymous memory) from now on, until it is unmapped. Throws SysError. */
  register(address: number, length: number): void {
    const argument = new DataView(new ArrayBuffer(UFFDIO_REGISTER_SIZE));
    argument.setBigUint64(UFFDIO_REGISTER_RANGE + UFFDIO_RANGE_START, BigInt(address), true);
    argument.setBigUint64(UFFDIO_REGISTER_RANGE + UFFDIO_RANGE_LEN, BigInt(length), true);
    argument.setBigUint64(UFFDIO_REGISTER_MODE, BigInt(UFFDIO_REGISTER_MODE_WP), true);
    this.#set(argument, UFFDIO_REGISTER, 'UFFDIO_REGISTER');
  }

  /**
   * Moves `length` bytes of pages from one address to another, where nothing may be; afterwards the old place is
   * untouched memory. 0, or a negative errno: EEXIST when something is there, EBUSY when the page is shared or pinned.
   */
  move(to: number, from: number, length: number): number {
    const view = this.#view;
    setAddress(view, UFFDIO_MOVE_DST, to);
    setAddress(view, UFFDIO_MOVE_SRC, from);
    setAddress(view, UFFDIO_MOVE_LEN, length);
    setAddress(view, UFFDIO_MOVE_MODE, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES);
    for (let tries = 1; ; tries++) {
      if ((ioctlPointer(this.fd, UFFDIO_MOVE, this.#pointer) as number) === 0) return 0;
      const code = errno();
      if (code !== EAGAIN || tries === TRIES) return -code;
    }
  }

  /** Memory that was registered stays as it is. */
  close(): void {
    close(this.fd);
  }

  /** A call of set-up, through the pinned argument. */
  #set(argument: DataView, request: number, name: string): void {
    this.#argument.set(new Uint8Array(argument.buffer));
    if ((ioctlPointer(this.fd, request, this.#pointer) as number) === -1)
      throw new SysError(`ioctl ${name}`, errno(), '', HINT);
  }
}

/** A u64 below 2^53 as two halves: no BigInt on the way of a packet. */
function setAddress(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}
