/**
 * Files in its directory are all that a killed daemon would leave: the kernel takes taps, memory and descriptors back
 * itself. A small shell waits on a pipe of ours; when the daemon is gone, by SIGKILL too, it removes them.
 */
import { spawn } from 'node:child_process';
import { RCU_EXPEDITED } from '../sys/rcu.js';

export interface Reaper {
  /** An orderly end: the files are the caller's to remove. */
  stop(): void;
}

/**
 * `read` returns when the daemon says so (a line: nothing is to be done) or is dead (end of file). Dead is not gone: the
 * kernel still closes what it had open, which takes it 15 ms for each interface by TCX. Only then may the next one begin.
 * If the daemon was in a hurry (hurry.ts), the kernel ends in one, and is calm again after that.
 */
const SCRIPT = `
trap "" HUP INT TERM
daemon=$1 mark=$2 switch=$3
shift 3
gone() {
  [ -d "/proc/$daemon" ] || return 0
  set -- "/proc/$daemon/task/"*
  [ $# -le 1 ] && grep -q "^State:.[ZX]" "/proc/$daemon/status"
}
if ! read -r _; then
  looks=0
  while ! gone && [ $looks -lt 200 ]; do
    sleep 0.05
    looks=$((looks + 1))
  done
  [ -e "$mark" ] && echo 0 >"$switch"
  rm -f -- "$mark" "$@"
  rmdir -- "$(dirname -- "$1")"
fi`;

/**
 * Removes `paths` in this order, then their directory if it is empty. It inherits `lock`, the descriptor that holds
 * the directory: the next daemon cannot bind its sockets before the dead one's are removed. `mark`, `rcu`: as Hurry's.
 */
export function startReaper(
  paths: readonly string[],
  lock: number,
  mark: string,
  rcu: string = RCU_EXPEDITED,
): Reaper {
  const args = [`${process.pid}`, mark, rcu, ...paths];
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'netferry-reaper', ...args], {
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
