/**
 * Network namespaces of a measurement's own: anonymous, held open by a process each, so that nothing appears
 * in /run/netns and nothing outlives the measurement, even one that is killed.
 *
 *   we ──stdin pipe──► cat            the holder: alive in its namespace until the pipe closes
 *      ──nsenter─────► setpriv --pdeathsig KILL ─► a command inside
 *
 * Without root the namespaces lie in one user namespace of ours, where we are root.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { SetupError } from '../../sys/errors.js';

export interface Output {
  stdout: string;
  stderr: string;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A network namespace, named by a process that lives in it. */
export class Netns {
  readonly pid: number;
  readonly #enter: string[];

  /** The namespace of `pid`, ours or not. The caller keeps that process alive. Throws SetupError if it is gone. */
  constructor(pid: number) {
    this.pid = pid;
    this.#enter = ['nsenter', '--target', String(pid), '--net'];
    // nsenter refuses to enter the user namespace one is already in, so ask for it only if it differs.
    if (userNamespaceOf(pid) !== userNamespaceOf('self'))
      this.#enter.push('--user', '--preserve-credentials');
  }

  /**
   * The argument list that runs `argv` inside. Each program of the chain executes the next, so the process
   * started is the command itself, with the command's pid; it is killed when the thread that started it ends.
   */
  command(argv: readonly string[]): string[] {
    return [...this.#enter, '--', 'setpriv', '--pdeathsig', 'KILL', '--', ...argv];
  }

  /**
   * Starts a long-lived command inside, its three streams piped. It is in a session of its own: a terminal's Ctrl-C is
   * for us alone, who end what we started, in order. (A daemon that hears of it twice does not end in order.)
   */
  spawn(argv: readonly string[]): Child {
    const [file, ...args] = this.command(argv);
    return spawn(file!, args, { stdio: 'pipe', detached: true });
  }

  /** Runs a command inside to its end. Throws SetupError with its last words if it fails or takes too long. */
  async exec(argv: readonly string[], timeoutMs = 30_000, signal?: AbortSignal): Promise<Output> {
    const { status, ...output } = await this.run(argv, timeoutMs, signal);
    if (status === 0) return output;
    const why = lastWords(output) || `exit code ${status}`;
    throw new SetupError(`${argv.join(' ')}: ${why}`);
  }

  /**
   * Like exec, but an exit code other than 0 is a result. Throws SetupError on a time-out, and the signal's reason when
   * that aborts: the command is killed then.
   */
  async run(
    argv: readonly string[],
    timeoutMs = 30_000,
    signal?: AbortSignal,
  ): Promise<Output & { status: number }> {
    signal?.throwIfAborted();
    const child = this.spawn(argv);
    const output = collect(child);
    child.stdin.end();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const abort = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', abort);
    const status = await closed(child).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
    signal?.throwIfAborted();
    if (late) throw new SetupError(`${argv.join(' ')}: no end within ${timeoutMs} ms`);
    return { ...output, status };
  }

  /** Runs `ip` inside, one command line a string: `ns.ip('link set lo up', 'addr add …')`. */
  async ip(...lines: string[]): Promise<void> {
    for (const line of lines) await this.exec(['ip', ...line.split(' ')]);
  }
}

/** The namespaces of one experiment; closing it ends them all. */
export class Namespaces {
  /** Without root: the holder of the user namespace that all the others lie in. */
  readonly #user: Child | undefined;
  readonly #holders: Child[] = [];

  private constructor(user: Child | undefined) {
    this.#user = user;
  }

  /** Throws SetupError where neither root nor user namespaces are to be had. */
  static async open(): Promise<Namespaces> {
    if (process.geteuid?.() === 0) return new Namespaces(undefined);
    return new Namespaces(await hold(['unshare', '--user', '--map-root-user']));
  }

  /** A new namespace with `lo` up and nothing else. */
  async add(): Promise<Netns> {
    const user = this.#user?.pid;
    const enter = user ? ['nsenter', '--target', `${user}`, '--user', '--preserve-credentials', '--'] : [];
    const holder = await hold([...enter, 'unshare', '--net']);
    this.#holders.push(holder);
    const ns = new Netns(holder.pid!);
    await ns.ip('link set lo up');
    return ns;
  }

  /** Ends the holders. A namespace goes when its last process has gone: end yours first. */
  async close(): Promise<void> {
    for (const holder of this.#holders.splice(0)) await end(holder);
    if (this.#user) await end(this.#user);
  }
}

/** Kills a child by its pid and waits until it is gone. Ending one that has ended is nothing. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Waits until `child` prints `text` on stdout. Throws SetupError if it ends, or says nothing in time. */
export async function untilSays(child: Child, text: string, timeoutMs = 5000): Promise<void> {
  const output = collect(child);
  const silent = new AbortController();
  const timer = setTimeout(() => silent.abort(), timeoutMs);
  const done = closed(child).then((status) => {
    throw new SetupError(`${child.spawnargs.join(' ')}: ${lastWords(output) || `exit code ${status}`}`);
  });
  const said = (async () => {
    while (!output.stdout.includes(text)) await once(child.stdout, 'data', { signal: silent.signal });
  })().catch(() => {
    throw new SetupError(`${child.spawnargs.join(' ')}: did not say "${text}" within ${timeoutMs} ms`);
  });
  try {
    await Promise.race([said, done]);
  } catch (error) {
    await end(child);
    throw error;
  } finally {
    clearTimeout(timer);
    // Whichever lost the race may still fail, at the child's ordinary end for one: nobody listens any more.
    for (const loser of [said, done]) loser.catch(() => {});
    silent.abort();
  }
}

/** Keeps a namespace alive: `cat` echoes once (so it is in there) and ends when our end of the pipe closes. */
async function hold(enter: string[]): Promise<Child> {
  const [file, ...args] = [...enter, 'cat'];
  const holder = spawn(file!, args, { stdio: 'pipe' });
  holder.stdin.on('error', () => {}); // EPIPE if unshare was refused; untilSays reports that
  holder.stdin.write('held\n');
  try {
    await untilSays(holder, 'held');
  } catch (error) {
    throw new SetupError('no network namespace', 'Run as root, or allow unprivileged user namespaces.', {
      cause: error,
    });
  }
  return holder;
}

/** Gathers what a child says from now on. */
function collect(child: Child): Output {
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  return output;
}

/** Exit code at the child's end, 128 + n for a signal's sake as shells do (here always 137, our own SIGKILL). */
function closed(child: Child): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new SetupError(`${child.spawnfile}: ${error.message}`, 'apt-get install util-linux iproute2')),
    );
    child.once('close', (code) => resolve(code ?? 137));
  });
}

function lastWords(output: Output): string {
  return (output.stderr.trim() || output.stdout.trim()).split('\n').at(-1) ?? '';
}

function userNamespaceOf(pid: number | 'self'): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch (error) {
    throw new SetupError(`process ${pid} is gone, and its namespace with it`, '', { cause: error });
  }
}

/** The processes in a namespace now, whoever's they are. Needs the right to look at them. */
export function processesIn(ns: Netns): number[] {
  const own = networkOf(String(ns.pid));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && own !== undefined && networkOf(name) === own)
    .map(Number);
}

function networkOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // it has just ended, or is none of ours to look at
  }
}

/** Interfaces of the namespace that `pid` lives in, from /proc/PID/net/dev. Needs no privilege. */
export function linksOf(pid: number | 'self'): string[] {
  const lines = readFileSync(`/proc/${pid}/net/dev`, 'latin1').split('\n').slice(2);
  return lines.map((line) => line.split(':')[0]!.trim()).filter((name) => name !== '');
}
