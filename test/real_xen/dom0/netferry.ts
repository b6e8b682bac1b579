/** The daemon as an administrator of dom0 runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Status, Vif } from '../../../src/daemon/api.js';
import { ControlClient } from '../../../src/daemon/client.js';
import { type Dom0, type Result, until, within } from './place.js';

/** The package as a user has it. */
const ENTRY = '/netferry/bin/netferry.js';
const DIRECTORY = '/run/netferry';
/** Where the host collects logs from. */
const LOGS = '/var/log/lab';
/** Seconds that start and end may take. */
const START = 90;
const STOP = 60;

let started = 0;

export interface NetferryOptions {
  /** After `netferry up`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Netferry {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  readonly #log: string;
  readonly client = new ControlClient({ directory: DIRECTORY, uid: 0, timeout: 60_000 });

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(code ?? (signal ? 128 : -1)));
    });
  }

  /** Resolves once the daemon says that it is up. */
  static async start(options: NetferryOptions = {}): Promise<Netferry> {
    const log = `${LOGS}/netferry-${Date.now()}-${++started}.log`;
    const output = openSync(log, 'a');
    const child = spawn(process.execPath, [ENTRY, 'up', ...(options.args ?? [])], {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...options.env },
    });
    closeSync(output);
    const daemon = new Netferry(child, log);
    let code: number | undefined;
    void daemon.#ended.then((exit) => {
      code = exit;
    });
    await until(
      'netferry up',
      () => {
        if (code !== undefined)
          throw new Error(`netferry up ended with ${code}:\n${daemon.log().slice(-2000)}`);
        return / is up: pid /.test(daemon.log());
      },
      START,
    );
    return daemon;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** All that it has said so far. */
  log(): string {
    return readFileSync(this.#log, 'utf8');
  }

  status(): Promise<Status> {
    return this.client.status();
  }

  vifs(): Promise<Vif[]> {
    return this.client.vifs();
  }

  /** Another command of the same package, with its answer as JSON: `status`, `vif list`, … */
  async json<T>(dom0: Dom0, command: string): Promise<T> {
    const result: Result = await dom0.run(`node ${ENTRY} --json ${command}`);
    if (result.code !== 0) throw new Error(`netferry ${command}: ${result.stderr}`);
    return JSON.parse(result.stdout) as T;
  }

  /** SIGTERM; the exit code. */
  async stop(): Promise<number> {
    this.#child.kill('SIGTERM');
    return within(STOP, 'netferry’s orderly end', this.#ended, () => this.#child.kill('SIGKILL'));
  }

  async kill9(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
