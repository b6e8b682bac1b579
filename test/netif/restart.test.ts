/**
 * A back end killed at any moment, and a successor over the same rings: every frame is delivered at least once, every
 * request answered exactly once. The moment is an image of the guests' memory taken between two steps of the loops, or
 * in the midst of responses being written.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TURN_GENERAL, TURN_MOVED, TURN_PLACE } from '../../assembly/forward_layout.js';
import { NETIF_RSP_OKAY, NETTXF_more_data } from '../../src/abi/netif.js';
import { RING_ENTRIES, RING_RSP_PROD } from '../../src/abi/ring.js';
import type { Loops } from '../../src/arena/loops.js';
import { PAGE_RX_FIRST, PAGE_TX_RING } from '../../src/netif/netfront_memory.js';
import type { TransferName } from '../../src/transfer/transfer.js';
import type { BareGuest } from '../support/bare_guest.js';
import { type HostileGuest, Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';
import { type Random, randomSource, seedOf } from '../support/random.js';

/** Pages of a guest that a back end writes: rings, and what frames are received into (a page a slot). */
const FIRST = PAGE_TX_RING;
const PAGES = PAGE_RX_FIRST + 256 - FIRST;

/** Where the rings are in a picture of a queue's memory. */
const TX = 0;
const RX = 4096;

/** Takes the picture when the steps that were drawn are done. */
class Killer {
  countdown = -1;
  /** The picture, by guest. */
  image: Buffer[] | undefined;
  torn = 0;
  readonly #random: Random;
  machine: Machine | undefined;
  /** Every pair of rings. */
  queues: BareGuest[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  wrap(loops: Loops): Loops {
    const step = <T>(call: () => T): T => {
      if (this.countdown-- === 0) this.take();
      return call();
    };
    const showing = (nb: number, call: (nb: number) => number): number => {
      if (this.countdown-- !== 0) return call(nb);
      const before = this.#images();
      const result = call(nb);
      this.image = this.#tear(before, this.#images());
      return result;
    };
    return {
      ...loops,
      laneTurns: (forward, first, count, from, until) => {
        // One at a time: it dies between two turns, or in the midst of one.
        for (let at = from, moved = 0; at < until; ) {
          const dies = this.countdown-- === 0;
          const before = dies ? this.#images() : [];
          const seen = loops.laneTurns(forward, first, count, at, at + 1);
          if (dies) this.image = this.#tearTurn(before, this.#images());
          moved |= seen & TURN_MOVED;
          at = seen & TURN_PLACE;
          if ((seen & TURN_GENERAL) !== 0) return at | moved | TURN_GENERAL;
          if (at >= until) return until | moved;
        }
        return until;
      },
      netbackPull: (...args) => step(() => loops.netbackPull(...args)),
      netbackPush: (...args) => step(() => loops.netbackPush(...args)),
      netbackCommit: (...args) => step(() => loops.netbackCommit(...args)),
      netbackRelease: (...args) => step(() => loops.netbackRelease(...args)),
      netbackPublishRx: (nb) => showing(nb, loops.netbackPublishRx),
      netbackPublishTx: (nb) => showing(nb, loops.netbackPublishTx),
    };
  }

  take(): void {
    this.image = this.#images();
  }

  restore(): void {
    assert.ok(this.image && this.machine);
    for (const [i, guest] of this.queues.entries())
      this.machine.arena.u8.set(this.image[i], guest.ram + FIRST * 4096);
    this.image = undefined;
  }

  #images(): Buffer[] {
    assert.ok(this.machine);
    const { u8 } = this.machine.arena;
    return this.queues.map(({ ram }) =>
      Buffer.from(u8.slice(ram + FIRST * 4096, ram + (FIRST + PAGES) * 4096)),
    );
  }

