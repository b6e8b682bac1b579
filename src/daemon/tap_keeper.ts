/**
 * The daemon's own taps through what befalls them: somebody deletes the interface, and it is made anew, as an uplink that
 * comes back is attached again. Who goes on deleting it waits longer and longer for the next.
 */
import type { InterfaceChanges } from '../sys/interface_events.js';
import { Backoff } from './backoff.js';
import type { Log } from './log.js';

/** A backoff is of an interface; this one is of whatever interface it is. */
const ANY = 1;
/** ms after which one that was made anew has stood the test. */
const LASTING = 60_000;

/** A tap that its daemon keeps. */
export interface Kept {
  readonly name: string;
  /** Of the interface it has, or had. */
  readonly ifindex: number;
  /** Why there is none; null while it is there. The keeper's to write. */
  absent: string | null;
  /** Whether its interface was taken away. What else is not as it should be is put right. May throw SysError. */
  gone(): boolean;
  /** Once, when that is noticed. */
  miss(): void;
  /** Makes it anew. Throws SetupError, SysError; then it may be asked again. */
  renew(): Promise<void>;
}

export class TapKeeper {
  readonly tap: Kept;
  readonly #meaning: string;
  readonly #log: Log;
  readonly #backoff = new Backoff();
  #renewed = Number.NEGATIVE_INFINITY;

  /** `meaning`: what does not work without it. */
  constructor(tap: Kept, meaning: string, log: Log) {
    this.tap = tap;
    this.#meaning = meaning;
    this.#log = log;
  }

  /** `changes`, `polled`: as a Look's. True: it is to be mended now. Throws nothing. */
  look(changes: InterfaceChanges | undefined, polled: boolean): boolean {
    const { tap } = this;
    if (tap.absent === null) {
      if (changes && !polled && !changes.indexes.has(tap.ifindex)) return false;
      if (!this.#isGone()) return false;
      tap.absent = `${tap.name} was deleted`;
      tap.miss();
      this.#log.warn(`${tap.absent} by somebody; until it is made anew ${this.#meaning}`);
    }
    return this.#backoff.isDue(ANY);
  }

  /** Throws nothing; what goes wrong is tried again later and later. */
  async mend(): Promise<void> {
    const { tap } = this;
    if (tap.absent === null) return;
    if (performance.now() - this.#renewed > LASTING) this.#backoff.succeeded();
    if (!this.#backoff.isDue(ANY)) return;
    // Also if it goes well: it may be deleted again at once.
    this.#backoff.failed(ANY);
    this.#renewed = performance.now();
    const before = tap.name;
    try {
      await tap.renew();
      tap.absent = null;
      const now = tap.name === before ? before : `${before}, called ${tap.name} now,`;
      this.#log.info(`${now} is there again`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== tap.absent) this.#log.warn(`${before} cannot be made anew: ${why}`);
      tap.absent = why;
    }
  }

  #isGone(): boolean {
    try {
      return this.tap.gone();
    } catch (error) {
      // It went, or was renamed, within this look: the next one knows more.
      this.#log.warn(
        `looking after ${this.tap.name}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return false;
    }
  }
}
