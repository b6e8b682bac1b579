/**
 * Which ways of attaching this kernel and this user have, found by trying each on the loopback interface of a network
 * namespace that is made for it and gone afterwards.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Mode } from './attachment.js';

const MAIN = fileURLToPath(new URL('./probe_main.js', import.meta.url));
const TIMEOUT = 10_000;

/** Of each way, why it cannot be had; '' if it can. */
export type AttachProblems = Record<Mode, string>;

/** For `doctor`. Takes a moment: it starts a process. Never throws. */
export function attachProblems(): AttachProblems {
  const run = spawnSync('unshare', ['--net', process.execPath, MAIN], { encoding: 'utf8', timeout: TIMEOUT });
  if (run.status === 0) return JSON.parse(run.stdout) as AttachProblems;
  const why = run.error?.message ?? (run.stderr.trim().split('\n')[0] || `exit code ${run.status}`);
  return { tcx: why, clsact: why };
}
