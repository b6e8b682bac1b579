/** The uplink through what befalls it: it is renamed, gets another MAC, vanishes, comes back. */
import type { Hook } from '../hook/hook.js';
import { type LinkInfo, linkInfo, macText } from '../sys/netlink.js';
import type { AddressBook } from './addresses.js';
import type { UplinkInfo } from './api.js';
import type { Links } from './kernel_port.js';
import type { Log } from './log.js';

const OWNER = 'the host';

export class UplinkKeeper {
  readonly #configured: string;
  readonly #book: AddressBook;
  readonly #log: Log;
  /** As it was last called. */
  #name: string;
  #mac = '';
  #absent: string | null = null;

  constructor(name: string, book: AddressBook, log: Log) {
    this.#configured = name;
    this.#name = name;
    this.#book = book;
    this.#log = log;
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
  }

  release(): void {
    this.#book.release(this.#owner);
    this.#mac = '';
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

  /** `lost`: interfaces whose programs are gone, by the names they were attached under. */
  look(hook: Hook, lost: ReadonlySet<string>, links: Links): void {
    const { uplink } = hook;
    if (uplink) {
      const now = links.get(uplink.ifindex);
      if (now && !lost.has(uplink.name)) this.#follow(hook, now);
      else this.#lose(hook);
    }
    if (!hook.uplink) this.#find(hook);
  }

  get #owner(): string {
    return `${OWNER} (${this.#configured})`;
  }

  #claim(mac: string): void {
    if (mac === this.#mac) return;
    this.#book.release(this.#owner);
    this.#book.claimMac(this.#owner, mac);
    this.#mac = mac;
  }

  /** It is there, perhaps under another name or MAC. */
  #follow(hook: Hook, now: LinkInfo): void {
    if (now.name !== this.#name) {
      this.#log.info(`uplink ${this.#name} is called ${now.name} now`);
      this.#name = now.name;
    }
    if (now.mac === this.#mac || now.mac === '') return;
    const before = this.#mac;
    hook.setMac(now.mac, 'host');
    this.#claim(now.mac);
    hook.removeMac(before);
    this.#log.info(`uplink ${now.name} has the MAC ${now.mac} now`);
  }

  #lose(hook: Hook): void {
    hook.setUplink(undefined);
    hook.removeMac(this.#mac); // it may have got that later
    this.#absent = `${this.#name} is gone`;
    this.#log.warn(`uplink ${this.#name} is gone; it is attached again when it is back`);
  }

  #find(hook: Hook): void {
    const name = [this.#name, this.#configured].find((one) => linkInfo(one));
    if (name === undefined) return;
    try {
      hook.setUplink(name);
      this.adopt(hook);
      this.#log.info(`uplink ${name} is back`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== this.#absent) this.#log.warn(`uplink ${name}: ${why}`);
      this.#absent = why;
    }
  }
}
