/** The daemon: hypervisor, xenstore, netback, datapath thread, host port and control socket, made and unmade in order. */
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PORTS_MAX } from '../../assembly/layout.js';
import { Arena } from '../arena/arena.js';
import { instantiateLoops } from '../arena/loops.js';
import { NetbackDriver } from '../netif/backend.js';
import { Shard } from '../shard/shard.js';
import { SetupError } from '../sys/errors.js';
import type { TransferName } from '../transfer/transfer.js';
import { Hypervisor } from '../xen/embedded/hypervisor.js';
import { Xenstored } from '../xen/embedded/xenstored/xenstored.js';
import { AddressBook } from './addresses.js';
import {
  type AttachRequest,
  CONTROL_SOCKET,
  type GuestInfo,
  HYPERVISOR_SOCKET,
  LOCK_FILE,
  type Status,
  type Vif,
  XENSTORE_SOCKET,
} from './api.js';
import type { Claim } from './claim.js';
import { type Controlled, ControlServer } from './control_server.js';
import { SOCKETS } from './directory.js';
import { HostPort } from './host_port.js';
import { KernelNetwork } from './kernel_network.js';
import { type Log, openLog } from './log.js';
import { type DaemonOptions, DEFAULT_HOST } from './options.js';
import { startReaper } from './reaper.js';
import { type GuestRecord, Toolstack } from './toolstack.js';
import { PortIds, Vifs } from './vifs.js';

/** Address space of the datapath; memory is used as it is touched. A small dom0 promises less, enough for some vifs. */
const ARENA_SIZE = 2 ** 31;
const ARENA_LEAST = 2 ** 27;
/** ms for one step of the shutdown: guests get five seconds of it to leave. */
const STEP_MOST = 8000;

