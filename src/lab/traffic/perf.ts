/** perf(1): samples of a process, or of the whole machine, with call chains. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SetupError } from '../../sys/errors.js';
import { programMissing } from './iperf.js';
import { parseStacks, type Stack } from './stacks.js';

/** Samples a second and CPU; off the beat of the kernel's own timers. */
export const FREQUENCY = 1999;
/** Hardware counters are rare in virtual machines; a timer is everywhere. */
const EVENT = 'cpu-clock';

/** Why perf cannot sample here; undefined if it can. */
export function perfMissing(): string | undefined {
  const missing = programMissing('perf', 'linux-perf');
  if (missing) return missing;
  const probe = spawnSync('perf', ['record', '-q', '-e', EVENT, '-a', '-o', '/dev/null', '--', 'true'], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  if (probe.status === 0) return undefined;
  const why =
    (probe.stderr ?? '').trim().split('\n')[0] || String(probe.error ?? `exit code ${probe.status}`);
  return `perf may not sample: ${why} (run as root, or sysctl kernel.perf_event_paranoid=-1)`;
}

/**
 * Samples for `seconds`. `pid`: of that process and its threads, else of all CPUs. Throws SetupError, and the signal's
 * reason when that aborts; the recording is removed either way.
 */
export async function sample(seconds: number, pid?: number, signal?: AbortSignal): Promise<Stack[]> {
  const directory = mkdtempSync(join(tmpdir(), 'netferry-perf-'));
  try {
    const data = join(directory, 'perf.data');
    const whom = pid === undefined ? ['-a'] : ['-p', String(pid)];
    const record = ['record', '-q', '-F', String(FREQUENCY), '-e', EVENT, '-g', ...whom, '-o', data];
    await run([...record, '--', 'sleep', String(seconds)], signal);
    const fields = ['script', '-i', data, '-F', 'comm,pid,tid,ip,sym,dso'];
    return parseStacks(await run(fields, signal));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What perf prints on stdout. */
function run(argv: readonly string[], signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('perf', argv, { stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) });
    const pieces: Buffer[] = [];
    let words = '';
    child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words += text;
    });
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve(Buffer.concat(pieces).toString());
      else reject(new SetupError(`perf ${argv[0]}: ${words.trim().split('\n')[0] || `exit code ${status}`}`));
    });
  });
}
