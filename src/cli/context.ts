/** What every command is given: the world, the global options, and the daemon's client. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { ControlClient } from '../daemon/client.js';
import { defaultDirectory } from '../daemon/directory.js';
import type { Io } from './io.js';
import { UsageError } from './options.js';

export interface Context {
  readonly io: Io;
  readonly json: boolean;
  /** The daemon's runtime directory. */
  readonly directory: string;
  readonly client: ControlClient;
  /** What stood after `--`; undefined without one. */
  readonly tail: readonly string[] | undefined;
  /** All arguments, as they were given. */
  readonly argv: readonly string[];
}

/** An exit code, or nothing for 0. */
export type Handler = (context: Context) => Promise<number | undefined>;

/** Adds a command's action. `tail` says whether it takes a command after `--`. */
export type Attach = (command: Command, handler: Handler, tail?: boolean) => void;

/** This file's program, as arguments for process.execPath. */
export const ENTRY = fileURLToPath(new URL('./entry.js', import.meta.url));

export function createContext(
  io: Io,
  argv: readonly string[],
  tail: readonly string[] | undefined,
  command: Command,
): Context {
  const globals = command.optsWithGlobals<{ dir?: string; json?: boolean }>();
  if (globals.dir === '') throw new UsageError('--dir is empty', 'name the daemon’s directory');
  const directory = globals.dir ?? defaultDirectory(io.env, io.uid);
  const client = new ControlClient({ directory, uid: io.uid });
  return { io, json: globals.json === true, directory, client, tail, argv };
}

/** From package.json, wherever the compiled files lie below it. */
export function version(): string {
  for (let folder = new URL('.', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    try {
      const found = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as { version?: string };
      return found.version ?? 'unknown';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}
