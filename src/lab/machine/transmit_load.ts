/**
 * The back end's transmit path alone: a domain's frames are pulled and given to a port that takes addresses, as a card
 * does. The domain is played by hand: it takes pages from its allocator, grants them, and ends the grants it does not
 * keep, all untimed.
 */
import { BURST } from '../../../assembly/layout.js';
import { TXREQ_FLAGS, TXREQ_GREF, TXREQ_ID, TXREQ_OFFSET, TXREQ_SIZE } from '../../abi/netif.js';
import { NETIF_RING_SIZE, RING_ENTRIES, RING_RSP_PROD, TX_ENTRY_SIZE } from '../../abi/ring.js';
import { type PortCounters, readCounters } from '../../datapath/counters.js';
import { PORT_BLOCK } from '../../datapath/frames.js';
import { GREF_BASE, PAGE_TX_FIRST, PAGE_TX_RING, RAM_PAGES_NEEDED } from '../../netif/netfront_memory.js';
import type { TransferName } from '../../transfer/transfer.js';
import { GuestPages } from './guest_pages.js';
import { type BareDomain, Machine, macOf } from './machine.js';
import { SinkPort } from './sink_port.js';

/** `kept`: each page has a reference for good. `anew`: a reference for each packet, as Linux netfront does by default. */
export type Granting = 'kept' | 'anew';

const ARENA = 1 << 28;
const SINK = 500;
const SINK_MAC = macOf(9);
const PAGES = RAM_PAGES_NEEDED - PAGE_TX_FIRST;

export class TransmitLoad {
  readonly #machine = new Machine(ARENA);
  readonly #domain: BareDomain;
  readonly #sink: SinkPort;
  readonly #granting: Granting;
  readonly #random: () => number;
  readonly #references: number[] = [];
  /** In flight, by place in the burst. */
  readonly #page = new Uint32Array(BURST);
  readonly #reference = new Uint32Array(BURST);
  #pages: GuestPages;
  #produced = 0;

  /** `random`: 0 … 1, for the allocator. */
  constructor(transfer: TransferName, granting: Granting, random: () => number) {
    this.#granting = granting;
    this.#random = random;
    this.#domain = this.#machine.addBareDomain('sender', { transfer });
    this.#sink = new SinkPort(this.#machine.arena, SINK, this.#machine.arena.allocate(PORT_BLOCK, 'sink'));
    this.#machine.engine.attach(this.#sink, { mac: SINK_MAC });
    // References that no page has; the last one freed is taken first, as in Linux.
    for (let gref = this.#domain.domain.grants - 1; gref >= GREF_BASE + RAM_PAGES_NEEDED; gref--)
      this.#references.push(gref);
    this.#pages = this.#pool(0);
    if (transfer === 'static') this.#machine.announce(this.#domain);
  }

  /** From now on this share (0 … 1) of packets gets a page that was not used lately. */
  allocate(fresh: number): void {
    this.#pages = this.#pool(fresh);
  }

  get counters(): PortCounters {
    return readCounters(this.#machine.arena, this.#domain.vif.port.counters);
  }

  /** The back end's ns for a frame of `length` bytes, a page at most. */
  sample(length: number, rounds: number): number {
    const { engine, arena } = this.#machine;
    const before = this.#sink.frames;
    let time = 0;
    for (let round = 0; round < rounds; round++) {
      this.#send(length);
      const t0 = performance.now();
      engine.round(1);
      time += performance.now() - t0;
      const answered = Atomics.load(arena.u32, (this.#ring + RING_RSP_PROD) / 4);
      if (answered !== this.#produced) throw new Error('frames were not answered');
      this.#takeBack();
    }
    if (this.#sink.frames - before !== rounds * BURST) throw new Error('frames did not arrive');
    return (time * 1e6) / (rounds * BURST);
  }

  close(): void {
    this.#machine.close();
  }

  get #ring(): number {
    return this.#domain.ram + PAGE_TX_RING * 4096;
  }

  #pool(fresh: number): GuestPages {
    const pages = Array.from({ length: PAGES }, (_, i) => PAGE_TX_FIRST + i);
    return new GuestPages(pages, fresh, this.#random);
  }

  #send(length: number): void {
    const { arena, loops } = this.#machine;
    const from = this.#produced;
    for (let i = 0; i < BURST; i++) {
      const page = this.#pages.take();
      const reference = this.#granting === 'kept' ? GREF_BASE + page : this.#references.pop();
      if (reference === undefined) throw new RangeError('no reference is free');
      if (this.#granting === 'anew') this.#domain.grants.grant(reference, 0, page, true);
      this.#page[i] = page;
      this.#reference[i] = reference;
      const bytes = this.#domain.ram + page * 4096;
      arena.u8.set(SINK_MAC, bytes);
      arena.u8.set(this.#domain.vif.mac, bytes + 6);
      const at = this.#ring + RING_ENTRIES + (this.#produced % NETIF_RING_SIZE) * TX_ENTRY_SIZE;
      arena.view.setUint32(at + TXREQ_GREF, reference, true);
      arena.view.setUint16(at + TXREQ_OFFSET, 0, true);
      arena.view.setUint16(at + TXREQ_FLAGS, 0, true);
      arena.view.setUint16(at + TXREQ_ID, i, true);
      arena.view.setUint16(at + TXREQ_SIZE, length, true);
      this.#produced = (this.#produced + 1) >>> 0;
    }
    loops.pushRequests(this.#ring, from, this.#produced);
  }

  #takeBack(): void {
    for (let i = 0; i < BURST; i++) {
      this.#pages.give(this.#page[i]);
      if (this.#granting === 'kept') continue;
      if (!this.#domain.grants.end(this.#reference[i])) throw new Error('a grant is still in use');
      this.#references.push(this.#reference[i]);
    }
  }
}
