/**
 * The whole machine's busy time: what its CPUs were not idle for. It holds everything that traffic costs, whoever does
 * the work: senders, receivers, soft interrupts, kernel threads.
 */
import { openSync, readSync } from 'node:fs';

/** /proc/stat counts in USER_HZ, which is 100 on every architecture Node runs on (asm-generic/param.h). */
const USER_HZ = 100;

/** The first line and the CPUs' lines of /proc/stat: seconds in which CPUs had nothing to do for us, and how many CPUs. */
export interface Idle {
  /** idle + iowait + steal, of all CPUs: proc_stat(5). */
  readonly seconds: number;
  readonly cpus: number;
}

export function parseIdle(text: string): Idle {
  const fields = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).map(Number);
  const cpus = text.match(/^cpu\d+ /gm)?.length ?? 0;
  return { seconds: (fields[4] + fields[5] + (fields[8] || 0)) / USER_HZ, cpus };
}

/** Seconds on a CPU between two readings `seconds` apart, of all CPUs together. */
export function busyBetween(before: Idle, after: Idle, seconds: number): number {
  return Math.max(0, after.cpus * seconds - (after.seconds - before.seconds));
}

/** Reads /proc/stat again and again, with nothing opened in between. */
export class MachineCpu {
  readonly #fd = openSync('/proc/stat', 'r');
  readonly #text = Buffer.alloc(16_384); // CPUs come first; the rest does not matter

  idle(): Idle {
    const length = readSync(this.#fd, this.#text, 0, this.#text.length, 0);
    return parseIdle(this.#text.toString('latin1', 0, length));
  }
}
