/** Places where commands run: a network namespace of the test, or the inside of a guest. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { enterCommand } from '../../../src/guest/enter.js';

export interface Output {
  /** Exit code, or 128 + signal as a shell counts it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** ms after which a command has hung. */
const COMMAND_TIMEOUT = 60_000;

export interface Background {
  readonly pid: number;
  readonly ended: Promise<Output>;
  /** Standard output so far. */
  text(): string;
  /** Standard error so far. */
  errors(): string;
  stop(signal?: NodeJS.Signals): Promise<Output>;
}

export class Place {
  /** Any process that lives there. */
  readonly pid: number;

  constructor(pid: number) {
    this.pid = pid;
  }

  /** Output of a command; throws when its exit code is not 0. */
  async run(command: string | readonly string[], options: { timeout?: number } = {}): Promise<string> {
    const output = await this.try(command, options);
    if (output.code === 0) return output.stdout;
    const words = typeof command === 'string' ? command : command.join(' ');
    throw new Error(`${words}: exit code ${output.code}\n${output.stdout}${output.stderr}`);
  }

  async try(command: string | readonly string[], options: { timeout?: number } = {}): Promise<Output> {
    const child = this.start(command);
    const limit = options.timeout ?? COMMAND_TIMEOUT;
    const timer = setTimeout(() => void child.stop('SIGKILL'), limit);
    try {
      return await child.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts a command (a string goes through a shell) and collects what it prints. */
  start(command: string | readonly string[]): Background {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : [...command];
    const [file, ...args] = enterCommand(this.pid, argv);
    // A group of its own: nsenter, the shell and what it started are ended together.
    return background(spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true }));
  }
}

export function background(child: ChildProcess): Background {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Output>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : 1), stdout, stderr }));
  });
  ended.catch(() => {}); // whoever waits hears it; nobody has to
  return {
    pid: child.pid!,
    ended,
    text: () => stdout,
    errors: () => stderr,
    stop: async (signal = 'SIGTERM') => {
      try {
        process.kill(-child.pid!, signal);
      } catch {
        // it has ended
      }
      return ended;
    },
  };
}

/** False when all programs are there, else the reason to skip. */
export function lacking(...programs: string[]): string | false {
  if (process.getuid?.() !== 0) return 'not root';
  const missing = programs.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  return missing.length > 0 && `missing: ${missing.join(', ')}`;
}

export async function until(
  what: string,
  good: () => boolean | Promise<boolean>,
  timeout = 5000,
): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!(await good())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeout} ms: ${what}`);
    await sleep(50);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
