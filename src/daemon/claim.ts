/** One daemon a directory: a lock that ends with its holder, taken before anything else is touched there. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from '../sys/errors.js';
import { tryLock, unlock } from '../sys/lock.js';
import { LOCK_FILE } from './api.js';
import { codeOf, listenerAt, prepareDirectory, SOCKETS } from './directory.js';

/** ms that a dead daemon's end and its reaper may take, that one may take to say who it is, and between looks. */
const END_MOST = 15_000;
const REAPER_MOST = 2000;
const REAPER_POLL = 20;
/** linux/sched.h of the kernel itself: the process is in exit(2). */
const PF_EXITING = 4;

/** A directory that is ours until `release`, or until this process and its reaper are gone. */
export interface Claim {
  readonly directory: string;
  /** Holds the lock (close-on-exec). It is the claim's; who inherits it keeps the directory claimed. */
  readonly fd: number;
  /** Sockets of a dead daemon were removed. */
  readonly tookOver: boolean;
  /** Lets the next daemon in, at once. A second call does nothing. */
  release(): void;
}

/**
 * Makes the directory and claims it for one daemon, by a lock on DIRECTORY/lock that ends with its holder; then
 * nobody else binds or removes sockets there, and stale ones are removed. Throws SetupError when a daemon runs in
 * it, or as prepareDirectory does.
 */
export async function claimDirectory(directory: string, uid: number): Promise<Claim> {
  const fd = await lockDirectory(directory, uid);
  let held = true;
  const release = () => {
    if (!held) return;
    held = false;
    ftruncateSync(fd);
    unlock(fd); // a reaper may have inherited it and still be about to end
    closeSync(fd);
  };
  try {
    const paths = SOCKETS.map((name) => join(directory, name));
    const listeners = await Promise.all(paths.map(listenerAt));
    // One that holds no lock: of another version, or on a file system that another machine shares.
    if (listeners.includes('answers')) throw runsAlready(directory);
    const stale = paths.filter((_, i) => listeners[i] === 'stale');
    for (const path of stale) rmSync(path, { force: true });
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`, 0);
    return { directory, fd, tookOver: stale.length > 0, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** The locked DIRECTORY/lock; its reader must not take what is written there for more than a hint. */
async function lockDirectory(directory: string, uid: number): Promise<number> {
  const path = join(directory, LOCK_FILE);
  const begun = Date.now();
  for (;;) {
    prepareDirectory(directory, uid);
    const fd = openLock(path);
    if (fd !== undefined) {
      try {
        // A dead daemon's reaper removes lock and directory: what we locked may be nobody's file any more.
        if (tryLock(fd)) {
          if (isAt(fd, path)) return fd;
        } else {
          const pid = Number.parseInt(readFileSync(fd, 'utf8'), 10);
          // One that has not said yet who it is, or the reaper of one that is dead: that is over soon.
          const most = pid > 0 ? END_MOST : REAPER_MOST;
          if (isAlive(pid) || Date.now() > begun + most) throw runsAlready(directory, pid);
        }
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      closeSync(fd);
    }
    await sleep(REAPER_POLL);
  }
}

/** Undefined when the directory went away meanwhile. */
function openLock(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new SetupError(`cannot open ${path}: ${codeOf(cause)}`, 'choose another --dir', { cause });
  }
}

function isAt(fd: number, path: string): boolean {
  const named = lstatSync(path, { throwIfNoEntry: false });
  const opened = fstatSync(fd);
  return named?.ino === opened.ino && named.dev === opened.dev;
}

/** Not one that is about to end, which it cannot do at once where it has many interfaces. */
function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false;
  }
  try {
    // proc_pid_stat(5): the name, in parentheses, then state and, five fields on, flags (linux/sched.h, PF_*).
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, , , , , , flags] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return !'ZX'.includes(state) && (Number(flags) & PF_EXITING) === 0;
  } catch {
    return existsSync('/proc/self/stat') === false; // it went meanwhile; or there is no /proc, and it answered
  }
}

function runsAlready(directory: string, pid = Number.NaN): SetupError {
  return new SetupError(
    `a daemon already runs in ${directory}${pid > 0 ? ` (pid ${pid})` : ''}`,
    'look at it: netferry status; or start another one in a --dir of its own',
  );
}
