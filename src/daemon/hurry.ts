/**
 * Many ports come or go at once: the kernel's grace periods are expedited meanwhile (sys/rcu.ts), for some 10 to 100 ms.
 * 256 ports end in 0.1 s then instead of 4, for which nobody else on the host could have changed an interface.
 *
 * That is said to the whole kernel, so it must not stay when we are killed in between: a mark in the daemon's directory
 * tells its reaper to take it back.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { expediteGracePeriods, RCU_EXPEDITED } from '../sys/rcu.js';

/** So many are many. */
export const MANY = 8;

export class Hurry {
  readonly #mark: string;
  readonly #switch: string;

  /**
   * `mark`: path of the file, in a directory that is ours; one that lies there is a dead daemon's, whose reaper died with
   * it. `rcu`: for tests.
   */
  constructor(mark: string, rcu: string = RCU_EXPEDITED) {
    this.#mark = mark;
    this.#switch = rcu;
    if (existsSync(mark)) this.#end();
  }

  /** Does `work`, in a hurry if it is about `count` ports and these are many. */
  during<T>(count: number, work: () => T): T {
    if (count < MANY || !this.#begin()) return work();
    try {
      return work();
    } finally {
      this.#end();
    }
  }

  /** False: it is not to be had, or somebody else wants the same already. */
  #begin(): boolean {
    try {
      writeFileSync(this.#mark, '', { flag: 'wx' });
    } catch {
      return false; // no directory to leave a mark in, or somebody's link to elsewhere
    }
    if (expediteGracePeriods(true, this.#switch)) return true;
    rmSync(this.#mark, { force: true });
    return false;
  }

  #end(): void {
    expediteGracePeriods(false, this.#switch);
    rmSync(this.#mark, { force: true });
  }
}
