/** The daemon: hypervisor, xenstore, netback, datapath thread, host port and control socket, made and unmade in order. */
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
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
  CONTROL_SOCKET,
  type GuestInfo,
  HYPERVISOR_SOCKET,
  type Status,
  type Vif,
  XENSTORE_SOCKET,
} from './api.js';
import { type Controlled, ControlServer } from './control_server.js';
import { HostPort } from './host_port.js';
import { type Log, openLog } from './log.js';
import { type DaemonOptions, DEFAULT_HOST } from './options.js';
import { startReaper } from './reaper.js';
import { type GuestRecord, Toolstack } from './toolstack.js';
import { PortIds, Vifs } from './vifs.js';

/** Address space of the datapath; memory is used as it is touched. */
const ARENA_SIZE = 2 ** 31;
/** ms for one step of the shutdown: guests get five seconds of it to leave. */
const STEP_MOST = 8000;
const SOCKETS = [CONTROL_SOCKET, HYPERVISOR_SOCKET, XENSTORE_SOCKET];

export interface Daemon extends Controlled {
  /** Resolves when it has closed, for whatever reason. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/** Starts a daemon whose directory is ours alone (src/daemon/directory.ts). Throws SetupError; nothing is left then. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const daemon = new RunningDaemon(options);
  try {
    await daemon.start();
  } catch (error) {
    await daemon.close();
    throw error;
  }
  return daemon;
}

class RunningDaemon implements Daemon {
  readonly closed: Promise<void>;
  readonly #options: DaemonOptions;
  readonly #log: Log;
  readonly #started = Date.now();
  readonly #undo: (() => void | Promise<void>)[] = [];
  #resolveClosed = () => {};
  #closing: Promise<void> | undefined;
  #toolstack: Toolstack | undefined;
  #netback: NetbackDriver | undefined;
  #vifs: Vifs | undefined;
  #host: HostPort | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = openLog(options.log);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  async start(): Promise<void> {
    const { directory } = this.#options;
    const host = this.#options.host === undefined ? DEFAULT_HOST : this.#options.host;
    await refuseSecond(join(directory, CONTROL_SOCKET));
    const reaper = startReaper(SOCKETS.map((name) => join(directory, name)));
    this.#undo.push(() => {
      for (const name of SOCKETS) rmSync(join(directory, name), { force: true });
      reaper.stop();
    });

    const arena = Arena.create(ARENA_SIZE);
    const hypervisor = new Hypervisor(arena, instantiateLoops(arena));
    this.#undo.push(() => hypervisor.close());
    const shard = new Shard(arena, hypervisor.records);
    this.#undo.push(() => shard.close());
    shard.onFailure = (error) => {
      this.#log.error(`the datapath thread failed: ${error.stack ?? error.message}`);
      process.exitCode = 1;
      void this.close();
    };
    const ports = new PortIds(PORTS_MAX);
    const book = new AddressBook(host?.addresses ?? []);
    if (host) {
      book.claimAddresses('the host', host.addresses);
      this.#host = await HostPort.open(arena, shard, ports, host, book.claimMac('the host', undefined));
      const opened = this.#host;
      this.#undo.push(() => opened.close());
    }

    const xenstored = new Xenstored({}, { log: (message) => this.#log.warn(`xenstore: ${message}`) });
    this.#undo.push(() => xenstored.close());
    await xenstored.listen(join(directory, XENSTORE_SOCKET));
    const store = xenstored.connect(0);
    const vifs = new Vifs(arena, hypervisor, shard, ports, (domid) => this.#transferOf(domid));
    const netback = new NetbackDriver(store, vifs, this.#log);
    this.#undo.push(() => netback.close());
    vifs.onFenced = (domid, handle, why) => void netback.fence(domid, handle, why);
    await netback.start();
    const toolstack = new Toolstack({
      hypervisor,
      xenstored,
      store,
      addresses: book,
      transfer: this.#options.transfer,
      log: this.#log,
      forget: (domid) => netback.forget(domid),
      defaultMtu: host?.mtu ?? 1500,
    });
    this.#undo.push(() => toolstack.close());
    this.#toolstack = toolstack;
    this.#netback = netback;
    this.#vifs = vifs;
    const hypervisorSocket = join(directory, HYPERVISOR_SOCKET);
    rmSync(hypervisorSocket, { force: true });
    await toolstack.listen(hypervisorSocket);
    chmodSync(hypervisorSocket, 0o600);
    const control = new ControlServer(this);
    this.#undo.push(() => control.close());
    await control.listen(join(directory, CONTROL_SOCKET));
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const step of this.#undo.reverse()) {
        try {
          await Promise.race([step(), tooLong()]);
        } catch (error) {
          this.#log.warn(`shutting down: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      this.#resolveClosed();
    })();
    return this.#closing;
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
      guests: this.guests().length,
      vifs: this.vifs().length,
      transfer: this.#options.transfer,
      io: host?.io ?? 'plain',
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
      vifs.unshift({ ...fixed, name, mac, addresses, mtu, counters });
    }
    return vifs;
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

/** One daemon a directory: a socket that answers belongs to another one; one that does not is stale. */
async function refuseSecond(path: string): Promise<void> {
  const socket = connect(path);
  const answers = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  if (answers)
    throw new SetupError(`a daemon runs already at ${path}`, 'stop it first, or choose another --dir');
}

const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const VERSION = manifest.version;