export interface Daemon extends Controlled {
  /** Resolves when it has closed, for whatever reason. */
  readonly closed: Promise<void>;
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
  #toolstack: Toolstack | undefined;
  #netback: NetbackDriver | undefined;
  #vifs: Vifs | undefined;
  #host: HostPort | undefined;
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
    const reaper = startReaper(left, this.#claim.fd);
    this.#own(() => reaper.stop());
    // As the claim is ours, what lies there now was bound by us.
    this.#own(() => {
      for (const name of SOCKETS) rmSync(join(directory, name), { force: true });
    });

    const arena = Arena.create(ARENA_SIZE, ARENA_LEAST);
    const hypervisor = new Hypervisor(arena, instantiateLoops(arena));
    this.#own(() => hypervisor.close());
    const shard = new Shard(arena, hypervisor);
    this.#own(() => shard.close());
    shard.onFailure = (error) => {
      this.#log.error(`the datapath thread failed: ${error.stack ?? error.message}`);
      process.exitCode = 1;
      this.#failure = new SetupError(`the datapath thread failed: ${error.message}`, '', { cause: error });
      void this.close();
    };
    const ports = new PortIds(PORTS_MAX);
    const datapath = { arena, shard, ports };
    const kernelOptions = this.#options.kernel ?? {};
    const book = new AddressBook(host?.addresses ?? []);
    if (host) {
      book.claimAddresses('the host', host.addresses);
      const mac = book.claimMac('the host', undefined);
      this.#host = await HostPort.open(datapath, host, mac, kernelOptions.uplink !== undefined);
      const opened = this.#host;
      this.#own(() => opened.close());
      this.#mustGoOn();
    }

    const kernel = new KernelNetwork({
      datapath,
      options: kernelOptions,
      book,
      log: this.#log,
      rootless: this.#options.rootless,
      host: this.#host,
    });
    this.#kernel = kernel;
    this.#own(() => kernel.close());
    await kernel.start();
    this.#mustGoOn();

    const xenstored = new Xenstored({}, { log: (message) => this.#log.warn(`xenstore: ${message}`) });
    this.#own(() => xenstored.close());
    await xenstored.listen(join(directory, XENSTORE_SOCKET));
    this.#mustGoOn();
    const store = xenstored.connect(0);
    const vifs = new Vifs(arena, hypervisor, shard, ports, (domid) => this.#transferOf(domid));
    const netback = new NetbackDriver(store, vifs, this.#log);
    this.#own(() => netback.close());
    vifs.onMac = (mac, takesPart) => (takesPart ? kernel.addVif(mac) : kernel.removeVif(mac));
    vifs.onFenced = (domid, handle, why) => void netback.fence(domid, handle, why);
    await netback.start();
    this.#mustGoOn();
    const toolstack = new Toolstack({
      hypervisor,
      xenstored,
      store,
      addresses: book,
      transfer: this.#options.transfer,
      log: this.#log,
      forget: (domid) => netback.forget(domid),
      defaultMtu: this.#options.guestMtu ?? host?.mtu ?? kernel.mtu ?? 1500,
    });
    this.#own(() => toolstack.close());
    this.#toolstack = toolstack;
    this.#netback = netback;
    this.#vifs = vifs;
    const hypervisorSocket = join(directory, HYPERVISOR_SOCKET);
    await toolstack.listen(hypervisorSocket);
    this.#mustGoOn();
    chmodSync(hypervisorSocket, 0o600);
    const control = new ControlServer(this);
    this.#own(() => control.close());
    await control.listen(join(directory, CONTROL_SOCKET));
  }

  #mustGoOn(): void {
    if (this.#closing) throw this.#failure ?? new SetupError('the daemon was stopped before it was up');
  }

  /** Something made, by how it is unmade. */
  #own(undo: () => void | Promise<void>): void {
    if (this.#unmade) void this.#attempt(undo);
    else this.#undo.push(undo);
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
      platform: 'embedded',
      host: host ? { name: host.name, mac: host.mac, addresses: host.addresses, mtu: host.mtu } : null,
      uplink: this.#kernel?.uplink ?? null,
      crossing: this.#kernel?.crossing?.name ?? null,
      guests: this.guests().length,
      vifs: this.vifs().length,
      transfer: this.#options.transfer,
      io: host?.io ?? this.#kernel?.crossing?.io ?? 'plain',
      rss: process.memoryUsage.rss(),
      rootless: this.#options.rootless,
    };
  }

  vifs(): Vif[] {
    const vifs: Vif[] = (this.#toolstack?.guests ?? []).map((guest) => {
      const { domid } = guest.domain;
      const { phase: state, reason } = this.#phaseOf(guest);
      const counters = this.#vifs?.counters(domid, 0) ?? null;
      const { mac, addresses, mtu, transfer } = guest;
      return {
        name: `${guest.name}/0`,
        kind: 'netif',
        guest: guest.name,
        domid,
        mac,
        macs: [mac],
        addresses,
        mtu,
        state,
        reason,
        transfer,
        counters,
      };
    });
    const host = this.#host;
    if (host) {
      const { name, mac, addresses, mtu, counters } = host;
      const fixed = {
        kind: 'tap',
        guest: null,
        domid: null,
        state: 'connected',
        reason: null,
        transfer: null,
      } as const;
      vifs.unshift({ ...fixed, name, mac, macs: [mac], addresses, mtu, counters });
    }
    return [...vifs, ...(this.#kernel?.vifs() ?? [])];
  }

  guests(): GuestInfo[] {
    return (this.#toolstack?.guests ?? []).map((guest) => {
      const { name, pid, mac, addresses, mtu, transfer } = guest;
      return {
        name,
        domid: guest.domain.domid,
        pid,
        mac,
        addresses,
        mtu,
        state: this.#phaseOf(guest).phase,
        transfer,
      };
    });
  }

  async removeGuest(name: string): Promise<void> {
    await this.#toolstack?.remove(name);
  }

  async attachPort(request: AttachRequest): Promise<Vif> {
    if (!this.#kernel) throw new SetupError('the daemon is not up yet');
    return this.#kernel.attach(request);
  }

  async detachPort(name: string): Promise<void> {
    await this.#kernel?.detach(name);
  }

  #phaseOf(guest: GuestRecord) {
    return this.#netback?.phaseOf(guest.domain.domid, 0) ?? { phase: 'initialising' as const, reason: null };
  }

  #transferOf(domid: number): TransferName {
    const guest = this.#toolstack?.guests.find((record) => record.domain.domid === domid);
    return guest?.transfer ?? this.#options.transfer;
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
