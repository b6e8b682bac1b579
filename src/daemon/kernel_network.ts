/**
 * The kernel's part of the network: uplink, attached interfaces, and the crossing to the vifs in user space. The
 * daemon's tables (address book, vifs) are the truth; the hook mirrors them. While there is neither an uplink nor a
 * port, there is no hook and no crossing.
 */
import { sweepClsact } from '../hook/attach_clsact.js';
import { Hook } from '../hook/hook.js';
import { FEATURES, sweepFeatures } from '../hook/switched_off.js';
import { SetupError } from '../sys/errors.js';
import type { InterfaceChanges } from '../sys/interface_events.js';
import { addressList, linkInfo } from '../sys/netlink.js';
import type { AddressBook } from './addresses.js';
import type { AttachRequest, UplinkInfo, Vif } from './api.js';
import { explainAttach } from './attach_error.js';
import { Crossing } from './crossing.js';
import { hookCounters, hookDrops } from './hook_counters.js';
import type { Hurry } from './hurry.js';
import { InterfaceCare } from './interface_care.js';
import { InterfaceWatch } from './interface_watch.js';
import { KernelPort, UnknownPort } from './kernel_port.js';
import type { Log } from './log.js';
import type { KernelOptions } from './options.js';
import type { Datapath } from './tap.js';
import { type Kept, TapKeeper } from './tap_keeper.js';
import { UplinkKeeper } from './uplink_keeper.js';

/** Seconds, as a bridge's. */
const AGEING = 300;

export interface KernelNetworkParts {
  readonly datapath: Datapath;
  readonly options: KernelOptions;
  readonly book: AddressBook;
  readonly log: Log;
  readonly rootless: boolean;
  /** For many ports at once. */
  readonly hurry: Hurry;
  /** The host's own port, if there is one; `tap`: if it is a tap, that is looked after, too. */
  readonly host: { readonly name: string; readonly mac: string; readonly tap?: Kept } | undefined;
}

export class KernelNetwork {
  readonly #parts: KernelNetworkParts;
  readonly #uplink: UplinkKeeper | undefined;
  readonly #ports: KernelPort[] = [];
  readonly #care: InterfaceCare;
  /** MACs in user space that kernel ports and the wire reach through the crossing. */
  readonly #macs = new Set<string>();
  #hook: Hook | undefined;
  #crossing: Crossing | undefined;
  readonly #hostKeeper: TapKeeper | undefined;
  #crossingKeeper: TapKeeper | undefined;
  #watch: InterfaceWatch | undefined;
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #busy = 0;

  constructor(parts: KernelNetworkParts) {
    this.#parts = parts;
    const { options, host, book, log, hurry } = parts;
    if (options.uplink !== undefined) this.#uplink = new UplinkKeeper(options.uplink, book, log);
    else if (host) this.#macs.add(host.mac); // with an uplink, the host is reached through that alone
    const ageing = options.ageing ?? AGEING;
    if (host?.tap)
      this.#hostKeeper = new TapKeeper(host.tap, 'the host and guests do not reach each other', log);
    this.#care = new InterfaceCare({ uplink: this.#uplink, ports: this.#ports, ageing, log, hurry });
  }

