/** Where commands run: dom0 itself, a network namespace of it, a guest. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Seconds that a command may take unless it says otherwise: everything is emulated. */
export const SECONDS = 60;

export interface Result {
  readonly code: number;
  readonly stdout: string;
  /** Of a guest it is part of stdout. */
  readonly stderr: string;
}

/** A command that goes on while others run. */
export interface Task {
  /** Resolves when it has ended by itself. Rejects, and ends it, after so many seconds. */
  wait(seconds?: number): Promise<Result>;
  kill(): Promise<void>;
}

/** Seconds that a killed command may take to be gone. */
const KILLED = 20;

/** All that a scenario needs of an end of a connection. */
export abstract class Place {
  abstract readonly name: string;

  /** Runs a line of sh. Rejects only when it takes longer than `seconds`. */
  abstract run(command: string, seconds?: number): Promise<Result>;

  abstract start(command: string): Promise<Task>;

  /** Runs a line of sh that must succeed; its stdout. */
  async ok(command: string, seconds?: number): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, seconds);
    assert.equal(
      code,
      0,
      `${this.name}: ${command}\nended with ${code}: ${stdout.slice(-1000)}${stderr.slice(-1000)}`,
    );
    return stdout;
  }
}

/** dom0, or with a name a network namespace of it. */
export class Dom0 extends Place {
  readonly name: string;
  readonly #prefix: readonly string[];

  constructor(namespace?: string) {
    super();
    this.name = namespace ?? 'dom0';
    this.#prefix = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
  }

  async run(command: string, seconds = SECONDS): Promise<Result> {
    return (await this.start(command)).wait(seconds);
  }

  async start(command: string): Promise<Task> {
    const [program, ...args] = [...this.#prefix, 'sh', '-c', command];
    return new ProcessTask(
      `${this.name}: ${command}`,
      // A group of its own: it ends with all that it has started.
      spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true }),
    );
  }
}

class ProcessTask implements Task {
  readonly #what: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<Result>;

  constructor(what: string, child: ChildProcess) {
    this.#what = what;
    this.#child = child;
    const text = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]!.setEncoding('utf8').on('data', (chunk: string) => {
        text[stream] += chunk;
      });
    }
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : -1), ...text }));
    });
    // Whoever waits hears of it.
    this.#ended.catch(() => {});
  }

  async wait(seconds = SECONDS): Promise<Result> {
    return within(seconds, this.#what, this.#ended, () => this.#killGroup());
  }

  async kill(): Promise<void> {
    this.#killGroup();
    await within(KILLED, `the end of ${this.#what}`, this.#ended);
  }

  #killGroup(): void {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

/** The promise's value, or after so many seconds a rejection that says what took so long. */
export async function within<T>(
  seconds: number,
  what: string,
  promise: Promise<T>,
  late: () => void = () => {},
): Promise<T> {
  const over = new AbortController();
  try {
    return await Promise.race([
      promise,
      sleep(seconds * 1000, undefined, { signal: over.signal }).then(() => {
        late();
        throw new Error(`${what}\nis not done after ${seconds} s`);
      }),
    ]);
  } finally {
    over.abort();
  }
}

/** Asks until the answer is neither undefined nor false; that answer. Rejects after so many seconds. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  seconds = SECONDS,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`${what}: not after ${seconds} s`);
    await sleep(200);
  }
}
