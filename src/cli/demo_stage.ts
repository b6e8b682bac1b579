/** What the demo sets up and must take away again: a private directory, a daemon, guests, interfaces. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type GuestInfo, HYPERVISOR_SOCKET, type Status } from '../daemon/api.js';
import { ControlClient } from '../daemon/client.js';
import { SetupError } from '../sys/errors.js';
import { ENTRY } from './context.js';
import { exitCodeOf, type Io } from './io.js';
import type { Network } from './network.js';

/** Milliseconds. */
const READY_DEADLINE = 10_000;
const STOP_DEADLINE = 6000;
const VANISH_DEADLINE = 6000;
const POLL = 20;

export class Stage {
  readonly directory: string;
  readonly hostName: string;
  readonly uid: number;
  readonly #network: Network;
  readonly #client: ControlClient;
  readonly #interfaces = interfaces();
  readonly #steps: (() => void)[] = [];
  #daemon: ChildProcess | undefined;
  #daemonExit: Promise<number> | undefined;
  #launching: Promise<unknown> = Promise.resolve();
  #enter: ((pid: number, command: readonly string[]) => string[]) | undefined;
  #cleared = false;

  constructor(io: Io, network: Network) {
    this.uid = io.uid;
    this.#network = network;
    this.hostName = `nfdemo${network.number}`;
    if (this.#interfaces.includes(this.hostName)) {
      throw new SetupError(
        `there is an interface ${this.hostName} already`,
        'is another demo running? wait for it',
      );
    }
    this.directory = mkdtempSync(join(tmpdir(), 'netferry-demo-'));
    this.#client = new ControlClient({ directory: this.directory, uid: this.uid });
  }

  /** The command line that runs `command` where process `pid` lives. */
  enter(pid: number, command: readonly string[]): string[] {
    if (!this.#enter) throw new Error('enter: there is no guest yet');
    return this.#enter(pid, command);
  }

  /** Something to be done first when all is taken away. */
  onClear(step: () => void): void {
    if (this.#cleared) step();
    else this.#steps.push(step);
  }

  async startDaemon(): Promise<Status> {
    this.#notCleared();
    const addresses = this.#network.host.flatMap((cidr) => ['--host-ip', cidr]);
    const args = [
      'up',
      '--json',
      '--platform',
      'embedded',
      '--dir',
      this.directory,
      '--host-name',
      this.hostName,
      ...addresses,
    ];
    // A group of its own: Ctrl-C on the terminal reaches us alone, and we stop things in order. The channel is
    // a lifeline: should we be killed, the daemon sees it closed and ends, and the guests with it.
    const child = spawn(process.execPath, [ENTRY, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    this.#daemon = child;
    const exited = exitCodeOf(child);
    this.#daemonExit = exited;
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    const { enterCommand } = await import('../guest/enter.js');
    this.#enter = enterCommand;
    const ended = exited.then((code) => {
      throw new SetupError(
        `the daemon ended with exit code ${code}: ${lastError(complaint)}`,
        'see: netferry doctor',
      );
    });
    ended.catch(() => {}); // after it was ready, others notice
    const late = sleep(READY_DEADLINE, undefined, { ref: false }).then(() => {
      throw new SetupError(
        `the daemon was not ready within ${READY_DEADLINE / 1000} s`,
        'see: netferry doctor',
      );
    });
    late.catch(() => {});
    return Promise.race([this.#ready(child), ended, late]);
  }

  /** `up --json` prints its status once it is ready. */
  async #ready(child: ChildProcess): Promise<Status> {
    let text = '';
    child.stdout?.setEncoding('utf8');
    for await (const chunk of child.stdout ?? []) {
      text += String(chunk);
      if (text.endsWith('\n}\n')) return JSON.parse(text) as Status;
    }
    return new Promise(() => {}); // it has ended, and its exit code says more
  }

  async startGuest(name: string, addresses: readonly string[]): Promise<GuestInfo> {
    this.#notCleared();
    const { launchGuest } = await import('../guest/launch.js');
    const socket = join(this.directory, HYPERVISOR_SOCKET);
    const launched = launchGuest({ socket, name, addresses, detach: true });
    this.#launching = launched.catch(() => {});
    await launched;
    return this.#client.guest(name);
  }

  /** Ends and removes everything; what could not be, by name. */
  async clear(): Promise<string[]> {
    this.#cleared = true;
    for (const step of this.#steps.reverse()) step();
    if (this.#daemon && this.#daemonExit) {
      this.#daemon.kill('SIGTERM');
      const ended = await Promise.race([
        this.#daemonExit.catch(() => 1),
        sleep(STOP_DEADLINE, 'late' as const, { ref: false }),
      ]);
      if (ended === 'late') this.#daemon.kill('SIGKILL');
    }
    await Promise.race([this.#launching, sleep(STOP_DEADLINE, undefined, { ref: false })]);
    const left = await this.#vanished();
    rmSync(this.directory, { recursive: true, force: true });
    if (existsSync(this.directory)) left.push(this.directory);
    return left;
  }

  /** Processes and interfaces of this demo, after they have had a moment to go. Processes are then ended by force. */
  async #vanished(): Promise<string[]> {
    const deadline = performance.now() + VANISH_DEADLINE;
    for (;;) {
      const processes = processesNaming(this.directory);
      const links = interfaces().filter((name) => name === this.hostName);
      if (processes.length + links.length === 0) return [];
      if (performance.now() < deadline) {
        await sleep(POLL);
        continue;
      }
      for (const pid of processes) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {} // gone after all
      }
      return [
        ...processes.map((pid) => `process ${pid} (ended by force)`),
        ...links.map((name) => `interface ${name}`),
      ];
    }
  }

  #notCleared(): void {
    if (this.#cleared) throw new SetupError('the demo is over');
  }
}

function interfaces(): string[] {
  return existsSync('/sys/class/net') ? readdirSync('/sys/class/net') : [];
}

/** Processes with `text` on their command line, but not this one. The demo's directory has a name of its own. */
function processesNaming(text: string): number[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false; // it has just ended
    }
  });
}

function lastError(text: string): string {
  const lines = text.trim().split('\n');
  return (lines.find((line) => line.startsWith('netferry:')) ?? lines.at(-1) ?? '').replace(
    /^netferry:\s*/,
    '',
  );
}
