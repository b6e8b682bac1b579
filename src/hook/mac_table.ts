/** Whose each MAC is, as the hook's caller says it, and the map that mirrors it for the programs. */
import { constants } from 'node:os';
import { SetupError, SysError } from '../sys/errors.js';
import { macText } from '../sys/netlink.js';
import { type Maps, macKey } from './maps.js';
import { MACS_MAX, SLOT_HOST } from './programs/layout.js';

const { E2BIG } = constants.errno;

export class MacTable {
  readonly #maps: Maps;
  readonly #nameOf: (slot: number) => string;
  /** By macKey. */
  readonly #slots = new Map<number, number>();

  /** `nameOf`: what errors call a port. */
  constructor(maps: Maps, nameOf: (slot: number) => string) {
    this.#maps = maps;
    this.#nameOf = nameOf;
  }

  /** SLOT_HOST, a port's, or undefined. */
  slotOf(mac: Uint8Array): number | undefined {
    return this.#slots.get(macKey(mac));
  }

  /** Whether a MAC is anybody's, by its macKey. */
  has(key: number): boolean {
    return this.#slots.has(key);
  }

  /** Throws SetupError for a MAC that cannot be a guest's now. */
  checkFree(mac: Uint8Array): void {
    const text = keyOf(mac);
    if (mac[0] & 1)
      throw new SetupError(`${text} is a group address`, 'the first byte of a MAC must be even');
    if (mac.every((byte) => byte === 0)) throw new SetupError(`${text} is no MAC of anybody`);
    const slot = this.slotOf(mac);
    if (slot === SLOT_HOST) throw new SetupError(`${text} is the host's own MAC`, 'give the guest another');
    if (slot !== undefined) throw new SetupError(`${text} belongs to ${this.#nameOf(slot)} already`);
  }

  /** Gives a MAC that is nobody's. `name`: whose it is to be, for the SetupError if it is another's, or there is no room. */
  give(mac: Uint8Array, slot: number, name: string): void {
    const before = this.slotOf(mac);
    if (before !== undefined && before !== slot) {
      throw new SetupError(`${keyOf(mac)} of ${name} belongs to ${this.#nameOf(before)} already`);
    }
    this.move(mac, slot);
  }

  /**
   * The map's entry changes in one step, so no frame on its way meets a table without it. What programs have learned of
   * the MAC counts no more from here on.
   */
  move(mac: Uint8Array, slot: number): void {
    try {
      this.#maps.setMac(mac, slot);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== E2BIG) throw error;
      throw new SetupError(`there is no room for ${keyOf(mac)}: ${MACS_MAX} MACs are the most`);
    }
    this.#slots.set(macKey(mac), slot);
  }

  take(mac: Uint8Array): void {
    this.#maps.removeMac(mac);
    this.#slots.delete(macKey(mac));
  }
}

/** The key under which a MAC is known: its text. */
export function keyOf(mac: Uint8Array): string {
  return macText(mac);
}
