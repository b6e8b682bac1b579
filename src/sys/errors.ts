/** Errors of set-up. Peer data never throws (it returns a value), the hot path only counts. */
import { getSystemErrorName } from 'node:util';

/** Something a person can mend: what went wrong, and what to do about it. Exit code 1 on the command line. */
export class SetupError extends Error {
  override readonly name: string = 'SetupError';
  /** @param hint what to do about it, one sentence; shown after the message. */
  constructor(
    message: string,
    readonly hint = '',
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A system call that failed: which one, on what, the errno and its name. */
export class SysError extends SetupError {
  override readonly name = 'SysError';
  readonly code: string;
  constructor(
    readonly call: string,
    readonly errno: number,
    subject = '',
    hint = '',
  ) {
    const code = errnoName(errno);
    super(`${call}${subject ? ` ${subject}` : ''}: ${code}`, hint);
    this.code = code;
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