  /** What stands between the two: some of the entries are written, the index is not. */
  #tear(before: Buffer[], after: Buffer[]): Buffer[] {
    return after.map((now, g) => {
      for (const ring of [TX, RX]) this.#tearRing(before[g], now, ring);
      return now;
    });
  }

  /** The same of a turn of the direct lane, in which receivers are shown first, in any order, and then the sender. */
  #tearTurn(before: Buffer[], after: Buffer[]): Buffer[] {
    const receiving = this.#random(2) === 0;
    return after.map((now, g) => {
      const then = before[g];
      if (!receiving) this.#tearRing(then, now, TX);
      else {
        then.copy(now, TX, TX, TX + 4096);
        const reached = this.#random(3);
        if (reached === 0) then.copy(now, RX, RX, RX + 4096);
        else if (reached === 1) this.#tearRing(then, now, RX);
      }
      return now;
    });
  }

  #tearRing(then: Buffer, now: Buffer, ring: number): void {
    const at = ring + RING_RSP_PROD;
    if (now.readUInt32LE(at) === then.readUInt32LE(at)) return;
    this.torn++;
    now.writeUInt32LE(then.readUInt32LE(at), at);
    for (let word = ring + RING_ENTRIES; word < ring + 4096; word += 4)
      if (this.#random(2) === 0) then.copy(now, word, word, word + 4);
  }
}

/** What a queue of a guest sent and got. A frame is known by the number in its last four octets. */
class Ledger {
  readonly sent = new Set<number>();
  readonly got = new Map<number, number>();
  readonly ids: number[] = [];
  answered = 0;
  received = 0;
  emptied = 0;
  readonly #machine: Machine;
  readonly guest: BareGuest;

  constructor(machine: Machine, guest: BareGuest) {
    this.#machine = machine;
    this.guest = guest;
  }

  /** One packet of `size` bytes, in pieces that suit it. */
  send(number: number, to: HostileGuest, size: number, id: number): void {
    const { guest } = this;
    const bytes = plainFrame(to.mac, guest.mac, size, number);
    new DataView(bytes.buffer).setUint32(size - 4, number, true);
    const pieces = size < 2000 ? 1 : 2;
    const cut = pieces === 1 ? size : size - 700;
    const page = guest.txProd % 256; // pages in step with slots: none is written while its frame is on its way
    this.#machine.arena.u8.set(bytes.subarray(0, cut), guest.txPage(page));
    const flags = pieces === 1 ? 0 : NETTXF_more_data;
    guest.putTx({ gref: guest.txGref(page), id, flags, size });
    this.ids.push(id);
    if (pieces === 2) {
      const next = guest.txProd % 256;
      this.#machine.arena.u8.set(bytes.subarray(cut), guest.txPage(next));
      guest.putTx({ gref: guest.txGref(next), id: id ^ 1, size: size - cut });
      this.ids.push(id ^ 1);
    }
    this.sent.add(number);
  }

  /** Takes what is answered and received. */
  take(when: string): void {
    const { guest } = this;
    for (; this.answered < guest.txAnswered; this.answered++)
      assert.deepEqual(
        guest.txResponse(this.answered),
        { id: this.ids[this.answered], status: NETIF_RSP_OKAY },
        `${when}: answer ${this.answered}`,
      );
    const { view } = this.#machine.arena;
    for (; this.received < guest.rxAnswered; this.received++) {
      const { id, status } = guest.rxResponse(this.received);
      assert.equal(id, this.received & 0xff, `${when}: page ${this.received}`);
      if (status < 0) this.emptied++;
      if (status < 0) continue;
      const number = view.getUint32(guest.rxPage(this.received % 256) + status - 4, true);
      this.got.set(number, (this.got.get(number) ?? 0) + 1);
    }
  }
}

const TRANSFERS: readonly TransferName[] = ['persistent', 'grant-copy', 'static', 'map'];