  /** Attaches the uplink, if there is one; takes away what a killed daemon left. Throws SetupError; nothing is left then. */
  start(): Promise<void> {
    return this.#serially(async () => {
      if (this.#hostKeeper) this.#beginWatch();
      if (this.#parts.rootless && !this.#uplink) return;
      try {
        if (this.#uplink) await this.#open();
        else sweepClsact();
      } finally {
        // Behind the uplink: what a dead one switched off there is only taken over.
        for (const one of sweepFeatures()) {
          this.#parts.log.info(`${one} is on again: a killed daemon had switched it off`);
        }
        this.#tellProblems();
      }
    });
  }

  /** A vif takes part from now on. Throws SetupError. */
  addVif(mac: string): void {
    if (this.#crossing) this.#hook?.setMac(mac, this.#crossing.id);
    this.#macs.add(mac);
  }

  removeVif(mac: string): void {
    this.#macs.delete(mac);
    if (this.#crossing) this.#hook?.removeMac(mac);
  }

  /** Makes an interface a port. Throws SetupError; nothing is left then. */
  attach(request: AttachRequest): Promise<Vif> {
    return this.#serially(async () => {
      await othersToo();
      const device = linkInfo(request.device)?.name ?? request.device; // it may be an alternative name
      this.#checkDevice(device, request.name ?? device);
      const port = new KernelPort({ ...request, device }, this.#parts.book);
      try {
        const { hook } = await this.#open();
        this.#parts.hurry.during(this.#busy, () => port.enter(hook));
        this.#ports.push(port);
        this.#tellProblems();
        this.#parts.log.info(`port ${port.name}: ${port.device} is attached`);
        this.#tellAddresses(port);
        return port.row(hook, hook.learned());
      } catch (error) {
        this.#drop(port);
        await this.#closeIfIdle();
        throw explainAttach(error);
      }
    });
  }

  /** By a port's name or its device's. Throws UnknownPort. */
  detach(name: string): Promise<void> {
    return this.#serially(async () => {
      await othersToo();
      const port = this.#ports.find((one) => one.name === name) ?? this.#portOn(name);
      if (!port) {
        const known = this.#ports.map((one) => one.name).join(', ');
        throw new UnknownPort(
          `${name} is not attached`,
          known ? `attached: ${known}` : 'nothing is; see: netferry vif list',
        );
      }
      this.#drop(port);
      this.#parts.log.info(`port ${port.name}: ${port.device} is detached`);
      await this.#closeIfIdle();
    });
  }

