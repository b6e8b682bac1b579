/**
 * The front end's half of the XenbusState handshake, as a guest's kernel does it: wait for the back end's offer,
 * write rings, channels and features in one transaction, go to Connected, and wait for the back end to follow.
 */

import { BE_CSUM4, BE_CSUM6, BE_GSO4, BE_GSO6, BE_SG } from '../../assembly/netif_layout.js';
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from '../abi/xenbus.js';
import { SetupError } from '../sys/errors.js';
import type { XenStore } from '../xen/xenstore.js';

export interface FrontendQueue {
  readonly txRef: number;
  readonly rxRef: number;
  /** One local port, or TX then RX. */
  readonly eventPorts: readonly number[];
}

export interface FrontendOffer {
  /** One, or as many as the back end takes. */
  readonly queues: readonly FrontendQueue[];
  readonly control?: { readonly ref: number; readonly eventPort: number } | undefined;
  /** Only the groups listed with NetfrontPort.multicast are wanted. */
  readonly multicastControl?: boolean;
}

export interface BackendOffer {
  readonly mac: string;
  /** BE_*. */
  readonly features: number;
  /** Takes separate TX and RX event channels. */
  readonly split: boolean;
  /** Takes a control ring. */
  readonly control: boolean;
  /** Keeps a list of multicast groups. */
  readonly multicast: boolean;
  /** Queues that it takes at most. */
  readonly queues: number;
}

/** ms to wait for the other half. */
const PATIENCE = 10_000;

export class Frontend {
  readonly #store: XenStore;
  readonly #directory: string;
  #backend = '';
  #stopWatching: (() => Promise<void>) | undefined;
  #stopWatchingLink: (() => Promise<void>) | undefined;
  #changed: () => void = () => {};

  /** `directory`: `device/vif/0`, relative to the domain's own path. */
  constructor(store: XenStore, directory = 'device/vif/0') {
    this.#store = store;
    this.#directory = directory;
  }

  /** Waits until the back end offers itself. Throws SetupError when it does not. */
  async discover(): Promise<BackendOffer> {
    this.#backend = await this.#store.read(`${this.#directory}/backend`);
    this.#stopWatching = await this.#store.watch(`${this.#backend}/state`, undefined, () => this.#changed());
    await this.#until((state) => state === XenbusStateInitWait, 'offer itself');
    const flag = async (key: string) => (await this.#store.tryRead(`${this.#backend}/${key}`)) === '1';
    let features = 0;
    if (await flag('feature-sg')) features |= BE_SG;
    if (await flag('feature-gso-tcpv4')) features |= BE_GSO4;
    if (await flag('feature-gso-tcpv6')) features |= BE_GSO6;
    if (await flag('feature-ipv6-csum-offload')) features |= BE_CSUM6;
    if (!(await flag('feature-no-csum-offload'))) features |= BE_CSUM4;
    const mac = await this.#store.read(`${this.#directory}/mac`);
    return {
      mac,
      features,
      split: await flag('feature-split-event-channels'),
      control: await flag('feature-ctrl-ring'),
      multicast: await flag('feature-multicast-control'),
      queues: Number((await this.#store.tryRead(`${this.#backend}/multi-queue-max-queues`)) ?? 1) || 1,
    };
  }

  /** Announces rings and features; resolves when the back end serves them. Throws SetupError with its reason. */
  async connect(offer: FrontendOffer): Promise<void> {
    const keys: Record<string, string> = {
      ...queueKeys(offer.queues),
      ...(offer.control && {
        'ctrl-ring-ref': String(offer.control.ref),
        'event-channel-ctrl': String(offer.control.eventPort),
      }),
      ...(offer.multicastControl && { 'request-multicast-control': '1' }),
      'request-rx-copy': '1',
      'feature-rx-notify': '1',
      'feature-sg': '1',
      'feature-gso-tcpv4': '1',
      'feature-gso-tcpv6': '1',
      'feature-ipv6-csum-offload': '1',
      // blkif's word: our grants stay, so the back end may keep what it has mapped (transfer "persistent").
      'feature-persistent': '1',
    };
    await this.#store.transaction(async (transaction) => {
      for (const [key, value] of Object.entries(keys)) {
        await this.#store.write(`${this.#directory}/${key}`, value, transaction);
      }
      await this.#store.write(`${this.#directory}/state`, String(XenbusStateConnected), transaction);
    });
    await this.#until((state) => state === XenbusStateConnected, 'connect');
  }

  /** Calls back with the state of the back end's link (netif.h: up where it does not say), and whenever that changes. */
  async watchLink(changed: (up: boolean) => void): Promise<void> {
    const node = `${this.#backend}/carrier`;
    let known: boolean | undefined;
    const look = async () => {
      const up = (await this.#store.tryRead(node)) !== '0';
      if (up !== known) changed(up);
      known = up;
    };
    // A store that is gone says nothing more, and whoever cares hears of that otherwise.
    this.#stopWatchingLink = await this.#store.watch(node, undefined, () => void look().catch(() => {}));
  }

  /** Resolves when the back end leaves Connected, to Closing, Closed or nowhere. */
  async closed(): Promise<void> {
    for (;;) {
      const change = this.#nextChange();
      if ((await this.#state()) !== XenbusStateConnected) return;
      await change;
    }
  }

  /** Closes in order: the back end lets go of rings and channels before we do. */
  async close(): Promise<void> {
    await this.#store.write(`${this.#directory}/state`, String(XenbusStateClosing));
    await this.#until((s) => s === XenbusStateClosing || s === XenbusStateClosed || s === 0, 'close');
    await this.#store.write(`${this.#directory}/state`, String(XenbusStateClosed));
    await this.#stopWatching?.();
    await this.#stopWatchingLink?.();
  }

  /** Begins the state machine: Initialising. */
  async reset(): Promise<void> {
    await this.#store.write(`${this.#directory}/state`, String(XenbusStateInitialising));
  }

  async #until(good: (state: number) => boolean, what: string): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const change = this.#nextChange();
      const state = await this.#state();
      if (good(state)) return;
      if (what === 'connect' && (state === XenbusStateClosing || state === XenbusStateClosed)) {
        throw new SetupError(
          `the back end refused the connection (state ${state})`,
          'its log and error node say why',
        );
      }
      const left = deadline - Date.now();
      if (left <= 0)
        throw new SetupError(`the back end did not ${what} within ${PATIENCE / 1000} s (state ${state})`);
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([change, new Promise((resolve) => (timer = setTimeout(resolve, left)))]);
      clearTimeout(timer);
    }
  }

  async #state(): Promise<number> {
    return Number((await this.#store.tryRead(`${this.#backend}/state`)) ?? 0);
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}

/** A single queue's stand in the directory itself. */
function queueKeys(queues: readonly FrontendQueue[]): Record<string, string> {
  const [first, ...more] = queues;
  if (more.length === 0) return ringKeys(first, '');
  const each = queues.map((queue, q) => ringKeys(queue, `queue-${q}/`));
  return Object.assign({ 'multi-queue-num-queues': String(queues.length) }, ...each);
}

function ringKeys(
  { txRef, rxRef, eventPorts: [tx, rx] }: FrontendQueue,
  place: string,
): Record<string, string> {
  const channels =
    rx === undefined ? { 'event-channel': tx } : { 'event-channel-tx': tx, 'event-channel-rx': rx };
  const keys = { 'tx-ring-ref': txRef, 'rx-ring-ref': rxRef, ...channels };
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${place}${key}`, String(value)]));
}
