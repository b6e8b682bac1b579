/** What a guest may send: frames beyond its rate wait in its ring, and nobody polls for them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FE_SG } from '../../assembly/netif_layout.js';
import { NETTXF_extra_info, TXREQ_SIZE } from '../../src/abi/netif.js';
import { Arena } from '../../src/arena/arena.js';
import { readCounters } from '../../src/datapath/counters.js';
import { netbackCounters } from '../../src/netif/netback_memory.js';
import { RateLimit } from '../../src/netif/rate.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { type GuestOptions, type HostileGuest, Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';

function setUp(options: GuestOptions, receivers = 1) {
  const machine = new Machine(1 << 28);
  const a = machine.addBareGuest('a', { txBuffers: 32, ...options });
  const others = Array.from({ length: receivers }, (_, i) => machine.addBareGuest(`b${i}`));
  for (const other of others) other.postRx(256, 0, (n) => other.rxGref(n % 256));
  return { machine, a, b: others[0], others };
}

/** Bytes that a guest, always with frames to send, got through in `seconds`. */
function send(machine: Machine, a: HostileGuest, b: HostileGuest, size: number, seconds: number): number {
  const end = machine.now + seconds * 1000;
  const { block, memory, queues } = a.vif;
  const sent = () => readCounters(machine.arena, ...netbackCounters(block, memory, queues)).in.bytes;
  const before = sent();
  while (machine.now < end) {
    for (const queue of a.queues) {
      while (queue.txProd - queue.txAnswered < 200)
        queue.putPacket(plainFrame(b.mac, a.mac, size, 1), queue.txProd % 128);
      queue.publishTx();
    }
    b.postRx(256 - (b.rxProd - b.rxAnswered), b.rxProd, (n) => b.rxGref(n % 256));
    machine.engine.round(machine.now);
    machine.now++;
  }
  return sent() - before;
}

