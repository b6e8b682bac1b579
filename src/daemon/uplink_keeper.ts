/** The uplink through what befalls it: it is renamed, gets another MAC, vanishes, comes back. */
import { usableDevice } from '../hook/device.js';
import type { Hook } from '../hook/hook.js';
import type { Uplink } from '../hook/uplink.js';
import { SetupError } from '../sys/errors.js';
import { unicastFilter } from '../sys/fdb.js';
import { addressList, linkInfo, macText } from '../sys/netlink.js';
import type { AddressBook } from './addresses.js';
import type { UplinkInfo } from './api.js';
import { Backoff } from './backoff.js';
import type { Log } from './log.js';

const OWNER = 'the host';
/** Features of a NIC that cannot be switched off, and what that means. */
const STUCK: Readonly<Record<string, string>> = {
  'rx-lro': 'its large receive offload stays on: guests may get frames that they cannot use',
  'rx-vlan-filter': 'its VLAN filter stays on: tagged frames come in for VLANs of the host only',
  'rx-vlan-stag-filter':
    'its filter of service VLANs stays on: such frames come in for VLANs of the host only',
};

/** What an interface is called and has as MAC now. */
type Link = { readonly name: string; readonly mac: string };

export class UplinkKeeper {
  readonly #configured: string;
  readonly #book: AddressBook;
  readonly #log: Log;
  readonly #backoff = new Backoff();
  /** As it was last called. */
  #name: string;
  #mac = '';
  #absent: string | null = null;
  /** MACs beside its own that the uplink takes in for the host: macvlans', of whatever namespace, VLAN interfaces'. */
  #others: readonly string[] = [];
  /** Those of them that cannot be the host's, since they are others' already. */
  #refused: readonly string[] = [];

  constructor(name: string, book: AddressBook, log: Log) {
    this.#configured = name;
    this.#name = name;
    this.#book = book;
    this.#log = log;
    book.ask(this.#owner, () => this.#addresses());
  }

  get name(): string {
    return this.#name;
  }

  /** Takes the hook's uplink as ours. Throws SetupError; then the hook has none. */
  adopt(hook: Hook): void {
    const { uplink } = hook;
    if (!uplink) return;
    try {
      this.#claim(macText(uplink.mac));
    } catch (error) {
      hook.setUplink(undefined);
      throw error;
    }
    this.#name = uplink.name;
    this.#absent = null;
    this.#tellFeatures(uplink);
    this.#followOthers(hook);
  }

  release(): void {
    this.#book.release(this.#owner);
    this.#book.release(this.#othersOwner);
    this.#mac = '';
    this.#others = [];
  }

  info(hook: Hook): UplinkInfo {
    const { uplink } = hook;
    return {
      name: this.#name,
      mac: this.#mac,
      mode: uplink?.mode ?? null,
      promiscuous: uplink?.promiscuous() ?? false,
      through: uplink?.shortcut.through || null,
      absent: this.#absent,
      carrier: this.#absent === null && linkInfo(this.#name)?.carrier === true,
    };
  }

  /** Whether it is known by one of these names: that which was asked for, or its last. */
  isCalled(names: ReadonlySet<string>): boolean {
    return names.has(this.#name) || names.has(this.#configured);
  }

  /** `lost`: its programs are gone; `now`: the interface, if it is. */
  look(hook: Hook, lost: boolean, now: Link | undefined): void {
    if (hook.uplink) {
      if (now && !lost) {
        try {
          this.#follow(hook, now);
        } finally {
          this.#followOthers(hook);
          if (hook.uplink.features?.look()) this.#tellFeatures(hook.uplink);
        }
      } else this.#lose(hook, now !== undefined);
    }
    if (!hook.uplink) this.#find(hook);
  }

  #tellFeatures({ name, features }: Uplink): void {
    const off = (features?.off ?? []).map(({ feature, below }) =>
      below ? `${feature} of ${below}` : feature,
    );
    if (off.length > 0) this.#log.info(`uplink ${name}: ${off.join(', ')} is off meanwhile`);
    for (const { feature, below } of features?.stuck ?? []) {
      const of = below ? `${below} below it: ` : '';
      this.#log.warn(`uplink ${name}: ${of}${STUCK[feature] ?? `${feature} stays on`}`);
    }
  }

  /** The host's there: a guest that may be sender of one could take its connections. */
  #addresses(): string[] {
    return linkInfo(this.#name) ? addressList(this.#name).map(({ address }) => address) : [];
  }

  get #owner(): string {
    return `${OWNER} (${this.#configured})`;
  }

