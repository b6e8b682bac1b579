/** CPUs as the kernel counts them: Documentation/admin-guide/cputopology.rst. */
import { readFileSync } from 'node:fs';

/** How many CPUs there may ever be: a per-CPU map has a value for each. */
export function possibleCpus(): number {
  return countCpus(readFileSync('/sys/devices/system/cpu/possible', 'latin1'));
}

/** 5 for `0-3,8`. */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.trim().split(',')) {
    const [first, last = first] = range.split('-').map(Number);
    count += last - first + 1;
  }
  return count;
}