describe('a successor over the rings of a killed back end', () => {
  const worlds = [
    ...TRANSFERS.map((transfer) => ({ transfer, queues: 1 })),
    { transfer: 'persistent', queues: 3 },
  ] as const;
  for (const { transfer, queues: count } of worlds) {
    test(`delivers every frame, answers every request once (${transfer}, ${count} queues)`, () => {
      const seed = seedOf();
      const random = randomSource(seed);
      const killer = new Killer(random);
      const machine = new Machine(1 << 28, (loops) => killer.wrap(loops));
      const guests = ['a', 'b', 'c'].map((name) =>
        machine.addBareGuest(name, { transfer, queues: count, txBuffers: 16 }),
      );
      const queues = guests.flatMap((guest) => guest.queues);
      const ledgers = queues.map((queue) => new Ledger(machine, queue));
      killer.machine = machine;
      killer.queues = queues;
      let number = 0;
      const act = (slow: boolean) => {
        for (const ledger of ledgers) {
          const { guest } = ledger;
          for (let i = random(40); i > 0 && guest.txProd - guest.txAnswered < 250; i--) {
            const own = guests.findIndex(({ mac }) => mac === guest.mac);
            const to = guests[(own + 1 + random(2)) % 3];
            ledger.send(number++, to, [60, 1514, 3500, 4096][random(4)], random(0x10000));
          }
          guest.publishTx();
          const room = 256 - (guest.rxProd - guest.rxAnswered);
          guest.postRx(slow ? random(Math.min(20, room + 1)) : room, guest.rxProd, (n) =>
            guest.rxGref(n % 256),
          );
        }
      };
      for (let life = 0; life < 400; life++) {
        const when = `life ${life} of seed ${seed}`;
        killer.countdown = random(60);
        for (let round = 0; round < 12 && !killer.image; round++) {
          act(random(3) !== 0);
          machine.engine.round(machine.now);
          if (!killer.image) for (const ledger of ledgers) ledger.take(when);
        }
        if (!killer.image) killer.take();
        killer.restore();
        for (const guest of guests) guest.vif.reattach();
        for (const ledger of ledgers) ledger.take(when);
      }
      killer.countdown = -1;
      for (let round = 0; round < 200; round++) {
        for (const { guest } of ledgers)
          guest.postRx(256 - (guest.rxProd - guest.rxAnswered), guest.rxProd, (n) => guest.rxGref(n % 256));
        machine.engine.round(machine.now);
        for (const ledger of ledgers) ledger.take('at the end');
      }
      const got = new Map<number, number>();
      for (const ledger of ledgers)
        for (const [n, times] of ledger.got) got.set(n, (got.get(n) ?? 0) + times);
      for (const ledger of ledgers) {
        assert.equal(ledger.answered, ledger.guest.txProd, 'all are answered');
        for (const sent of ledger.sent) assert.ok(got.has(sent), `frame ${sent} was lost`);
      }
      assert.ok(
        number > 5000 && killer.torn > 20,
        `${number} frames, killed ${killer.torn} times in mid-answer`,
      );
      const again = [...got.values()].filter((times) => times > 1).length;
      assert.ok(again > 0 && again < number / 4, `${again} of ${number} frames came again`);
      assert.ok(ledgers.some((ledger) => ledger.emptied > 0));
      machine.close();
    });
  }

  test('fresh rings begin at 0, and what stands in their padding is not believed', () => {
    const machine = new Machine(1 << 28);
    const guest = machine.addBareGuest('a');
    const other = machine.addBareGuest('b');
    for (const lie of [1, 255, 256, 257, 0x80000000, 0xffffffff]) {
      guest.initRings();
      for (const ring of [guest.txRing, guest.rxRing]) machine.arena.u32[(ring + RING_ENTRIES - 4) / 4] = lie;
      guest.vif.reattach();
      assert.deepEqual(
        [guest.txAnswered, guest.rxAnswered],
        [0, 0],
        `nothing was requested, ${lie} in the padding`,
      );
      other.postRx(1);
      const before = other.rxAnswered;
      guest.putPacket(plainFrame(other.mac, guest.mac, 100));
      guest.publishTx();
      machine.settle();
      assert.equal(guest.txAnswered, 1);
      assert.equal(other.rxAnswered, before + 1);
    }
    machine.close();
  });

  test('a list of multicast groups that nobody knows any more filters nothing', () => {
    const machine = new Machine(1 << 28);
    const options = { multicastControl: true };
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b', options);
    const group = Uint8Array.of(1, 0, 0x5e, 1, 2, 3);
    const send = () => {
      b.postRx(2);
      a.putPacket(plainFrame(group, a.mac, 100));
      a.putPacket(plainFrame(b.mac, a.mac, 100), 1);
      a.publishTx();
      const before = b.rxAnswered;
      machine.settle();
      return b.rxAnswered - before;
    };
    assert.equal(send(), 1, 'not listed');
    b.vif.reattach();
    assert.equal(send(), 2);
    machine.close();
  });
});
