/**
 * Responses come in the order of their requests, whatever becomes of the frames, and until a slot is answered it holds
 * its request: that is what lets a successor of a killed back end go on from the rings alone.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NB_TX_DONE } from '../../assembly/netif_layout.js';
import {
  NETIF_RSP_NULL,
  NETTXF_csum_blank,
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_GSO_TYPE_TCPV4,
} from '../../src/abi/netif.js';
import { RX_ENTRY_SIZE, TX_ENTRY_SIZE } from '../../src/abi/ring.js';
import type { TransferName } from '../../src/transfer/transfer.js';
import { countersOf } from '../support/drops.js';
import { type HostileGuest, Machine } from '../support/machine.js';
import { BROADCAST, blankFrame, macOf, plainFrame } from '../support/packets.js';
import { pick, type Random, randomSource, seedOf } from '../support/random.js';

/** What a guest wrote into its rings, by free-running index, to be compared with what stands there. */
class Witness {
  readonly #requests: { readonly bytes: Buffer; readonly id: number | undefined }[] = [];
  readonly #posted: Buffer[] = [];
  readonly #machine: Machine;
  readonly #guest: HostileGuest;
  answered = 0;
  errors = 0;

  constructor(machine: Machine, guest: HostileGuest) {
    this.#machine = machine;
    this.#guest = guest;
  }

