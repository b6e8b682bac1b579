/** The nodes of one vif in xenstore: the back end's directory, the front end's, and where errors go. */
import { XenbusStateClosed, XenbusStateInitialised } from '../abi/xenbus.js';
import type { XenStore } from '../xen/xenstore.js';
import { XsError } from '../xen/xenstore.js';
import { type Missing, readVifConfig, type VifConfig } from './vif_config.js';

/** Features that this back end offers, beside what is fixed. */
const FEATURES: Readonly<Record<string, string>> = {
  'feature-sg': '1',
  'feature-gso-tcpv4': '1',
  'feature-gso-tcpv6': '1',
  'feature-ipv6-csum-offload': '1',
  'feature-rx-copy': '1',
  'feature-rx-flip': '0',
  'feature-split-event-channels': '1',
  'feature-ctrl-ring': '1',
  'feature-multicast-control': '1',
  'feature-dynamic-multicast-control': '1',
  'feature-xdp-headroom': '1',
};

/** Keys of the front end's that may change at any time. */
const WATCHED = ['state', 'request-multicast-control', 'xdp-headroom'];

/** ms between looks at a front end that is to close. */
const POLL = 50;

export class VifDirectory {
  readonly #store: XenStore;
  readonly #home: string;
  readonly #path: string;
  readonly #domid: number;
  #unwatch: (() => Promise<void>) | undefined;
  #reported: string | undefined;
  #carrier: boolean | undefined;

  /** `home`: the back end's domain path. */
  constructor(store: XenStore, home: string, domid: number, handle: number) {
    this.#store = store;
    this.#home = home;
    this.#path = `${home}/backend/vif/${domid}/${handle}`;
    this.#domid = domid;
  }

  /** The back end's XenbusState as it stands there; undefined without one. */
  async state(): Promise<number | undefined> {
    const node = await this.#store.tryRead(`${this.#path}/state`);
    return node === undefined ? undefined : Number(node);
  }

  /** Nothing is written where the node is gone: that would bring back what the toolstack has removed. */
  async writeState(state: number): Promise<void> {
    await this.#write({ state: String(state) });
  }

  /** The front end's state, as it wrote it; '0' while it has written none. */
  async peerState(frontend: string): Promise<string> {
    return (await this.#store.tryRead(`${frontend}/state`)) ?? '0';
  }

  /** Resolves when the front end has closed too, or has been given `patience` ms for it. */
  async peerClosed(frontend: string, patience: number): Promise<void> {
    const deadline = Date.now() + patience;
    while (Date.now() < deadline) {
      const peer = Number(await this.peerState(frontend));
      if (peer === XenbusStateClosed || peer < XenbusStateInitialised) return;
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  /** The toolstack is about to remove it. */
  async offline(): Promise<boolean> {
    return (await this.#store.tryRead(`${this.#path}/online`)) === '0';
  }

  /** Throws BadKey. */
  config(): Promise<VifConfig | Missing> {
    return readVifConfig(this.#store, this.#path, this.#domid);
  }

  /** Whether the store knows the back end's domain at all: one that was started anew knows nothing. */
  async storeIsWhole(): Promise<boolean> {
    return (await this.#store.tryRead(this.#home)) !== undefined;
  }

  /**
   * Writes what the front end may use. `hotplug-status` as a script would: there is no device to set up, so who waits
   * for a script need not, whether that is /bin/true or writes the same itself. `queues`: as many as it may have.
   */
  async offer(queues: number): Promise<void> {
    const own = { 'multi-queue-max-queues': String(queues), 'hotplug-status': 'connected' };
    await this.#write({ ...FEATURES, ...own });
  }

  /** Says the MTU where front ends look for it, as vif-bridge does. A driver domain may not: then the toolstack's stands. */
  async tellMtu(frontend: string, mtu: number): Promise<void> {
    try {
      if ((await this.#store.tryRead(`${frontend}/mtu`)) !== String(mtu))
        await this.#store.write(`${frontend}/mtu`, String(mtu));
    } catch (error) {
      if (!isDenied(error)) throw error;
    }
  }

  /**
   * Says whether its link is up, to front ends that look (netif.h, "Link state": without the node it is; xen-netfront does
   * not look, and has a carrier whenever it is connected).
   */
  async tellCarrier(up: boolean): Promise<void> {
    if (this.#carrier === up) return;
    this.#carrier = up;
    await this.#write({ carrier: up ? '1' : '0' });
  }

  /** An admin's word about its link; it stands there for whoever serves the vif next. */
  async writeLink(up: boolean): Promise<void> {
    await this.#write({ link: up ? 'up' : 'down' });
  }

  /** Calls back when the front end changes what it may change at any time, and once at once. */
  async watch(frontend: string, changed: () => void): Promise<void> {
    const heard = new Set(['', ...WATCHED.map((key) => `/${key}`)]);
    // One watch a vif: xenstored allows a driver domain 128.
    this.#unwatch = await this.#store.watch(frontend, undefined, (path) => {
      if (heard.has(path.slice(frontend.length))) changed();
    });
  }

  async unwatch(): Promise<void> {
    const stop = this.#unwatch;
    this.#unwatch = undefined;
    await stop?.().catch(() => {});
  }

  /** Writes an error where toolstacks look for it, as xenbus_dev_fatal does. False when that stands there already. */
  async report(why: string): Promise<boolean> {
    if (this.#reported === why) return false;
    this.#reported = why;
    // What cannot be written is in the log.
    await this.#store.write(`${this.#error}/error`, `22 ${why.slice(0, 200)}`).catch(() => {});
    return true;
  }

  /** Takes it back, if there is one. */
  async mended(): Promise<void> {
    if (this.#reported === undefined) return;
    this.#reported = undefined;
    await this.#store.rm(this.#error).catch(() => {});
  }

  /** What the guest is called: its name, or its uuid where we may not read that; undefined where neither is to be had. */
  async guestName(): Promise<string | undefined> {
    const name = (await this.#readOfGuest('name')) || (await this.#readOfGuest('vm'))?.replace(/^\/vm\//, '');
    // It ends up on terminals and in logs.
    return name?.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 64) || undefined;
  }

  async #write(nodes: Readonly<Record<string, string>>): Promise<void> {
    await this.#store.transaction(async (tx) => {
      if ((await this.#store.tryRead(`${this.#path}/state`, tx)) === undefined) return;
      for (const [key, value] of Object.entries(nodes))
        await this.#store.write(`${this.#path}/${key}`, value, tx);
    });
  }

  /** A driver domain sees little of others. */
  async #readOfGuest(key: string): Promise<string | undefined> {
    try {
      return await this.#store.tryRead(`/local/domain/${this.#domid}/${key}`);
    } catch (error) {
      if (!isDenied(error)) throw error;
      return undefined;
    }
  }

  get #error(): string {
    return `${this.#home}/error${this.#path.slice(this.#home.length)}`;
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof XsError && error.code === 'EACCES';
}
