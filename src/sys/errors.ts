/** Errors of set-up. Peer data never throws (it returns a value), the hot path only counts. */
import { getSystemErrorName } from 'node:util';

/** Something a person can mend: what went wrong, and what to do about it. Exit code 1 on the command line. */
export class SetupError extends Error {
  override readonly name: string = 'SetupError';
  /** What to do about it, one sentence; shown after the message. */
  readonly hint: string;
  constructor(message: string, hint = '', options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}

/** A system call that failed: which one, on what, the errno and its name. */
export class SysError extends SetupError {
  override readonly name = 'SysError';
  readonly call: string;
  readonly errno: number;
  /** `ENOENT`. */
  readonly code: string;
  constructor(call: string, errno: number, subject = '', hint = '') {
    super(`${call}${subject ? ` ${subject}` : ''}: ${errnoName(errno)}`, hint);
    this.call = call;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** `ENOENT` for 2. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-Math.abs(errno));
  } catch {
    return `errno ${Math.abs(errno)}`;
  }
}
