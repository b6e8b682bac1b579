/**
 * When to look after interfaces: soon after the kernel says that some changed, and once a second anyway, for what it
 * does not say (an entry in a unicast filter, a chain of nftables, a program by TCX) and what was missed. What a look
 * does itself is told too: one more look follows, which finds nothing to do.
 *
 * The netlink socket lies in the datapath thread's epoll set, since Node has no way to wait for one: the thread only
 * says that there is something to read.
 */
import type { Shard } from '../shard/shard.js';
import { InterfaceChanges, InterfaceEvents } from '../sys/interface_events.js';

/** ms between looks when nothing happens. */
const POLL = 1000;
/** ms from a change to the look: one thing seldom comes alone. */
const SETTLE = 5;
/** ms between looks while things go on changing. */
const APART = 50;

/** What to do. `changes` undefined: any may have changed; `polled`: a second is over. False: not now, try again. */
export type Look = (changes: InterfaceChanges | undefined, polled: boolean) => boolean;

export class InterfaceWatch {
  readonly #shard: Shard;
  readonly #events: InterfaceEvents;
  readonly #look: Look;
  readonly #poll: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  /** Since the last look that was one. */
  #changes: InterfaceChanges | undefined = new InterfaceChanges();
  #last = 0;
  #closed = false;

  /** Throws SysError. */
  constructor(shard: Shard, look: Look) {
    this.#shard = shard;
    this.#look = look;
    this.#events = new InterfaceEvents();
    this.#poll = setInterval(() => this.#run(true) || this.#heard(), POLL);
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
      if (!this.#run(false)) this.#heard();
    }, wait);
    this.#soon.unref();
  }

  #run(polled: boolean): boolean {
    this.#last = performance.now();
    const told = this.#events.take(this.#changes ?? new InterfaceChanges());
    if (!told) this.#changes = undefined;
    if (!this.#look(this.#changes, polled)) return false;
    this.#changes = new InterfaceChanges();
    return true;
  }
}
