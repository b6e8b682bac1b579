/**
 * The back end's half of the XenbusState handshake, for every vif under its directory. Any toolstack that writes
 * the nodes will do; nothing here knows who made them. What a guest writes can only close its own vif.
 */
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from '../abi/xenbus.js';
import type { XenStore } from '../xen/xenstore.js';
import { type FrontendKeys, readFrontendKeys, readMulticastControl } from './frontend_keys.js';

/** What a vif needs of the datapath: rings mapped, channels bound, a port attached; and all of that undone. */
export interface VifConnector {
  connect(vif: VifIdentity, keys: FrontendKeys): Promise<void>;
  disconnect(vif: VifIdentity): Promise<void>;
  /** A connected front end wants only the multicast groups that it lists, or all of them again. */
  multicastControl(vif: VifIdentity, on: boolean): void;
}

export interface VifIdentity {
  readonly domid: number;
  readonly handle: number;
  /** As in the back end's `mac` node: six bytes in hex with colons. */
  readonly mac: string;
}

export type VifPhase = 'initialising' | 'connected' | 'closing' | 'closed' | 'fenced';

export interface BackendLog {
  info(message: string): void;
  warn(message: string): void;
}

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
};

/** ms after a fence, the first time and at most, before the front end may begin anew. */
const FENCE_REST = 250;
const FENCE_REST_MOST = 60_000;

export class NetbackDriver {
  readonly #store: XenStore;
  readonly #connector: VifConnector;
  readonly #log: BackendLog;
  readonly #directory: string;
  readonly #vifs = new Map<string, BackendVif>();
  #stopWatching: (() => Promise<void>) | undefined;

  /** `home`: the back end's own domain path, `/local/domain/0`. */
  constructor(store: XenStore, connector: VifConnector, log: BackendLog, home = '/local/domain/0') {
    this.#store = store;
    this.#connector = connector;
    this.#log = log;
    this.#directory = `${home}/backend/vif`;
  }

  /** Serves the vifs that are there and those to come. */
  async start(): Promise<void> {
    this.#stopWatching = await this.#store.watch(this.#directory, 'netback', (path) => this.#changed(path));
  }

  phaseOf(domid: number, handle: number): { phase: VifPhase; reason: string | null } | undefined {
    const vif = this.#vifs.get(`${domid}/${handle}`);
    return vif && { phase: vif.phase, reason: vif.reason };
  }

  /** Cuts a vif off whose front end broke the protocol. */
  async fence(domid: number, handle: number, why: string): Promise<void> {
    await this.#vifs.get(`${domid}/${handle}`)?.fence(why);
  }

