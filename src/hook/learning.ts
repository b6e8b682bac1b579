/** MACs that the ports' programs found by themselves: the part of the table whose truth is in the kernel. */
import { macText } from '../sys/netlink.js';
import { type LearnedEntry, type Maps, macOf } from './maps.js';

export interface LearnedMac {
  readonly mac: string;
  readonly port: number;
  /** Since it was last seen. */
  readonly idleMs: number;
}

export class Learning {
  readonly #maps: Maps;
  readonly #isOwned: (key: number) => boolean;
  /** Of the learning ports: how many each may learn, and what its programs' count would be with none learned. */
  readonly #ports = new Map<number, { readonly most: number; none: number }>();

  /** `isOwned`: whether the table's owner has entered the MAC with this key. */
  constructor(maps: Maps, isOwned: (key: number) => boolean) {
    this.#maps = maps;
    this.#isOwned = isOwned;
  }

  /** Whether any port learns. */
  get active(): boolean {
    return this.#ports.size > 0;
  }

  /** The port may learn so many. Nothing was learned behind it yet. */
  begin(port: number, most: number): void {
    if (most <= 0) return;
    this.#ports.set(port, { most, none: 0 });
    this.#limit(port, this.#maps.learns(port));
  }

  /** The port learns no more, and what was learned behind it is forgotten. Nothing happens if it did not learn. */
  end(port: number): void {
    if (!this.#ports.delete(port)) return;
    this.#maps.setLimit(port, this.#maps.learns(port));
    this.forget(() => false);
  }

  /** Every learned MAC. */
  list(): LearnedMac[] {
    if (!this.active) return [];
    const now = process.hrtime.bigint(); // CLOCK_MONOTONIC, as the programs'
    const entries = this.#maps.learned().filter((entry) => this.#counts(entry));
    return entries.map(({ key, slot, seen }) => ({
      mac: macText(macOf(key)),
      port: slot,
      idleMs: idleMs(seen, now),
    }));
  }

  /**
   * Forgets those of which `isGone` says so, and those of the table's owner and of ports that learn no more: a program
   * that was under way when these were entered, or went, may have been late. Then it counts what each port has.
   */
  forget(isGone: (port: number, idleMs: number) => boolean): void {
    const now = process.hrtime.bigint();
    const kept = new Map<number, number>();
    // Programs go on counting: what they do from here on is the difference to these.
    const before = Array.from(this.#ports.keys(), (port) => [port, this.#maps.learns(port)] as const);
    for (const entry of this.#maps.learned()) {
      const { key, slot, seen } = entry;
      const gone = !this.#counts(entry) || isGone(slot, idleMs(seen, now));
      // What a program took away first, it has taken off its count.
      if (!gone || !this.#maps.forget(key)) kept.set(slot, (kept.get(slot) ?? 0) + 1);
    }
    for (const [port, count] of before) this.#limit(port, (count - (kept.get(port) ?? 0)) >>> 0);
  }

  /** Forgets what was learned behind these ports: if there is anything, by one walk through all. */
  forgetBehind(ports: readonly number[]): void {
    const some = new Set(ports.filter((port) => this.#any(port)));
    if (some.size > 0) this.forget((port) => some.has(port));
  }

  /** As its programs count. */
  #any(port: number): boolean {
    const state = this.#ports.get(port);
    return state !== undefined && this.#maps.learns(port) !== state.none;
  }

  #counts({ key, slot }: LearnedEntry): boolean {
    return this.#ports.has(slot) && !this.#isOwned(key);
  }

  #limit(port: number, none: number): void {
    const state = this.#ports.get(port);
    if (!state) return;
    state.none = none;
    this.#maps.setLimit(port, (none + state.most) >>> 0);
  }
}

function idleMs(seen: bigint, now: bigint): number {
  return Math.max(0, Number(now - seen) / 1e6);
}
