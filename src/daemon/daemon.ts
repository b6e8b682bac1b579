/** The daemon: platform, datapath thread, host port, kernel's part, guests and control socket, made and unmade in order. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Arena } from '../arena/arena.js';
import { instantiateLoops } from '../arena/loops.js';
import { Threads } from '../shard/threads.js';
import { SetupError } from '../sys/errors.js';
import { DEFAULT_TRANSFER } from '../transfer/transfer.js';
import { AddressBook } from './addresses.js';
import {
  type AttachRequest,
  CONTROL_SOCKET,
  type DownRequest,
  type GuestInfo,
  type LinkRequest,
  LOCK_FILE,
  type Status,
  type ThreadInfo,
  type Vif,
} from './api.js';
import type { Claim } from './claim.js';
import { type Controlled, ControlServer } from './control_server.js';
import { SOCKETS } from './directory.js';
import { EmbeddedMachine } from './embedded_machine.js';
import { type HostPlace, HostPort, hostMac } from './host_port.js';
import { Hurry } from './hurry.js';
import { KernelNetwork } from './kernel_network.js';
import { type Log, openLog } from './log.js';
import type { Machine } from './machine.js';
import { NativeMachine } from './native_machine.js';
import { type DaemonOptions, DEFAULT_HOST } from './options.js';
import { startReaper } from './reaper.js';
import { PortIds, Vifs } from './vifs.js';

/** Address space of the datapath; memory is used as it is touched. A small dom0 promises less, enough for some vifs. */
const ARENA_SIZE = 2 ** 31;
const ARENA_LEAST = 2 ** 27;
/** ms for one step of the shutdown: guests get five seconds of it to leave. */
const STEP_MOST = 8000;

export interface Daemon extends Controlled {
  /** Resolves when it has closed, for whatever reason. */
  readonly closed: Promise<void>;
  /** It closes, or has closed, by itself, for a fault of ours. */
  readonly failed: boolean;
  close(): Promise<void>;
}

/**
 * Starts a daemon in a directory that was claimed for it; the claim is the daemon's from here on. Throws SetupError;
 * nothing is left then.
 */
export async function startDaemon(options: DaemonOptions, claim: Claim): Promise<Daemon> {
  const daemon = new RunningDaemon(options, claim);
  await daemon.start();
  return daemon;
}

class RunningDaemon implements Daemon {
  readonly closed: Promise<void>;
  readonly #options: DaemonOptions;
  readonly #claim: Claim;
  readonly #log: Log;
  readonly #started = Date.now();
  readonly #undo: (() => void | Promise<void>)[] = [];
  #resolveClosed = () => {};
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Everything that was made until then. */
  #unmade = false;
  /** Why it closes by itself. */
  #failure: Error | undefined;
  #machine: Machine | undefined;
  #threads: Threads | undefined;
  #host: HostPlace | undefined;
  #kernel: KernelNetwork | undefined;

  constructor(options: DaemonOptions, claim: Claim) {
    this.#options = options;
    this.#claim = claim;
    this.#log = openLog(options.log);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  async start(): Promise<void> {
    this.#starting = this.#start();
    try {
      await this.#starting;
      this.#mustGoOn();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** After each await: it may have begun to close meanwhile. */
  async #start(): Promise<void> {
    const { directory } = this.#options;
    const host = this.#options.host === undefined ? DEFAULT_HOST : this.#options.host;
    this.#own(() => this.#claim.release());
    const left = [...SOCKETS, LOCK_FILE].map((name) => join(directory, name));
    const mark = join(directory, 'hurry');
    const reaper = startReaper(left, this.#claim.fd, mark);
    this.#own(() => reaper.stop());
    // As the claim is ours, what lies there now was bound by us.
    this.#own(() => {
      for (const name of SOCKETS) rmSync(join(directory, name), { force: true });
    });

    const arena = Arena.create(ARENA_SIZE, ARENA_LEAST);
    const machine = this.#openMachine(arena);
    this.#machine = machine;
    this.#own(() => machine.close());
    const threads = await this.#openThreads(arena, machine);
    this.#threads = threads;
    this.#own(() => threads.close());
    this.#mustGoOn();
    const ports = new PortIds(threads.portsMax);
    const datapath = { arena, threads, ports };
    const kernelOptions = this.#options.kernel ?? {};
    const book = new AddressBook(host?.addresses ?? []);
    const byNetfront = host?.driver === 'netfront';
    let hostsMac = '';
    let tap: HostPort | undefined;
    if (host) {
      book.claimAddresses('the host', host.addresses);
      hostsMac = book.claimMac('the host', hostMac(host.name));
      if (!byNetfront) {
        const opened = await HostPort.open(datapath, host, hostsMac, kernelOptions.uplink !== undefined);
        tap = opened;
        this.#host = opened;
        this.#own(() => opened.close());
        this.#mustGoOn();
      }
    }

    const kernel = new KernelNetwork({
      datapath,
      options: kernelOptions,
      book,
      log: this.#log,
      rootless: this.#options.rootless,
      hurry: new Hurry(mark),
      host: host ? { name: host.name, mac: hostsMac, ...(tap && { tap }) } : undefined,
    });
    this.#kernel = kernel;
    this.#own(() => kernel.close());
    await kernel.start();
    this.#mustGoOn();

    await machine.open({
      options: this.#options,
      vifs: new Vifs(arena, machine.platform, threads, ports),
      book,
      log: this.#log,
      mtu: this.#options.guestMtu ?? host?.mtu ?? kernel.mtu,
      onMac: (mac, takesPart) => (takesPart ? kernel.addVif(mac) : kernel.removeVif(mac)),
      own: (undo) => this.#own(undo),
      mustGoOn: () => this.#mustGoOn(),
    });
    this.#mustGoOn();
    if (host && byNetfront) {
      if (!machine.openHost) throw new SetupError('--host-driver netfront: this is not a Xen host');
      book.releaseMac('the host', hostsMac); // the vif claims it, as every vif does
      const opened = await machine.openHost(host, hostsMac);
      this.#host = opened;
      this.#own(() => opened.close());
      this.#mustGoOn();
    }
    const control = new ControlServer(this);
    this.#own(() => control.close());
    await control.listen(join(directory, CONTROL_SOCKET));
  }