  get uplink(): UplinkInfo | null {
    return (this.#hook && this.#uplink?.info(this.#hook)) ?? null;
  }

  /** Of the uplink. */
  get mtu(): number | undefined {
    return this.#uplink && linkInfo(this.#uplink.name)?.mtu;
  }

  get crossing(): Crossing | undefined {
    return this.#crossing;
  }

  /** The rows of `vif list`. */
  vifs(): Vif[] {
    const hook = this.#hook;
    const crossing = this.#crossing;
    if (!hook || !crossing) return [];
    const fixed = { guest: null, domid: null, addresses: [], reason: null, transfer: null };
    const rows: Vif[] = [];
    const { uplink } = this;
    if (uplink) {
      const mtu = linkInfo(uplink.name)?.mtu ?? 0;
      const both = {
        ...fixed,
        mtu,
        state: uplink.absent ? 'absent' : 'connected',
        reason: uplink.absent,
        carrier: uplink.carrier,
      } as const;
      const { mac } = uplink;
      rows.push(
        {
          ...both,
          name: uplink.name,
          kind: 'uplink',
          mac: '',
          macs: [],
          counters: hookCounters(hook.counters('wire')),
        },
        {
          ...both,
          name: 'host',
          kind: 'host',
          carrier: true,
          mac,
          macs: [mac],
          counters: hookCounters(hook.counters('host')),
        },
      );
    }
    const { name, mtu, counters, absent } = crossing;
    // A group's frame that nobody in user space is there for is no loss.
    const { 'group-of-none': _, ...inside } = counters.drops;
    const drops = hookDrops(hook.counters(crossing.id));
    for (const [reason, count] of Object.entries(inside)) drops[reason] = (drops[reason] ?? 0) + count;
    const row = { ...fixed, name, kind: 'crossing', mac: '', macs: [...this.#macs], mtu } as const;
    const state = absent === null ? 'connected' : 'absent';
    rows.push({ ...row, state, reason: absent, carrier: absent === null, counters: { ...counters, drops } });
    const learned = hook.learned();
    return [...rows, ...this.#ports.map((port) => port.row(hook, learned))];
  }

  close(): Promise<void> {
    return this.#serially(async () => {
      for (const port of this.#ports.splice(0)) port.release();
      await this.#endWatch();
      await this.#close();
    });
  }

  /** Whatever of it there is. */
  #drop(port: KernelPort): void {
    const place = this.#ports.indexOf(port);
    if (place !== -1) this.#ports.splice(place, 1);
    const hook = this.#hook;
    if (hook) this.#parts.hurry.during(this.#busy, () => port.leave(hook));
    port.release();
  }

  #tellProblems(): void {
    for (const problem of FEATURES.records.takeProblems()) {
      this.#parts.log.warn(`records of features that are off: ${problem}`);
    }
  }

  /** As with a bridge's ports: what comes in is another's, so nothing reaches the host by them. */
  #tellAddresses({ name, device }: KernelPort): void {
    const link = linkInfo(device);
    const own = addressList().filter(
      ({ index, address }) => index === link?.index && !address.startsWith('fe80:'),
    );
    if (own.length === 0) return;
    const addresses = own.map(({ address, prefix }) => `${address}/${prefix}`).join(', ');
    this.#parts.log.warn(
      `port ${name}: the host is not reached at ${addresses} on ${device} while that is a port`,
    );
  }

  #portOn(device: string): KernelPort | undefined {
    return this.#ports.find((one) => one.device === device);
  }

  /** Throws SetupError for what is ours already. */
  #checkDevice(device: string, name: string): void {
    const twin = this.#portOn(device);
    if (twin) throw new SetupError(`${device} is attached already`, `netferry detach ${twin.name}`);
    if (this.#ports.some((one) => one.name === name)) {
      throw new SetupError(`a port called ${name} is attached already`, 'choose another --name');
    }
    if (device === this.#uplink?.name) {
      throw new SetupError(
        `${device} is the uplink`,
        'the wire is reached through it; attach what guests are behind',
      );
    }
    const own = [this.#parts.host?.name, this.#crossing?.name];
    if (own.includes(device)) throw new SetupError(`${device} is netferry’s own`, 'it takes part already');
  }

  async #open(): Promise<{ hook: Hook }> {
    if (this.#hook) return { hook: this.#hook };
    const { datapath, options, rootless } = this.#parts;
    if (rootless) {
      throw new SetupError(
        'a daemon without root has none of this machine’s interfaces',
        'run it as root: sudo netferry up',
      );
    }
    try {
      const { mode, throughUplink } = options;
      const hook = new Hook({
        ...(mode && { mode }),
        ...(this.#uplink && { uplink: this.#uplink.name }),
        ...(throughUplink && { uplinkPeer: false }),
      });
      this.#hook = hook;
      this.#uplink?.adopt(hook);
      const crossing = await Crossing.open(datapath, hook, [...this.#macs], this.#uplink !== undefined);
      this.#crossing = crossing;
      const meaning = 'vifs in user space reach neither kernel ports nor the wire';
      this.#crossingKeeper = new TapKeeper(crossing, meaning, this.#parts.log);
      this.#beginWatch();
      return { hook };
    } catch (error) {
      await this.#close();
      throw explainAttach(error);
    }
  }

  async #closeIfIdle(): Promise<void> {
    if (this.#ports.length === 0 && !this.#uplink) await this.#close();
  }

  #beginWatch(): void {
    const [shard] = this.#parts.datapath.threads.shards;
    this.#watch ??= new InterfaceWatch(shard, (changes, polled) => this.#lookAfter(changes, polled));
  }

  async #endWatch(): Promise<void> {
    await this.#watch?.close();
    this.#watch = undefined;
  }

  async #close(): Promise<void> {
    if (!this.#hostKeeper) await this.#endWatch();
    this.#crossingKeeper = undefined;
    const [hook, crossing] = [this.#hook, this.#crossing];
    this.#crossing = undefined;
    try {
      await crossing?.close();
    } finally {
      this.#hook = undefined;
      if (hook) this.#parts.hurry.during(hook.ports().length, () => hook.close());
      this.#uplink?.release();
    }
  }

  /** False: something else is going on, or there is more to do. */
  #lookAfter(changes: InterfaceChanges | undefined, polled: boolean): boolean {
    if (this.#busy > 0) return false;
    for (const keeper of [this.#crossingKeeper, this.#hostKeeper]) {
      if (keeper?.look(changes, polled)) void this.#serially(() => keeper.mend());
    }
    return this.#hook === undefined || this.#care.look(this.#hook, changes, polled);
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    const done = this.#last.then(work).finally(() => {
      this.#busy--;
    });
    this.#last = done.catch(() => {});
    return done;
  }
}

/** Who else wants something at the same moment is heard before it is begun: only then is it known to be many. */
function othersToo(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
