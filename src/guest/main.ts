/**
 * The domain's process: started in namespaces of its own by launch.ts, which passes the options as one JSON
 * argument and a pipe as descriptor 3 for the outcome. Runs the guest's command, if there is one, and ends with it.
 */
import { spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { SetupError } from '../sys/errors.js';
import { becomeDomain } from './bootstrap.js';
import { startGuest } from './guest.js';
import type { GuestMainOptions } from './launch.js';

const OUTCOME_FD = 3;
/** The daemon or the back end went away under the guest. */
const EXIT_LOST = 3;

async function main(options: GuestMainOptions): Promise<number> {
  // Pid 1 of its namespace does not hear a signal that it has no handler for.
  const early = () => {
    tell({ ok: false, error: 'the guest was stopped while it came up', hint: '' });
    process.exit(1);
  };
  process.on('SIGTERM', early);
  const handles = becomeDomain(options.socket, options.request);
  const guest = await startGuest(handles, options.request.queues);
  process.off('SIGTERM', early);
  tell({ ok: true, domid: handles.grant.domid });
  const stop = new Promise<number>((resolve) => {
    process.on('SIGTERM', () => resolve(0));
    process.on('SIGHUP', () => resolve(0));
    // From the terminal: with a command it is the command's to answer, and the guest ends with it.
    process.on('SIGINT', () => options.command || resolve(0));
  });
  const lost = guest.lost.then((why) => {
    process.stderr.write(`netferry: guest ${options.request.name}: ${why}\n`);
    return EXIT_LOST;
  });
  const ends = [stop, lost];
  if (options.command) ends.push(run(options.command));
  const code = await Promise.race(ends);
  // A back end that never answers must not keep a guest from leaving.
  await Promise.race([guest.close(code !== EXIT_LOST), new Promise((resolve) => setTimeout(resolve, 3000))]);
  return code;
}

/** The guest's own command, in its namespaces; its exit code, or 128 + signal. */
function run(command: readonly string[]): Promise<number> {
  const [program, ...rest] = command;
  const child = spawn(program, rest, { stdio: 'inherit' });
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`netferry: ${program}: ${error.code ?? error.message}\n`);
      resolve(error.code === 'ENOENT' ? 127 : 126);
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}

function tell(outcome: object): void {
  try {
    writeSync(OUTCOME_FD, `${JSON.stringify(outcome)}\n`);
    closeSync(OUTCOME_FD);
  } catch {
    // whoever launched us is gone
  }
}

main(JSON.parse(process.argv[2]) as GuestMainOptions).then(
  (code) => process.exit(code),
  (error: unknown) => {
    const known = error instanceof SetupError;
    const message =
      error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
    tell({ ok: false, error: message, hint: known ? error.hint : '' });
    process.exit(1);
  },
);
