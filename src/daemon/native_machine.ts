/** A Xen host in the daemon: Xen's own guests, made by whichever toolstack, found in xenstore. */
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { NetbackDriver } from '../netif/backend.js';
import { type Ending, NotYet, type VifIdentity } from '../netif/vif_connector.js';
import { SetupError } from '../sys/errors.js';
import type { TransferName } from '../transfer/transfer.js';
import { NativePlatform } from '../xen/native/platform.js';
import { type LastingXenstore, openLastingXenstore } from '../xen/xenstore/lasting.js';
import type { GuestInfo, Vif, XenInfo } from './api.js';
import { crowded } from './cache_budget.js';
import { carrierOf, setLink } from './carrier.js';
import { claimHost } from './host_claim.js';
import { HostNetfront } from './host_netfront.js';
import type { HostPlace } from './host_port.js';
import { comesByItself, KernelNetback } from './kernel_netback.js';
import type { Log } from './log.js';
import type { Machine, MachineParts } from './machine.js';
import { type HostOptions, queuesOffered } from './options.js';
import { servedTransfer } from './served_transfer.js';
import type { Vifs } from './vifs.js';
import { openHostXenstore, ownDomid, xenstoreWay } from './xen_host.js';

const MTU = 1500;
/** Every copy checks its grant, and guests may take their pages back at any time: what any front end can live with. */
const TRANSFER: TransferName = 'grant-copy';

export class NativeMachine implements Machine {
  readonly platform: NativePlatform;
  readonly transfer: TransferName;
  #store: LastingXenstore | undefined;
  #netback: NetbackDriver | undefined;
  #vifs: Vifs | undefined;
  #domid = 0;
  #way = '';
  #ending: Ending;

  /** Throws SetupError: not a Xen host, or its devices are missing. */
  constructor(arena: Arena, loops: Loops, transfer: TransferName | undefined, closeVifs: boolean) {
    this.platform = new NativePlatform(arena, loops);
    this.transfer = transfer ?? TRANSFER;
    this.#ending = closeVifs ? 'close' : 'keep';
  }

  async open(parts: MachineParts): Promise<void> {
    const { vifs, log, own } = parts;
    const claim = claimHost();
    own(() => claim.release());
    this.#way = xenstoreWay();
    const store = await openLastingXenstore({
      open: openHostXenstore,
      onLost: () => log.warn(`xenstore: ${this.#way} is gone; guests’ frames go on, their changes wait`),
      onBack: () => log.info(`xenstore: ${this.#way} is back`),
    });
    own(() => store.close());
    this.#store = store;
    parts.mustGoOn();
    this.#domid = await ownDomid(store);
    const kernel = new KernelNetback();
    const netback = new NetbackDriver(store, vifs, log, {
      home: await store.getDomainPath(this.#domid),
      holderOf: (domid, handle, serving) => kernel.holderOf(domid, handle, serving),
      resume: true,
      queues: queuesOffered(parts.options),
      mtu: () => parts.mtu,
    });
    own(async () => {
      // Whoever waits for it would wait for ever.
      if (!store.connected) store.close();
      await netback.close(this.#ending);
    });
    vifs.transferOf = ({ name, config }, keys) => {
      const { transfer, why } = servedTransfer('native', config.transfer ?? this.transfer, keys);
      if (why) log.info(`vif ${name}: ${why}`);
      return transfer;
    };
    vifs.onVif = (vif, takesPart) => this.#takesPart(parts, vif, takesPart);
    vifs.onCrowded = (vif, wanted) => log.warn(crowded(vif.name, wanted));
    vifs.onFenced = (domid, handle, why) => void netback.fence(domid, handle, why);
    this.#netback = netback;
    this.#vifs = vifs;
    parts.mustGoOn();
    await netback.start();
    void warnOf(kernel, log); // guests that wait for us do not wait for that
  }

  vifs(): Vif[] {
    return (this.#netback?.vifs ?? []).map((view) => {
      const { domid, handle, name, guest, phase, config } = view;
      const mac = config?.mac ?? '';
      return {
        name,
        kind: 'netif',
        guest,
        domid,
        mac,
        macs: mac ? [mac] : [],
        addresses: config?.addresses ?? [],
        mtu: view.mtu ?? MTU,
        state: phase,
        ...carrierOf(view, this.#vifs),
        transfer: this.#vifs?.transferInUse(domid, handle) ?? null,
        counters: this.#vifs?.counters(domid, handle) ?? null,
        ...this.#vifs?.queueCounters(domid, handle),
      };
    });
  }

  setLink(name: string, up: boolean): Promise<void> {
    return setLink(this.#netback, name, up);
  }

  /** They are the toolstack's. */
  guests(): GuestInfo[] {
    return [];
  }

  get guestCount(): number {
    const others = this.#netback?.vifs.filter(({ domid }) => domid !== this.#domid);
    return new Set(others?.map(({ domid }) => domid)).size;
  }

  async removeGuest(name: string): Promise<void> {
    throw new SetupError(`${name}: the guests of a Xen host are its toolstack’s`, `xl destroy ${name}`);
  }

  xen(): XenInfo {
    return { domid: this.#domid, xenstore: this.#way, connected: this.#store?.connected ?? false };
  }

  async openHost(options: HostOptions, mac: string): Promise<HostPlace> {
    const [store, netback] = [this.#store, this.#netback];
    if (store === undefined || netback === undefined) throw new SetupError('the daemon is not up yet');
    const home = await store.getDomainPath(this.#domid);
    const vif = (handle: number) => netback.viewOf(this.#domid, handle);
    const host = new HostNetfront({ store, domid: this.#domid, home, vif }, options, mac);
    await host.open();
    return host;
  }

  closeVifs(): void {
    this.#ending = 'close';
  }

  close(): void {
    this.platform.close();
  }

  /** Its MAC is nobody else's: not another guest's, not a kernel port's, not the host's. */
  #takesPart({ book, onMac }: MachineParts, vif: VifIdentity, takesPart: boolean): void {
    const owner = `${vif.name} (vif ${vif.domid}/${vif.handle})`;
    if (!takesPart) {
      onMac(vif.mac, false);
      book.release(owner);
      return;
    }
    // xl migrate makes the guest's next vif before it ends the last one.
    const holder = book.holderOf(vif.mac);
    if (holder !== undefined) throw new NotYet(`MAC ${vif.mac} is ${holder}'s`);
    book.claimMac(owner, vif.mac);
    try {
      onMac(vif.mac, true);
    } catch (error) {
      book.release(owner);
      throw error;
    }
  }
}

async function warnOf({ module }: KernelNetback, log: Log): Promise<void> {
  if (module !== undefined)
    log.warn(`kernel netback (${module || 'built in'}) is there: it takes every new vif before we do`);
  else if (await comesByItself())
    log.warn('kernel netback will come with the first vif, and take it: blacklist xen_netback (docs/xen.md)');
}
