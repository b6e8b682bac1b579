/**
 * When to look after interfaces: soon after the kernel says that some changed, and once a second anyway, for what it
 * does not say (an entry in a unicast filter, a chain of nftables) and what was missed.
 *
 * The netlink socket lies in the datapath thread's epoll set, since Node has no way to wait for one: the thread only
 * says that there is something to read.
 */
import type { Shard } from '../shard/shard.js';
import { InterfaceEvents } from '../sys/interface_events.js';

/** ms between looks when nothing happens. */
const POLL = 1000;
/** ms from a change to the look: one thing seldom comes alone. */
const SETTLE = 5;
/** ms between looks while things go on changing. */
const APART = 50;

export class InterfaceWatch {
  readonly #shard: Shard;
  readonly #events: InterfaceEvents;
  readonly #look: (changed: ReadonlySet<number> | undefined) => boolean;
  readonly #poll: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  /** Since the last look that was one. */
  #changed: ReadonlySet<number> | undefined = new Set();
  #last = 0;
  #closed = false;

  /**
   * `look`: what to do; `changed` holds indexes of interfaces, undefined: any may have. False: not now, try again.
   * Throws SysError.
   */
  constructor(shard: Shard, look: (changed: ReadonlySet<number> | undefined) => boolean) {
    this.#shard = shard;
    this.#look = look;
    this.#events = new InterfaceEvents();
    this.#poll = setInterval(() => this.#run(), POLL);
    this.#poll.unref();
    shard.watch(this.#events.fd, () => this.#heard()).catch(() => {}); // the thread died: its owner hears of that
  }

  /** Nothing is looked after any more once this resolves. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#soon);
    await this.#shard.unwatch(this.#events.fd).catch(() => {});
    this.#events.close();
  }

  #heard(): void {
    if (this.#closed || this.#soon) return;
    const wait = Math.max(SETTLE, this.#last + APART - performance.now());
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      if (!this.#run()) this.#heard();
    }, wait);
    this.#soon.unref();
  }

  #run(): boolean {
    this.#last = performance.now();
    const changed = this.#events.take();
    this.#changed = changed && this.#changed && new Set([...this.#changed, ...changed]);
    if (!this.#look(this.#changed)) return false;
    this.#changed = new Set();
    // What the look itself did is no news: else an interface that cannot be had would be tried for ever.
    this.#events.take();
    return true;
  }
}
