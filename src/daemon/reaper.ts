/**
 * Files in its directory are all that a killed daemon would leave: the kernel takes taps, memory and descriptors back
 * itself. A small shell waits on a pipe of ours; when the daemon is gone, by SIGKILL too, it removes them.
 */
import { spawn } from 'node:child_process';

export interface Reaper {
  /** An orderly end: the files are the caller's to remove. */
  stop(): void;
}

/**
 * Removes `paths` in this order, then their directory if it is empty. It inherits `lock`, the descriptor that holds
 * the directory: the next daemon cannot bind its sockets before the dead one's are removed.
 */
export function startReaper(paths: readonly string[], lock: number): Reaper {
  // `read` returns when the daemon says so (a line: do nothing) or is dead (end of file: remove).
  const script =
    'trap "" HUP INT TERM; if ! read -r _; then rm -f -- "$@"; rmdir -- "$(dirname -- "$1")" 2>/dev/null; fi';
  const child = spawn('/bin/sh', ['-c', script, 'netferry-reaper', ...paths], {
    stdio: ['pipe', 'ignore', 'ignore', lock],
    detached: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  child.on('error', () => {}); // no shell: a stale socket is taken over by the next daemon
  const { stdin } = child;
  stdin?.on('error', () => {});
  child.unref();
  return {
    stop: () => {
      stdin?.end('done\n');
    },
  };
}
