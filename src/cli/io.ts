/** What a command may touch of the world: streams, environment, signals. Tests hand in their own. */
import type { ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';

export type StopReason = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'EPIPE' | 'disconnect';

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** Tells `listener` when the command is asked to end; without a listener the process simply ends. Returns the undo. */
  onStop(listener: (reason: StopReason) => void): () => void;
}

/** 128 + SIGPIPE, what a shell reports for a writer whose reader has gone. */
const BROKEN_PIPE = 141;

/** This process's own. */
export function processIo(): Io {
  const listeners = new Set<(reason: StopReason) => void>();
  const tell = (reason: StopReason) => {
    for (const listener of [...listeners]) listener(reason);
  };
  // `netferry … | head`: the reader has what it wanted.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (listeners.size === 0) process.exit(BROKEN_PIPE);
      tell('EPIPE');
    });
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const handlers = signals.map((signal) => [signal, () => tell(signal)] as const);
  const onDisconnect = () => tell('disconnect');
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    uid: process.getuid?.() ?? 0,
    onStop(listener) {
      if (listeners.size === 0) {
        for (const [signal, handler] of handlers) process.on(signal, handler);
        // Started by another netferry: the channel to it closes when it ends, by whatever end.
        if (process.channel) process.on('disconnect', onDisconnect);
      }
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        for (const [signal, handler] of handlers) process.off(signal, handler);
        process.off('disconnect', onDisconnect);
      };
    },
  };
}

/** A child's exit code as a shell gives it: 128 + n when signal n ended it. */
export async function exitCodeOf(child: ChildProcess): Promise<number> {
  const { constants } = await import('node:os');
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}

/** SGR numbers: on, off (ECMA-48, 8.3.117). */
const STYLES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;
type Style = keyof typeof STYLES;

/** Colours text for one stream: only on a terminal, and not when NO_COLOR says no (no-color.org). */
export function painter(io: Io, stream: Output): (style: Style, text: string) => string {
  const colour = stream.isTTY === true && !io.env.NO_COLOR && io.env.TERM !== 'dumb';
  return (style, text) => (colour ? `\x1b[${STYLES[style][0]}m${text}\x1b[${STYLES[style][1]}m` : text);
}

/** `netferry: message`, and what to do about it on the next line. */
export function printError(io: Io, message: string, hint: string): void {
  const paint = painter(io, io.stderr);
  io.stderr.write(`${paint('red', 'netferry:')} ${message}\n`);
  if (hint) io.stderr.write(`${paint('dim', `  ${hint}`)}\n`);
}

export function printJson(io: Io, document: unknown): void {
  io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

/** A note for the person at the terminal, apart from what the command answers. */
export function note(io: Io, text: string): void {
  io.stderr.write(`${painter(io, io.stderr)('dim', text)}\n`);
}
