/** Hostile ring contents for the fuzz tests: from nearly right to plain noise. */
import {
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
} from '../../src/abi/netif.js';
import { RX_ENTRY_SIZE, TX_ENTRY_SIZE } from '../../src/abi/ring.js';
import type { Arena } from '../../src/arena/arena.js';
import { writeList } from '../../src/netif/control_front.js';
import { LIST_GREF } from '../support/control_side.js';
import type { HostileGuest } from '../support/machine.js';
import { BROADCAST, blankFrame, macOf, plainFrame } from '../support/packets.js';
import { pick, type Random } from '../support/random.js';

const GREFS = [0, 1, 8, 9, 10, 8191, 8192, 0x10000, 0x7fffffff, 0xffffffff];
const SIZES = [0, 1, 13, 14, 60, 127, 128, 129, 1514, 4095, 4096, 4097, 9000, 65534, 65535];
const OFFSETS = [0, 1, 63, 2048, 4032, 4095, 4096, 65535];
const PAGES = 96;

export class HostileSender {
  /** On this connection it claimed requests that it did not write, or took some back. */
  lied = false;
  readonly #arena: Arena;
  readonly #random: Random;
  readonly #guest: HostileGuest;
  readonly #peers: readonly Uint8Array[];

  constructor(arena: Arena, random: Random, guest: HostileGuest, peers: readonly Uint8Array[]) {
    this.#arena = arena;
    this.#random = random;
    this.#guest = guest;
    this.#peers = peers;
  }