  /** Takes down the requests that were written since; `extras`: the indices among them of extra infos. */
  wrote(extras: ReadonlySet<number>): void {
    const { view } = this.#machine.arena;
    for (let i = this.#requests.length; i < this.#guest.txProd; i++) {
      const at = this.#guest.txEntry(i);
      const id = extras.has(i) ? undefined : view.getUint16(at + 8, true);
      this.#requests.push({ bytes: this.#bytes(at, TX_ENTRY_SIZE), id });
    }
    for (let i = this.#posted.length; i < this.#guest.rxProd; i++)
      this.#posted.push(this.#bytes(this.#guest.rxEntry(i), RX_ENTRY_SIZE));
  }

  look(when: string): void {
    const guest = this.#guest;
    for (; this.answered < guest.txAnswered; this.answered++) {
      const { id, status } = guest.txResponse(this.answered);
      const wanted = this.#requests[this.answered];
      assert.ok(wanted, `${when}: an answer to nothing`);
      if (wanted.id === undefined) assert.equal(status, NETIF_RSP_NULL, `${when}: an extra info's slot`);
      else assert.equal(id, wanted.id, `${when}: the answer in slot ${this.answered} is another request's`);
      if (status < 0) this.errors++;
    }
    for (let i = guest.txAnswered; i < guest.txProd; i++)
      assert.deepEqual(
        this.#bytes(guest.txEntry(i), TX_ENTRY_SIZE),
        this.#requests[i].bytes,
        `${when}: TX ${i}`,
      );
    for (let i = guest.rxAnswered; i < guest.rxProd; i++)
      assert.deepEqual(this.#bytes(guest.rxEntry(i), RX_ENTRY_SIZE), this.#posted[i], `${when}: RX ${i}`);
  }

  #bytes(at: number, length: number): Buffer {
    return Buffer.from(this.#machine.arena.u8.slice(at, at + length));
  }
}

/** Some packets of all kinds, good and bad, with ids of no order; returns the indices of extra infos. */
function transmit(
  random: Random,
  { arena }: Machine,
  guest: HostileGuest,
  peers: HostileGuest[],
): Set<number> {
  const extras = new Set<number>();
  for (let i = random(14); i > 0 && guest.txProd - guest.txAnswered < 253; i--) {
    const page = random(24) * 3;
    const to = random(8) === 0 ? pick(random, [BROADCAST, macOf(77), guest.mac]) : pick(random, peers).mac;
    const id = () => random(0x10000);
    const kind = random(8);
    if (kind < 4) {
      arena.u8.set(plainFrame(to, guest.mac, 60 + random(1400), i), guest.txPage(page));
      guest.putTx({ gref: random(12) === 0 ? 8190 : guest.txGref(page), id: id(), size: 60 });
    } else if (kind < 6) {
      arena.u8.set(plainFrame(to, guest.mac, 4000, i), guest.txPage(page));
      const spoilt = random(6) === 0 ? 0 : 200;
      guest.putTx({ gref: guest.txGref(page), id: id(), flags: NETTXF_more_data, size: 3000 });
      guest.putTx({ gref: guest.txGref(page + 1), id: id(), flags: NETTXF_more_data, size: 1000 });
      guest.putTx({ gref: guest.txGref(page + 2), id: id(), size: spoilt });
    } else {
      const { bytes } = blankFrame(to, guest.mac, { family: 4, proto: 6, payload: 3000 });
      arena.u8.set(bytes, guest.txPage(page));
      const flags = NETTXF_csum_blank | NETTXF_extra_info | NETTXF_more_data;
      guest.putTx({ gref: guest.txGref(page), id: id(), flags, size: bytes.length });
      extras.add(guest.txProd);
      guest.putExtra([XEN_NETIF_EXTRA_TYPE_GSO, 0, 0xb4, 0x05, XEN_NETIF_GSO_TYPE_TCPV4]);
      guest.putTx({ gref: guest.txGref(page + 1), id: id(), size: 500 });
    }
  }
  guest.publishTx();
  return extras;
}

const TRANSFERS: readonly TransferName[] = ['persistent', 'grant-copy', 'static'];

describe('answers in the order of their requests', () => {
  for (const transfer of TRANSFERS) {
    test(`any interleaving of receivers that take and do not take (${transfer})`, () => {
      const seed = seedOf();
      const random = randomSource(seed);
      const machine = new Machine(1 << 28);
      const guests = ['a', 'b', 'c'].map((name) => machine.addBareGuest(name, { transfer }));
      const witnesses = guests.map((guest) => new Witness(machine, guest));
      let held = 0;
      for (let round = 0; round < 4000; round++) {
        const when = `round ${round} of seed ${seed}`;
        guests.forEach((guest, g) => {
          const peers = guests.filter((other) => other !== guest);
          const extras = transmit(random, machine, guest, peers);
          // Each is slow at times, so that frames wait for one receiver while others pass.
          if ((round >>> (g + 3)) % 3 !== 0)
            guest.postRx(random(1 + 256 - (guest.rxProd - guest.rxAnswered)));
          witnesses[g].wrote(extras);
        });
        machine.now += random(8);
        machine.engine.round(machine.now);
        guests.forEach((guest, g) => {
          assert.equal(guest.netback.fenced, 0, when);
          witnesses[g].look(when);
          if (machine.arena.u32[(guest.vif.memory + NB_TX_DONE) / 4] > 0) held++;
        });
      }
      // Whatever still waits runs out of patience.
      for (let i = 0; i < 10; i++) {
        machine.now += 300;
        machine.settle();
      }
      guests.forEach((guest, g) => {
        witnesses[g].look('at the end');
        assert.equal(guest.txAnswered, guest.txProd, 'every slot is answered');
        assert.ok(witnesses[g].answered > 10_000 && witnesses[g].errors > 100);
        assert.ok(countersOf(machine.arena, guest.netback).out.waits > 0, 'some waited');
      });
      assert.ok(held > 50, `answers were held back in ${held} rounds`);
      machine.close();
    });
  }

  test('a frame that waits holds the answers of later ones back, and nothing else of them', () => {
    const machine = new Machine(1 << 28);
    const [a, slow, other] = ['a', 'slow', 'other'].map((name) => machine.addBareGuest(name));
    other.postRx(100);
    a.putPacket(plainFrame(slow.mac, a.mac, 100), 0);
    for (let i = 1; i <= 5; i++) a.putPacket(plainFrame(other.mac, a.mac, 100, i), i);
    a.publishTx();
    machine.settle();
    assert.equal(other.rxAnswered, 5, 'delivered');
    assert.equal(a.txAnswered, 0, 'not answered');
    slow.postRx(1);
    machine.settle();
    assert.equal(slow.rxAnswered, 1);
    assert.equal(a.txAnswered, 6);
    machine.close();
  });

  test('a ring full of what waits for one receiver is relieved long before its patience ends', () => {
    const machine = new Machine(1 << 28);
    const [a, slow, other] = ['a', 'slow', 'other'].map((name) => machine.addBareGuest(name));
    a.putPacket(plainFrame(slow.mac, a.mac, 100), 0);
    for (let i = 1; i < 256; i++) a.putPacket(plainFrame(other.mac, a.mac, 100, i), 1 + (i % 31));
    a.publishTx();
    for (let ms = 1; ms <= 14; ms++) {
      machine.now = ms;
      other.postRx(256 - (other.rxProd - other.rxAnswered));
      for (let i = 0; i < 8; i++) machine.engine.round(ms);
      if (ms < 10) assert.equal(a.txAnswered, 0, `after ${ms} ms`);
    }
    assert.equal(other.rxAnswered, 255);
    assert.equal(a.txAnswered, 256);
    assert.deepEqual(countersOf(machine.arena, slow.netback).drops, { 'rx-full': 1 });
    machine.close();
  });
});