describe('a guest with a rate', () => {
  for (const transfer of TRANSFER_NAMES)
    for (const [bytes, interval] of [
      [62_500, 50_000], // 10 Mb/s as xl gives it
      [2000, 1000],
      [100, 50],
    ] as const)
      test(`sends that much and no more: ${bytes} bytes each ${interval} µs (${transfer})`, () => {
        const { machine, a, b } = setUp({ transfer, rate: { bytes, interval } });
        const perSecond = (bytes * 1e6) / interval;
        send(machine, a, b, 1000, 1);
        const sent = send(machine, a, b, 1000, 4) / 4;
        assert.ok(
          sent > 0.97 * perSecond && sent < 1.01 * perSecond,
          `${sent} of ${perSecond} bytes a second`,
        );
        assert.deepEqual(dropsOf(machine.arena, a.netback), {}, 'nothing is dropped');
        assert.ok(countersOf(machine.arena, a.netback).in.limited > 0);
        machine.close();
      });

  test('after a pause a burst of one interval or 128 KiB, and not of all that it saved', () => {
    const { machine, a, b } = setUp({ rate: { bytes: 1000, interval: 1000 } });
    send(machine, a, b, 1000, 1);
    machine.now += 60_000;
    const start = a.txAnswered;
    for (let i = 0; i < 20; i++) {
      while (a.txProd - a.txAnswered < 200) a.putPacket(plainFrame(b.mac, a.mac, 1000, 1), a.txProd % 128);
      a.publishTx();
      b.postRx(256 - (b.rxProd - b.rxAnswered), b.rxProd, (n) => b.rxGref(n % 256));
      machine.engine.round(machine.now);
    }
    assert.equal(a.txAnswered - start, 131);
    machine.close();
  });

  test('its largest frame gets through, however small the steps', () => {
    const { machine, a, b } = setUp({ rate: { bytes: 500, interval: 1000 } });
    const frame = plainFrame(b.mac, a.mac, 65_000);
    a.putPacket(
      frame,
      0,
      Array.from({ length: 16 }, (_, i) => Math.min(4096, 65_000 - i * 4096)),
    );
    a.publishTx();
    let ms = 0;
    for (; a.txAnswered !== a.txProd && ms < 1000; ms++) {
      machine.engine.round(machine.now);
      machine.now++;
    }
    assert.ok(ms >= 128 && ms <= 131, `after ${ms} ms`);
    machine.close();
  });

  test('all its queues have one rate', () => {
    const { machine, a, b } = setUp({ rate: { bytes: 62_500, interval: 50_000 }, queues: 3 });
    send(machine, a, b, 1000, 1);
    const sent = send(machine, a, b, 1000, 4) / 4;
    assert.ok(sent > 0.97 * 1_250_000 && sent < 1.01 * 1_250_000, `${sent} bytes a second`);
    const [x, y, z] = a.queues.map((queue) => queue.txAnswered);
    assert.ok(Math.min(x, y, z) > 0.5 * Math.max(x, y, z), `${x}, ${y}, ${z} of its queues`);
    machine.close();
  });

  test('a queue with the largest frames is not starved by one with small ones', () => {
    const { machine, a, b } = setUp({ rate: { bytes: 10_000, interval: 10_000 }, queues: 2 });
    const [large, small] = a.queues;
    const pieces = Array.from({ length: 16 }, (_, i) => Math.min(4096, 65_000 - i * 4096));
    for (let i = 0; i < 4; i++) large.putPacket(plainFrame(b.mac, a.mac, 65_000), i * 16, pieces);
    large.publishTx();
    for (; machine.now < 1000; machine.now++) {
      while (small.txProd - small.txAnswered < 200)
        small.putPacket(plainFrame(b.mac, a.mac, 1000, 1), small.txProd % 128);
      small.publishTx();
      b.postRx(256 - (b.rxProd - b.rxAnswered), b.rxProd, (n) => b.rxGref(n % 256));
      machine.engine.round(machine.now);
    }
    assert.equal(large.txAnswered, 64, 'four of them are a quarter of a second’s worth');
    assert.ok(small.txAnswered > 650, `${small.txAnswered} of the others`);
    machine.close();
  });

  test('the engine sleeps until there is credit, and no wake-up is asked for meanwhile', () => {
    const { machine, a, b } = setUp({ rate: { bytes: 1000, interval: 10_000 } });
    for (let i = 0; i < 3; i++) a.putPacket(plainFrame(b.mac, a.mac, 1000, 1), i);
    a.publishTx();
    machine.engine.round(machine.now);
    assert.equal(a.txAnswered, 1);
    assert.equal(machine.engine.arm(), false, 'no work now');
    assert.equal(machine.engine.deadline, machine.now + 10);
    for (let i = 0; i < 100; i++) machine.engine.round(machine.now);
    machine.engine.park();
    assert.equal(a.txAnswered, 1, 'polling helps nobody');
    machine.now += 10;
    machine.engine.round(machine.now);
    assert.equal(a.txAnswered, 2, 'though it had been quiet');
    machine.now += 10;
    machine.engine.round(machine.now);
    assert.equal(a.txAnswered, 3);
    assert.equal(machine.engine.deadline, Number.POSITIVE_INFINITY);
    assert.equal(machine.engine.arm(), false);
    a.putPacket(plainFrame(b.mac, a.mac, 100, 1), 5);
    a.publishTx();
    machine.now += 10;
    assert.equal(machine.engine.arm(), true, 'with credit it is work as ever');
    machine.close();
  });

  test('XSA-155: a size that grows between looks is paid as it was read', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addBareGuest('a', { rate: { bytes: 200, interval: 1_000_000 }, features: FE_SG });
    const b = machine.addBareGuest('b');
    b.postRx(64, 0);
    a.putPacket(plainFrame(b.mac, a.mac, 100, 1));
    a.publishTx();
    machine.engine.round(machine.now);
    machine.arena.view.setUint16(a.txEntry(1) + TXREQ_SIZE, 4000, true);
    a.putPacket(plainFrame(b.mac, a.mac, 101, 1));
    a.publishTx();
    machine.engine.round(machine.now);
    assert.equal(a.txAnswered, 1, '100 of 200 are left');
    machine.close();
  });

  test('changes of its multicast list are frames without bytes', () => {
    const { machine, a, b } = setUp({ rate: { bytes: 60, interval: 1_000_000 } });
    a.putPacket(plainFrame(b.mac, a.mac, 60, 1));
    for (let i = 0; i < 4; i++) {
      a.putTx({ gref: 0, flags: NETTXF_extra_info, size: 0 });
      a.putExtra([2, 0, 1, 0, 0x5e, 0, 0, i]);
    }
    a.publishTx();
    machine.settle();
    assert.equal(a.txAnswered, 9);
    machine.close();
  });

  test('the others do not feel it', () => {
    const { machine, a, b, others } = setUp({ rate: { bytes: 100, interval: 1_000_000 } }, 2);
    const [, other] = others;
    for (let i = 0; i < 50; i++) a.putPacket(plainFrame(b.mac, a.mac, 1000, 1), i);
    a.publishTx();
    for (let i = 0; i < 50; i++) other.putPacket(plainFrame(b.mac, other.mac, 1000, 1), i);
    other.publishTx();
    machine.settle();
    assert.equal(other.txAnswered, 50);
    assert.equal(a.txAnswered, 0);
    machine.close();
  });
});

test('credit comes by whole intervals, from the first on', () => {
  const arena = Arena.create(1 << 20);
  let now = 5;
  const at = arena.allocate(64, 'a rate');
  const rate = new RateLimit(arena, at, { bytes: 10, interval: 1500 }, () => now);
  const credit = () => arena.view.getFloat64(at, true);
  assert.equal(credit(), 10);
  now = 6.4;
  rate.refill();
  assert.equal(credit(), 10);
  now = 6.6;
  rate.refill();
  assert.equal(credit(), 20);
  now = 8.1; // the second interval ended at 8, not 1.5 ms after we looked
  rate.refill();
  assert.equal(credit(), 30);
  now = 1e9;
  rate.refill();
  assert.equal(credit(), 131_072);
  assert.equal(rate.deadline, Number.POSITIVE_INFINITY);
});