  async #openThreads(arena: Arena, machine: Machine): Promise<Threads> {
    const failed = (error: Error) => {
      this.#log.error(`the datapath thread failed: ${error.stack ?? error.message}`);
      process.exitCode = 1; // for whoever embeds us; the command line asks `failed`
      this.#failure = new SetupError(`the datapath thread failed: ${error.message}`, '', { cause: error });
      void this.close();
    };
    try {
      return await Threads.open(arena, machine.platform, this.#options.threads ?? 1, failed);
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  #openMachine(arena: Arena): Machine {
    const { platform = 'embedded', transfer, closeVifs = false } = this.#options;
    const loops = instantiateLoops(arena);
    if (platform === 'native') return new NativeMachine(arena, loops, transfer, closeVifs);
    return new EmbeddedMachine(arena, loops, transfer);
  }

  #mustGoOn(): void {
    if (this.#closing) throw this.#failure ?? new SetupError('the daemon was stopped before it was up');
  }

  /** Something made, by how it is unmade. */
  #own(undo: () => void | Promise<void>): void {
    if (this.#unmade) void this.#attempt(undo);
    else this.#undo.push(undo);
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // What is being made has to be there before it can be undone.
      await this.#attempt(() => this.#starting?.catch(() => {}));
      // One by one: a start that took too long may still add to them.
      for (let step = this.#undo.pop(); step; step = this.#undo.pop()) await this.#attempt(step);
      this.#unmade = true;
      this.#resolveClosed();
    })();
    return this.#closing;
  }

  async #attempt(step: () => void | Promise<void>): Promise<void> {
    try {
      await Promise.race([step(), tooLong()]);
    } catch (error) {
      this.#log.warn(`shutting down: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  status(): Status {
    const host = this.#host;
    return {
      version: VERSION,
      pid: process.pid,
      uptime: (Date.now() - this.#started) / 1000,
      directory: this.#options.directory,
      platform: this.#options.platform ?? 'embedded',
      xen: this.#machine?.xen() ?? null,
      host: host ? { name: host.name, mac: host.mac, addresses: host.addresses, mtu: host.mtu } : null,
      uplink: this.#kernel?.uplink ?? null,
      crossing: this.#kernel?.crossing?.name ?? null,
      guests: this.#machine?.guestCount ?? 0,
      vifs: this.vifs().length,
      transfer: this.#machine?.transfer ?? DEFAULT_TRANSFER,
      threads: this.#threadInfos(),
      io: host?.io ?? this.#kernel?.crossing?.io ?? 'plain',
      rss: process.memoryUsage.rss(),
      rootless: this.#options.rootless,
    };
  }

  #threadInfos(): ThreadInfo[] {
    const threads = this.#threads;
    if (!threads) return [];
    return threads.shards.map((_, thread) => {
      const { in: received, out: handedOver, drops } = threads.junctionCounters(thread);
      return {
        ports: threads.partsOn(thread),
        received: received.frames,
        handedOver: handedOver.frames,
        drops,
      };
    });
  }

  vifs(): Vif[] {
    const vifs = this.#machine?.vifs() ?? [];
    const host = this.#host;
    if (host?.counters) {
      const { name, mac, addresses, mtu, counters, absent = null } = host;
      const fixed = {
        kind: 'tap',
        guest: null,
        domid: null,
        state: absent === null ? 'connected' : 'absent',
        reason: absent,
        carrier: absent === null,
        transfer: null,
      } as const;
      vifs.unshift({ ...fixed, name, mac, macs: [mac], addresses, mtu, counters });
    }
    return [...vifs, ...(this.#kernel?.vifs() ?? [])];
  }

  guests(): GuestInfo[] {
    return this.#machine?.guests() ?? [];
  }

  async removeGuest(name: string): Promise<void> {
    await this.#machine?.removeGuest(name);
  }

  async setLink(name: string, { up }: LinkRequest): Promise<void> {
    if (!this.#machine) throw new SetupError('the daemon is not up yet');
    await this.#machine.setLink(name, up);
  }

  async attachPort(request: AttachRequest): Promise<Vif> {
    if (!this.#kernel) throw new SetupError('the daemon is not up yet');
    return this.#kernel.attach(request);
  }

  async detachPort(name: string): Promise<void> {
    await this.#kernel?.detach(name);
  }

  down({ closeVifs }: DownRequest): void {
    if (closeVifs) this.#machine?.closeVifs();
    void this.close();
  }
}

/** A step of the shutdown that hangs must not keep the rest from happening. */
function tooLong(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`a step took more than ${STEP_MOST / 1000} s`)), STEP_MOST).unref();
  });
}

const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const VERSION = manifest.version;
