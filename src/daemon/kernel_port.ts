/** A kernel interface that somebody attached: what is wanted of it, and what is there now. */
import type { Hook } from '../hook/hook.js';
import type { LearnedMac } from '../hook/learning.js';
import { SetupError } from '../sys/errors.js';
import { parseAddress } from '../sys/inet.js';
import { linkDetailsOf } from '../sys/link_details.js';
import { linkInfo, linkSet } from '../sys/netlink.js';
import type { AddressBook } from './addresses.js';
import type { AttachRequest, Vif } from './api.js';
import { Backoff } from './backoff.js';
import { hookCounters } from './hook_counters.js';

/** MACs that a port learns of which nobody said anything. */
const LEARN_DEFAULT = 1;

export class KernelPort {
  readonly name: string;
  /** As its interface is called now. */
  device: string;
  readonly #macs: readonly string[];
  readonly #learn: number;
  readonly #addresses: readonly string[] | undefined;
  readonly #book: AddressBook;
  /** When it may be tried again. */
  readonly backoff = new Backoff();
  /** Before a rename, or after. */
  readonly #configured: string;
  /** The hook's number for it; undefined while the interface is absent. */
  #id: number | undefined;
  #ifindex = 0;
  #absent = '';

  /** Claims its MACs and addresses. Throws SetupError; nothing is claimed then. */
  constructor(request: AttachRequest, book: AddressBook) {
    this.device = request.device;
    this.#configured = request.device;
    this.name = request.name ?? request.device;
    this.#learn = request.learn ?? (request.macs?.length ? 0 : LEARN_DEFAULT);
    this.#book = book;
    try {
      this.#macs = (request.macs ?? []).map((mac) => book.claimMac(this.#owner, mac));
      this.#addresses = request.addresses;
      const cidrs = request.addresses?.map((text) => `${text}/${parseAddress(text).bytes.length * 8}`);
      if (cidrs) book.claimAddresses(this.#owner, cidrs);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  get #owner(): string {
    return `port ${this.name}`;
  }

  /** Whether its interface is there and is a port. */
  get present(): boolean {
    return this.#id !== undefined;
  }

  /** The hook's number for it while it is present. */
  get id(): number | undefined {
    return this.#id;
  }

  /** Of its interface while that is present. */
  get ifindex(): number {
    return this.#ifindex;
  }

  get learns(): boolean {
    return this.#learn > 0;
  }

  /** Makes the interface a port of the hook, and brings it up. Throws SetupError; then it is none. */
  enter(hook: Hook): void {
    const { device: name } = this;
    const id = hook.addPort({
      name,
      macs: this.#macs,
      learn: this.#learn,
      ...(this.#addresses ? { addresses: this.#addresses } : {}),
    });
    try {
      this.#ifindex = hook.ports().find((port) => port.id === id)?.ifindex ?? 0;
      const link = linkDetailsOf(this.#ifindex); // it may be called otherwise meanwhile, and another so
      if (link && !link.up) {
        linkSet(link.name, { up: true });
        hook.examine(new Set([link.index]));
      }
    } catch (error) {
      hook.removePort(id);
      throw error;
    }
    this.#id = id;
    this.#absent = '';
  }

  /** `absent`: why, if it is to come back. */
  leave(hook: Hook, absent = ''): void {
    if (this.#id !== undefined) hook.removePort(this.#id);
    this.#id = undefined;
    this.#absent = absent;
  }

  /**
   * Follows its interface to a new name. False: that is no port any more, or no longer of this namespace, where its
   * programs would do harm. `lost`: names under which those were attached whose programs are gone; `now`: the
   * interface, if it is.
   */
  stays(lost: boolean, now: { readonly name: string } | undefined): boolean {
    this.device = !lost && now ? now.name : this.#configured;
    return !lost && now !== undefined;
  }

  /** Why it could not come back. True when that is news. */
  stillAbsent(why: string): boolean {
    const news = why !== this.#absent;
    this.#absent = why;
    return news;
  }

  /** Gives up what it claimed. */
  release(): void {
    this.#book.release(this.#owner);
  }

  /** Its line in `vif list`. `learned`: what all ports have learned. */
  row(hook: Hook, learned: readonly LearnedMac[]): Vif {
    const id = this.#id;
    const link = linkInfo(this.device);
    const found = learned.filter(({ port }) => port === id);
    const macs = [...this.#macs, ...found.map(({ mac }) => mac)];
    return {
      name: this.name,
      kind: 'kernel',
      guest: null,
      domid: null,
      mac: macs[0] ?? '',
      macs,
      addresses: this.#addresses ?? [],
      mtu: link?.mtu ?? 0,
      carrier: id !== undefined && link?.carrier === true,
      state: id === undefined ? 'absent' : 'connected',
      reason: this.#absent || null,
      transfer: null,
      counters: id === undefined ? null : hookCounters(hook.counters(id)),
    };
  }
}

/** There is no attached port of that name. */
export class UnknownPort extends SetupError {}
