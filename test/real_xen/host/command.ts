/** Programs of this machine, run to their end. */
import { execFile } from 'node:child_process';

/** Bytes of output that are kept: lists of modules and packages are long. */
const OUTPUT_MAX = 64 << 20;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Resolves with stdout. Rejects with the command line and what it said on stderr. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { ...options, env: { ...process.env, ...options.env }, maxBuffer: OUTPUT_MAX };
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const line = [program, ...args].join(' ').slice(0, 200);
      reject(new Error(`${line}: ${stderr.trim() || error.message}`, { cause: error }));
    });
  });
}

/** Whether a program is on PATH, or in the folders where Debian keeps root's. */
export async function installed(program: string): Promise<boolean> {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  return run('sh', ['-c', 'command -v "$0" >/dev/null', program], { env: { PATH: path } }).then(
    () => true,
    () => false,
  );
}