  /** A new connection: mostly, the pages it uses most are announced. */
  connected(): void {
    if (this.#random(4) === 0) return;
    const { control } = this.#guest;
    const tx = Array.from({ length: 6 }, (_, i) => ({ reference: this.#guest.txGref(i), readOnly: true }));
    const rx = Array.from({ length: 4 }, (_, i) => ({ reference: this.#guest.rxGref(i), readOnly: false }));
    writeList(this.#arena, control.list, [...tx, ...rx]);
    control.put(9, [0, LIST_GREF, tx.length + rx.length]);
    control.publish();
  }

  /** One ring's worth of mischief on either side, published. */
  ring(): void {
    const random = this.#random;
    if (random(4) === 0) this.#grants();
    if (random(3) === 0) this.#volley();
    const packets = random(random(8) === 0 ? 40 : 6);
    for (let i = 0; i < packets; i++) {
      const kind = random(11);
      if (kind < 5) this.#packet(0);
      else if (kind < 7) this.#packet(1 + random(3));
      else if (kind < 8) this.#transport();
      else if (kind < 9) this.#chain();
      else if (kind < 10) this.#groups();
      else this.#noise();
    }
    if (random(40) === 0) {
      this.lied = true;
      this.#guest.publishTx(this.#index(this.#guest.txProd));
    } else {
      this.#guest.publishTx();
    }
    if (random(3) !== 0) this.#receive();
    if (random(6) === 0) this.#control();
  }

  /** Slots change under the reader. */
  mutate(): void {
    const random = this.#random;
    const tx = random(2) === 0;
    const at = tx ? this.#guest.txEntry(random(256)) : this.#guest.rxEntry(random(256));
    const size = tx ? TX_ENTRY_SIZE : RX_ENTRY_SIZE;
    for (let i = 0; i < size; i++) this.#arena.u8[at + i] = random(256);
    if (random(4) === 0) this.#grants();
  }

  #target(): Uint8Array {
    const random = this.#random;
    if (random(12) === 0) return BROADCAST;
    return random(6) === 0 ? macOf(random(300)) : pick(random, this.#peers);
  }

  #source(): Uint8Array {
    return this.#random(16) === 0 ? pick(this.#random, this.#peers) : this.#guest.mac;
  }

  /** Small frames out of few pages, one slot each: what the direct lane takes, until one of them is not quite that. */
  #volley(): void {
    const random = this.#random;
    const target = this.#target();
    for (let i = random(20); i >= 0; i--) {
      const page = random(6);
      const bytes = plainFrame(target, this.#guest.mac, 14 + random(400), random(1000));
      const spoilt = random(60);
      this.#arena.u8.set(bytes, this.#guest.txPage(page));
      this.#guest.putTx({
        gref: spoilt === 0 ? pick(random, GREFS) : this.#guest.txGref(page),
        offset: spoilt === 1 ? pick(random, OFFSETS) : 0,
        flags: spoilt < 6 ? random(4) : 0,
        size: spoilt === 6 ? pick(random, SIZES) : bytes.length,
      });
    }
  }

  /** A packet in sound pieces, with some of its fields spoilt. */
  #packet(spoilt: number): void {
    const random = this.#random;
    const slots = random(6) === 0 ? 1 + random(22) : 1 + random(3);
    const first = random(PAGES - 24);
    const pieces = Array.from({ length: slots }, () => 1 + random(random(3) === 0 ? 4000 : 200));
    pieces[0] += 13;
    const total = Math.min(
      65535,
      pieces.reduce((sum, n) => sum + n, 0),
    );
    this.#arena.u8.set(
      plainFrame(this.#target(), this.#source(), 14, random(1000)),
      this.#guest.txPage(first),
    );
    const bad = Array.from({ length: spoilt }, () => random(slots));
    pieces.forEach((size, i) => {
      const slot = {
        gref: this.#guest.txGref(first + i),
        offset: i > 0 && random(4) === 0 ? random(4097 - size) : 0,
        flags: (i + 1 < slots ? NETTXF_more_data : 0) | (random(20) === 0 ? random(4) : 0),
        id: random(50) === 0 ? random(65536) : this.#guest.txProd & 0xff,
        size: i === 0 ? total : size,
      };
      if (bad.includes(i)) {
        const what = random(5);
        if (what === 0) slot.gref = random(2) === 0 ? pick(random, GREFS) : random(0x7fffffff);
        if (what === 1) slot.offset = pick(random, OFFSETS);
        if (what === 2) slot.size = pick(random, SIZES);
        if (what === 3) slot.flags = random(65536);
        if (what === 4) slot.id = pick(random, [0, 255, 256, 65535]);
      }
      this.#guest.putTx(slot);
    });
  }

  /** TCP with offloads; sometimes with extra infos that do not fit it. */
  #transport(): void {
    const random = this.#random;
    const family = random(2) === 0 ? 4 : 6;
    const gsoSize = random(3) === 0 ? undefined : pick(random, [1, 8, 536, 1000, 1448, 65535]);
    const shape = {
      family,
      proto: 6,
      payload: random(3800),
      ...(gsoSize === undefined ? {} : { gsoSize }),
    } as const;
    const frame = blankFrame(this.#target(), this.#source(), shape);
    if (random(4) === 0) frame.bytes[14 + random(40)] = random(256);
    const page = random(PAGES);
    this.#arena.u8.set(frame.bytes.subarray(0, 4096), this.#guest.txPage(page));
    const extras = gsoSize === undefined && random(4) !== 0 ? 0 : 1 + random(3);
    const flags = NETTXF_csum_blank | NETTXF_data_validated | (extras > 0 ? NETTXF_extra_info : 0);
    this.#guest.putTx({ gref: this.#guest.txGref(page), flags, size: Math.min(4096, frame.bytes.length) });
    for (let i = 0; i < extras; i++) {
      const more = i + 1 < extras || random(30) === 0 ? 1 : 0;
      const type = random(30) === 0 ? random(256) : random(5) === 0 ? 4 : 1;
      const kind = random(8) === 0 ? random(256) : family === 4 ? 1 : 2;
      const size = gsoSize ?? random(65536);
      this.#guest.putExtra([type, more, size & 0xff, size >> 8, kind, random(4), random(4), 0]);
    }
  }

  /** more_data without end, or nearly. */
  #chain(): void {
    const random = this.#random;
    const slots = random(4) === 0 ? 21 + random(300) : 17 + random(4);
    for (let i = 0; i < slots; i++) {
      const last = i + 1 === slots && random(2) === 0;
      const size = random(5) === 0 ? 0 : 1 + random(30);
      this.#guest.putTx({
        gref: this.#guest.txGref(i % PAGES),
        flags: last ? 0 : NETTXF_more_data,
        size: i === 0 ? slots * 15 : size,
      });
    }
  }

  /** Changes of the multicast list, most of them sound. */
  #groups(): void {
    const random = this.#random;
    const extras = 1 + random(3);
    this.#guest.putTx({
      gref: random(9000),
      flags: NETTXF_extra_info | (random(9) === 0 ? 4 : 0),
      size: random(99),
    });
    for (let i = 0; i < extras; i++) {
      const type = random(200) === 0 ? random(8) : pick(random, [2, 2, 2, 3, 4, 1]);
      const more = i + 1 < extras || random(300) === 0 ? 1 : 0;
      this.#guest.putExtra([type, more, 0x33, 0x33, 0, 0, 0, random(100)]);
    }
  }

  /** Requests on the control ring: of every type, with lists of pages that are granted, or were, or never. */
  #control(): void {
    const random = this.#random;
    const { control } = this.#guest;
    const pages = Array.from({ length: random(20) }, () => ({
      reference:
        random(12) === 0
          ? pick(random, GREFS)
          : random(2) === 0
            ? this.#guest.rxGref(random(random(2) === 0 ? 4 : PAGES))
            : this.#guest.txGref(random(random(2) === 0 ? 6 : PAGES)),
      readOnly: random(3) !== 0,
    }));
    if (random(3) === 0) pages.splice(1); // one alone is added more often than not
    writeList(this.#arena, control.list, pages);
    for (let i = random(6); i >= 0 && (control.prod - control.answered) >>> 0 < 128; i--) {
      const type = random(3) === 0 ? random(random(20) === 0 ? 65536 : 12) : pick(random, [9, 9, 9, 10]);
      const value = () => pick(random, [0, 1, 15, 40, 128, LIST_GREF, random(9000), random(0x7fffffff) * 2]);
      if (type >= 9)
        control.put(type, [
          random(30) === 0 ? value() : 0,
          random(20) === 0 ? value() : LIST_GREF,
          pages.length,
        ]);
      else if (type === 7) control.put(type, [random(8) === 0 ? value() : 0]);
      else control.put(type, [random(2) === 0 ? LIST_GREF : value(), value(), value()]);
    }
    control.publish(random(2000) === 0 ? this.#index(control.prod) : control.prod);
  }

  #noise(): void {
    const random = this.#random;
    for (let i = random(6); i >= 0; i--) {
      this.#guest.putTx({
        gref: random(0x7fffffff) * 2,
        offset: random(65536),
        flags: random(65536),
        id: random(65536),
        size: random(65536),
      });
    }
  }

  #receive(): void {
    const random = this.#random;
    const room = 256 - ((this.#guest.rxProd - this.#guest.rxAnswered) >>> 0);
    const count = random(5) === 0 ? random(300) : random(Math.max(1, Math.min(room, 60)));
    const garbage = random(4) === 0;
    const pages = random(2) === 0 ? 256 : 4;
    this.#guest.postRx(count, random(256), (n) => {
      if (garbage && random(3) === 0)
        return random(2) === 0 ? pick(random, GREFS) : this.#guest.txGref(n % PAGES);
      return this.#guest.rxGref(n % pages);
    });
    if (random(60) === 0) this.#guest.publishRx(this.#index(this.#guest.rxProd));
  }

  #index(near: number): number {
    const random = this.#random;
    return (
      (random(2) === 0
        ? near + random(600) - 300
        : pick(random, [0, 0x7fffffff, 0xffffffff, random(0x7fffffff)])) >>> 0
    );
  }

  /** Some grants end, some change, some come back. */
  #grants(): void {
    const random = this.#random;
    for (let i = random(8); i >= 0; i--) {
      const transmit = random(2) === 0;
      const n = random(PAGES);
      const gref = transmit ? this.#guest.txGref(n) : this.#guest.rxGref(n);
      const frame = ((transmit ? this.#guest.txPage(n) : this.#guest.rxPage(n)) - this.#guest.ram) / 4096;
      const what = random(8);
      if (what === 0) this.#guest.grants.end(gref);
      else if (what === 1) this.#guest.grants.grant(gref, 0, frame, true);
      else if (what === 2) this.#guest.grants.grant(gref, 1 + random(5), frame, false);
      else if (what === 3)
        this.#guest.grants.grant(gref, 0, random(2) === 0 ? 6144 + random(100) : 0xffffffff, false);
      else this.#guest.grants.grant(gref, 0, frame, transmit);
    }
  }
}