  /** Lets go of everything of a domain that ended, now; resolves when no memory of it is in use any more. */
  async forget(domid: number): Promise<void> {
    const gone = [...this.#vifs.entries()].filter(([key]) => key.startsWith(`${domid}/`));
    await Promise.all(
      gone.map(async ([key, vif]) => {
        await vif.end();
        this.#vifs.delete(key);
      }),
    );
  }

  /** Closes every vif, so that guests see it, and stops watching. */
  async close(): Promise<void> {
    await this.#stopWatching?.();
    await Promise.all([...this.#vifs.values()].map((vif) => vif.close()));
    this.#vifs.clear();
  }

  #changed(path: string): void {
    const match = /^(\d+)\/(\d+)(\/|$)/.exec(path.slice(this.#directory.length + 1));
    if (!match) {
      for (const vif of this.#vifs.values()) vif.look(); // the whole directory, or a domain's, changed
      return;
    }
    const key = `${Number(match[1])}/${Number(match[2])}`;
    let vif = this.#vifs.get(key);
    if (!vif) {
      const directory = `${this.#directory}/${key}`;
      vif = new BackendVif(
        this.#store,
        this.#connector,
        this.#log,
        directory,
        Number(match[1]),
        Number(match[2]),
        () => {
          this.#vifs.delete(key);
        },
      );
      this.#vifs.set(key, vif);
    }
    vif.look();
  }
}

/** One vif. Its steps run one after another; looks that come meanwhile fold into one. */
class BackendVif {
  phase: VifPhase = 'initialising';
  reason: string | null = null;
  readonly #store: XenStore;
  readonly #connector: VifConnector;
  readonly #log: BackendLog;
  readonly #directory: string;
  readonly #domid: number;
  readonly #handle: number;
  readonly #gone: () => void;
  #identity: VifIdentity | undefined;
  #frontend: string | undefined;
  #stopWatching: (() => Promise<void>) | undefined;
  #connected = false;
  #multicastControl = false;
  #state = 0;
  #fences = 0;
  /** ms clock before which a front end that was fenced may not begin anew. */
  #notBefore = 0;
  #queue: Promise<void> = Promise.resolve();
  #looking = false;
  #ended = false;

  constructor(
    store: XenStore,
    connector: VifConnector,
    log: BackendLog,
    directory: string,
    domid: number,
    handle: number,
    gone: () => void,
  ) {
    this.#store = store;
    this.#connector = connector;
    this.#log = log;
    this.#directory = directory;
    this.#domid = domid;
    this.#handle = handle;
    this.#gone = gone;
  }

  look(): void {
    if (this.#looking) return;
    this.#looking = true;
    void this.#enqueue(async () => {
      this.#looking = false;
      await this.#step();
    });
  }

  fence(why: string): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#ended || this.phase === 'fenced') return;
      // Who is cut off again and again waits longer each time: what it costs the others is bounded.
      this.#notBefore = Date.now() + Math.min(FENCE_REST_MOST, FENCE_REST * 2 ** this.#fences++);
      await this.#fail(`fenced: ${why}`);
      this.phase = 'fenced';
      this.reason = why;
    });
  }

  /** Rejects when the datapath may still use the domain's memory. */
  end(): Promise<void> {
    const ended = this.#queue.then(async () => {
      this.#ended = true;
      await this.#stopWatching?.().catch(() => {});
      await this.#disconnect();
    });
    this.#queue = ended.catch(() => {});
    return ended;
  }

  close(): Promise<void> {
    return this.#enqueue(async () => {
      await this.#disconnect();
      if (!this.#ended) await this.#setState(XenbusStateClosed).catch(() => {});
      this.#ended = true;
      await this.#stopWatching?.().catch(() => {});
    });
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue
      .then(step)
      .catch((error: unknown) => this.#fail(messageOf(error)).catch(() => {}));
    return this.#queue;
  }

  async #step(): Promise<void> {
    if (this.#ended) return;
    const state = await this.#store.tryRead(`${this.#directory}/state`);
    if (state === undefined) {
      if (!this.#identity) return; // the toolstack is still writing, or has finished removing
      this.#ended = true;
      await this.#disconnect();
      await this.#stopWatching?.().catch(() => {});
      this.#gone();
      return;
    }
    if (!this.#identity && !(await this.#begin())) return;
    const online = await this.#store.tryRead(`${this.#directory}/online`);
    const peer = Number((await this.#store.tryRead(`${this.#frontend}/state`)) ?? 0);
    if (peer === XenbusStateClosing || (Number(state) === XenbusStateClosing && online === '0')) {
      await this.#disconnect();
      if (this.#state !== XenbusStateClosed) await this.#setState(XenbusStateClosing);
      if (online === '0') await this.#setState(XenbusStateClosed);
    } else if (peer === XenbusStateClosed || peer === 0) {
      if (this.#state === XenbusStateInitWait && peer === 0) return; // the guest has not written anything yet
      await this.#disconnect();
      await this.#setState(XenbusStateClosed);
    } else if (peer === XenbusStateInitialising && this.#state !== XenbusStateInitWait) {
      const rest = this.#notBefore - Date.now();
      if (rest > 0) {
        setTimeout(() => this.look(), rest).unref();
        return;
      }
      await this.#disconnect(); // a front end that starts anew, fenced before or not
      this.reason = null;
      await this.#setState(XenbusStateInitWait);
    } else if (
      (peer === XenbusStateConnected || peer === XenbusStateInitialised) &&
      this.#state === XenbusStateInitWait
    ) {
      await this.#connect();
    }
    if (this.#connected) await this.#sampleMulticastControl();
  }

  /** Reads who this vif is and offers our features. False while the toolstack has not written all of it. */
  async #begin(): Promise<boolean> {
    const frontend = await this.#store.tryRead(`${this.#directory}/frontend`);
    const mac = await this.#store.tryRead(`${this.#directory}/mac`);
    if (frontend === undefined || mac === undefined) return false;
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac))
      throw new Error(`mac = "${mac.slice(0, 40)}": six hex bytes with colons`);
    this.#frontend = frontend;
    this.#identity = { domid: this.#domid, handle: this.#handle, mac };
    await this.#store.transaction(async (tx) => {
      for (const [key, value] of Object.entries(FEATURES))
        await this.#store.write(`${this.#directory}/${key}`, value, tx);
      await this.#store.write(`${this.#directory}/hotplug-status`, 'connected', tx);
    });
    await this.#setState(XenbusStateInitWait);
    const watches: (() => Promise<void>)[] = [];
    for (const key of ['state', 'request-multicast-control'])
      watches.push(await this.#store.watch(`${frontend}/${key}`, undefined, () => this.look()));
    this.#stopWatching = async () => {
      for (const stop of watches) await stop();
    };
    return true;
  }

  async #connect(): Promise<void> {
    const keys = await readFrontendKeys(this.#store, this.#frontend!);
    await this.#connector.connect(this.#identity!, keys);
    this.#connected = true;
    this.#multicastControl = keys.multicastControl;
    await this.#setState(XenbusStateConnected);
    this.#log.info(`vif ${this.#domid}/${this.#handle}: connected`);
  }

  /** feature-dynamic-multicast-control: the key is watched, and counts while the vif is connected. */
  async #sampleMulticastControl(): Promise<void> {
    const wanted = await readMulticastControl(this.#store, this.#frontend!);
    if (wanted === this.#multicastControl) return;
    this.#multicastControl = wanted;
    this.#connector.multicastControl(this.#identity!, wanted);
  }

  async #disconnect(): Promise<void> {
    if (!this.#connected) return;
    await this.#connector.disconnect(this.#identity!);
    this.#connected = false;
    this.#log.info(`vif ${this.#domid}/${this.#handle}: disconnected`);
  }

  /** xenbus_dev_fatal: the error is written where toolstacks look for it, and the vif closes. */
  async #fail(why: string): Promise<void> {
    this.#log.warn(`vif ${this.#domid}/${this.#handle}: ${why}`);
    this.reason = why;
    await this.#disconnect().catch((error: unknown) => this.#log.warn(messageOf(error)));
    const home = this.#directory.slice(0, this.#directory.indexOf('/backend/'));
    const node = this.#directory.slice(home.length + 1);
    await this.#store.write(`${home}/error/${node}/error`, `22 ${why.slice(0, 200)}`).catch(() => {});
    await this.#setState(XenbusStateClosing).catch(() => {});
  }

  async #setState(state: number): Promise<void> {
    if (this.#state === state) return;
    this.#state = state;
    this.phase =
      state === XenbusStateConnected
        ? 'connected'
        : state === XenbusStateClosing
          ? 'closing'
          : state === XenbusStateClosed
            ? 'closed'
            : 'initialising';
    await this.#store.write(`${this.#directory}/state`, String(state));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
