/** Who has which MAC and IP address: nothing is given twice. */
import { createHash, randomBytes } from 'node:crypto';
import { SetupError } from '../sys/errors.js';
import { type Cidr, formatAddress, parseCidr } from '../sys/inet.js';

const MAC_HINT = 'write six hex bytes with colons, the first even: 02:00:5e:10:00:01';

/** Six bytes of a unicast MAC. Throws SetupError. */
export function parseMac(text: string): Uint8Array {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text))
    throw new SetupError(`${JSON.stringify(text)} is not a MAC address`, MAC_HINT);
  const bytes = Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
  if ((bytes[0] & 1) === 1) throw new SetupError(`${text} is a group address`, MAC_HINT);
  if (bytes.every((byte) => byte === 0)) throw new SetupError(`${text} is no host's address`, MAC_HINT);
  return bytes;
}

export function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A locally administered unicast MAC. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = (bytes[0] & 0xfc) | 0x02;
  return formatMac(bytes);
}

/** A locally administered unicast MAC, the same for the same words. */
export function lastingMac(...words: readonly string[]): string {
  const bytes = createHash('sha256').update(words.join('\0')).digest().subarray(0, 6);
  bytes[0] = (bytes[0] & 0xfc) | 0x02;
  return formatMac(bytes);
}

export class AddressBook {
  /** The host's addresses: guests are neighbours of it. */
  readonly #networks: readonly Cidr[];
  readonly #macs = new Map<string, string>();
  readonly #addresses = new Map<string, string>();
  /** Whose addresses change by themselves: asked each time. */
  readonly #asked = new Map<string, () => readonly string[]>();

  constructor(networks: readonly string[]) {
    this.#networks = networks.map(parseCidr);
  }

  /** The host's addresses without prefix, one a family: a guest's gateways. */
  get gateways(): string[] {
    return this.#networks.map((network) => formatAddress(network.bytes));
  }

  /** Enters a MAC for `owner`, or makes one up. Throws SetupError naming who has it. */
  claimMac(owner: string, wanted: string | undefined): string {
    let mac = wanted === undefined ? randomMac() : formatMac(parseMac(wanted));
    while (wanted === undefined && this.#macs.has(mac)) mac = randomMac();
    if (this.#macs.get(mac) === owner) throw new SetupError(`${mac} is given twice`);
    this.checkMac('', mac);
    this.#macs.set(mac, owner);
    return mac;
  }

  /** Throws SetupError if a MAC, in lower case, is somebody else's than the owner's. */
  checkMac(owner: string, mac: string): void {
    const holder = this.#macs.get(mac);
    if (holder !== undefined && holder !== owner)
      throw new SetupError(`MAC ${mac} is ${holder}'s`, 'leave --mac out, or choose another');
  }

  /** Who has a MAC, in lower case. */
  holderOf(mac: string): string | undefined {
    return this.#macs.get(mac);
  }

  /** Enters addresses for `owner`, or finds the next free one in each of the host's networks. Throws SetupError. */
  claimAddresses(owner: string, wanted: readonly string[] | undefined): string[] {
    const chosen =
      wanted?.map((text) => this.#checked(text)) ?? this.#networks.map((network) => this.#free(network));
    const twice = chosen.find((text, i) => chosen.indexOf(text) !== i);
    if (twice !== undefined) throw new SetupError(`${twice} is given twice`);
    for (const text of chosen) this.#addresses.set(bare(text), owner);
    return chosen;
  }

  /** What `now` answers is the owner's too, without prefix length. */
  ask(owner: string, now: () => readonly string[]): void {
    this.#asked.set(owner, now);
  }

  /** Forgets what an owner had. */
  release(owner: string): void {
    for (const book of [this.#macs, this.#addresses]) {
      for (const [key, holder] of book) if (holder === owner) book.delete(key);
    }
  }

  /** Forgets one MAC, if it is the owner's. */
  releaseMac(owner: string, mac: string): void {
    if (this.#macs.get(mac) === owner) this.#macs.delete(mac);
  }

  /** Owners of addresses, by address, as it is now. */
  #holders(): ReadonlyMap<string, string> {
    if (this.#asked.size === 0) return this.#addresses;
    const asked = [...this.#asked].flatMap(([owner, now]) => now().map((one) => [one, owner] as const));
    return new Map([...this.#addresses, ...asked]);
  }

  #checked(text: string): string {
    const cidr = parseCidr(text);
    const canonical = `${formatAddress(cidr.bytes)}/${cidr.prefix}`;
    const holder = this.#holders().get(bare(canonical));
    if (holder !== undefined)
      throw new SetupError(`${bare(canonical)} is ${holder}'s`, 'choose another address');
    return canonical;
  }

  #free(network: Cidr): string {
    const hostBits = network.bytes.length * 8 - network.prefix;
    const last = 2 ** Math.min(hostBits, 16) - 2;
    const holders = this.#holders();
    for (let host = 2; host <= last; host++) {
      const bytes = network.bytes.slice();
      for (let i = 0; i < Math.min(hostBits, 16); i++) {
        const at = bytes.length - 1 - (i >> 3);
        const bit = 1 << (i & 7);
        bytes[at] = (host >> i) & 1 ? bytes[at] | bit : bytes[at] & ~bit;
      }
      const address = formatAddress(bytes);
      if (!holders.has(address)) return `${address}/${network.prefix}`;
    }
    throw new SetupError(
      `no free address in ${formatAddress(network.bytes)}/${network.prefix}`,
      'give --ip yourself',
    );
  }
}

function bare(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'));
}