  get #othersOwner(): string {
    return `an interface on ${this.#configured}`;
  }

  /** Guests reach what the host has on its uplink as they reach the host: through the uplink's receive path. */
  #followOthers(hook: Hook): void {
    const { uplink } = hook;
    if (!uplink) return;
    const guests = (mac: string) => typeof hook.owner(mac) === 'number';
    const now = unicastFilter(uplink.ifindex).filter((mac) => mac !== this.#mac && !guests(mac));
    const gone = this.#others.filter((mac) => !now.includes(mac));
    const come = now.filter((mac) => !this.#others.includes(mac));
    if (gone.length === 0 && come.length === 0) return;
    for (const mac of gone) {
      if (hook.owner(mac) === 'host') hook.removeMac(mac);
      this.#book.releaseMac(this.#othersOwner, mac);
    }
    const refused: string[] = [];
    this.#others = now.filter((mac) => {
      if (this.#others.includes(mac)) return true;
      try {
        this.#take(hook, this.#othersOwner, mac);
        return true;
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        refused.push(mac);
        if (!this.#refused.includes(mac)) this.#log.warn(`${this.#othersOwner}: ${error.message}`);
        return false;
      }
    });
    this.#refused = refused;
  }

  #claim(mac: string): void {
    if (mac === this.#mac) return;
    this.#book.claimMac(this.#owner, mac);
    this.#book.releaseMac(this.#owner, this.#mac);
    this.#mac = mac;
  }

  /** Enters a MAC of the host's in book and hook, or in neither. Throws SetupError. */
  #take(hook: Hook, owner: string, mac: string): void {
    this.#book.claimMac(owner, mac);
    try {
      if (hook.owner(mac) !== 'host') hook.setMac(mac, 'host');
    } catch (error) {
      this.#book.releaseMac(owner, mac);
      throw error;
    }
  }

  /** It is there, perhaps under another name or MAC. */
  #follow(hook: Hook, now: Link): void {
    if (now.name !== this.#name) {
      this.#log.info(`uplink ${this.#name} is called ${now.name} now`);
      this.#name = now.name;
    }
    if (now.mac === this.#mac || now.mac === '') return;
    // It may be that of an interface on it: a VLAN interface keeps the MAC that the uplink had before.
    this.#book.releaseMac(this.#othersOwner, now.mac);
    this.#others = this.#others.filter((mac) => mac !== now.mac);
    this.#take(hook, this.#owner, now.mac);
    this.#book.releaseMac(this.#owner, this.#mac);
    hook.removeMac(this.#mac);
    this.#mac = now.mac;
    this.#log.info(`uplink ${now.name} has the MAC ${now.mac} now`);
  }

  /** `there`: the interface is, only its programs are not. */
  #lose(hook: Hook, there: boolean): void {
    hook.setUplink(undefined);
    for (const mac of [this.#mac, ...this.#others]) if (hook.owner(mac) === 'host') hook.removeMac(mac);
    this.#book.release(this.#othersOwner);
    this.#others = [];
    this.#absent = there ? `the programs on ${this.#name} were taken away` : `${this.#name} is gone`;
    const then = there ? 'it is attached again' : 'it is attached again when it is back';
    this.#log.warn(`uplink ${this.#name}: ${this.#absent}; ${then}`);
  }

  #find(hook: Hook): void {
    const name = [this.#name, this.#configured].find((one) => linkInfo(one));
    if (name === undefined) return;
    try {
      // What can be known beforehand costs nothing on the interface, so it may be asked each time.
      const { index, mac } = usableDevice(name, 'uplink');
      this.#book.checkMac(this.#owner, mac);
      if (!this.#backoff.isDue(index)) return;
      this.#backoff.failed(index); // unless it goes well
      hook.setUplink(name);
      this.adopt(hook);
      this.#backoff.succeeded();
      this.#log.info(`uplink ${name} is back`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== this.#absent) this.#log.warn(`uplink ${name}: ${why}`);
      this.#absent = why;
    }
  }
}
