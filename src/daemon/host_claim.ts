/** One daemon a Xen host, whatever its directory: two would serve the same vifs. */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { SetupError } from '../sys/errors.js';
import { tryLock } from '../sys/lock.js';
import { codeOf } from './directory.js';

/** Locked (flock) by the daemon that serves this host; holds its pid. */
const PATH = '/run/netferry-xen.lock';

export interface HostClaim {
  release(): void;
}

/** Throws SetupError when another daemon has it. It ends with this process, however that dies. */
export function claimHost(path = PATH): HostClaim {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new SetupError(`cannot open ${path}: ${codeOf(cause)}`, 'run it as root: sudo netferry up', {
      cause,
    });
  }
  if (!tryLock(fd)) {
    const pid = Number.parseInt(readFileSync(fd, 'utf8'), 10);
    closeSync(fd);
    throw new SetupError(
      `a daemon serves the guests of this Xen host already${pid > 0 ? ` (pid ${pid})` : ''}`,
      'end that one; or start this with --platform embedded',
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`, 0);
  return { release: () => closeSync(fd) };
}
