/** Running something where another process lives: its user, network and pid namespaces (nsenter, util-linux). */
import { readlinkSync } from 'node:fs';
import { SetupError } from '../sys/errors.js';

/** The command line that runs `command` in the namespaces of process `pid`. Throws SetupError when it is gone or another's. */
export function enterCommand(pid: number, command: readonly string[]): string[] {
  const differs = (name: string) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'error';
      throw new SetupError(
        `process ${pid}: ${code}`,
        code === 'EACCES' ? 'it belongs to another user' : 'it is gone',
        { cause },
      );
    }
  };
  const flags: string[] = [];
  if (differs('user')) flags.push('--user', '--preserve-credentials');
  if (differs('net')) flags.push('--net');
  if (differs('pid')) flags.push('--pid');
  return flags.length === 0 ? [...command] : ['nsenter', '--target', String(pid), ...flags, '--', ...command];
}
