/** Making directories. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a directory and those above it that are missing, with `mode`. Throws what mkdir throws. Not mkdir's own
 * `recursive`: where the kernel says ENOENT to every attempt, as in /proc, Node 20 tries for ever.
 */
export function makeDirectories(directory: string, mode = 0o777): void {
  if (existsSync(directory)) return;
  makeDirectories(dirname(directory), mode);
  mkdirSync(directory, { mode });
}
