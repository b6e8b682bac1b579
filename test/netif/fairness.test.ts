/** Whoever is slow loses its own frames, not those of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FE_SG, MISSES_PER_ROUND } from '../../assembly/netif_layout.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { countersOf } from '../support/drops.js';
import { Machine, macOf } from '../support/machine.js';
import { blankFrame, plainFrame } from '../support/packets.js';

test('a guest that posts one slot at a time is stalled: frames for others flow on (XSA-392)', () => {
  const machine = new Machine();
  const host = macOf(99);
  const sender = machine.addMemoryPort('host', { mac: host });
  const slow = machine.addBareGuest('slow');
  const other = machine.addGuest('other');
  machine.settle();
  let received = 0;
  const seconds = 5;
  for (let ms = 1; ms <= seconds * 1000; ms++) {
    machine.now = ms;
    if (ms % 150 === 0) {
      slow.postRx(1);
      slow.publishRx();
    }
    for (;;) {
      if (!sender.send(plainFrame(slow.mac, host, 100))) break;
      if (!sender.send(plainFrame(other.mac, host, 100))) break;
    }
    machine.settle(2);
    while (other.receive()) received++;
  }
  const { drops, out } = countersOf(machine.arena, slow.netback);
  assert.ok(received > 1000 * seconds, `${received} frames for the other guest in ${seconds} s`);
  assert.ok(drops['rx-stalled'] > 0, 'the slow guest is stalled');
  assert.ok(out.frames > 0, 'and still gets what it has room for');
  machine.close();
});

for (const transfer of TRANSFER_NAMES) {
  test(`a group frame with a blank checksum reaches receivers with and without offloads (${transfer})`, () => {
    const machine = new Machine();
    const a = machine.addGuest('a', { transfer });
    const able = machine.addGuest('able', { transfer });
    const plain = machine.addGuest('plain', { transfer, features: FE_SG });
    const group = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x63);
    const frame = blankFrame(group, a.mac, { family: 4, proto: 17, payload: 900 });
    a.send(frame.bytes, frame.vnet);
    machine.settle();
    assert.ok(able.receive(), 'with offloads');
    const received = plain.receive();
    assert.ok(received, 'without');
    assert.equal(received.vnet[0] & 1, 0, 'the checksum is complete');
    assert.deepEqual(countersOf(machine.arena, plain.netback).drops, {});
    machine.close();
  });
}

for (const transfer of TRANSFER_NAMES) {
  test(`two senders share a receiver that has not room for both (${transfer})`, () => {
    const machine = new Machine();
    const senders = ['first', 'second'].map((name) => machine.addBareGuest(name, { transfer }));
    const receiver = machine.addBareGuest('receiver', { transfer });
    const marker = (sender: (typeof senders)[number]) => sender.mac[5];
    const got = new Map<number, number>();
    let seen = 0;
    for (let ms = 1; ms <= 400; ms++) {
      machine.now = ms;
      receiver.postRx(16);
      for (const sender of senders) {
        while (sender.txProd - sender.txAnswered < 200)
          sender.putPacket(plainFrame(receiver.mac, sender.mac, 100), 0);
        sender.publishTx();
      }
      machine.engine.round(ms);
      for (; seen !== receiver.rxAnswered; seen++) {
        const from = machine.arena.u8[receiver.rxPage(seen % 256) + 11];
        got.set(from, (got.get(from) ?? 0) + 1);
      }
    }
    const [first, second] = senders.map((sender) => got.get(marker(sender)) ?? 0);
    assert.ok(first + second > 5000, `${first} and ${second}`);
    assert.ok(Math.min(first, second) > 0.3 * Math.max(first, second), `${first} and ${second} frames`);
    machine.close();
  });
}

test('a guest whose grants are new for each frame makes few mappings a round, and loses nothing', () => {
  let mapped = 0;
  const machine = new Machine();
  machine.onMap = () => mapped++;
  const sender = machine.addBareGuest('sender');
  const receiver = machine.addBareGuest('receiver');
  receiver.postRx(200, 0, () => receiver.rxGref(0));
  for (let i = 0; i < 150; i++) sender.putPacket(plainFrame(receiver.mac, sender.mac, 100, i), i);
  sender.publishTx();
  for (let round = 0; round < 10; round++) {
    const before = mapped;
    machine.engine.round(machine.now);
    assert.ok(mapped - before <= MISSES_PER_ROUND + 1, `${mapped - before} in one round`);
  }
  assert.equal(receiver.rxAnswered, 150);
  assert.equal(mapped, 151);
  machine.close();
});

test('nor does it make more of them by having many queues', () => {
  let mapped = 0;
  const machine = new Machine(1 << 29);
  machine.onMap = () => mapped++;
  const queues = 16;
  const sender = machine.addBareGuest('sender', { queues, txBuffers: 32 });
  const receiver = machine.addBareGuest('receiver');
  receiver.postRx(255, 0, () => receiver.rxGref(0));
  for (const queue of sender.queues) {
    for (let i = 0; i < 8; i++)
      queue.putPacket(
        plainFrame(receiver.mac, sender.mac, 18 * 64, i),
        i * 18,
        new Array<number>(18).fill(64),
      );
    queue.publishTx();
  }
  let most = 0;
  for (let round = 0; round < 60; round++) {
    const before = mapped;
    machine.engine.round(machine.now);
    most = Math.max(most, mapped - before);
  }
  assert.ok(most <= MISSES_PER_ROUND + 18 + 1, `${most} in one round`);
  for (const queue of sender.queues) assert.equal(queue.txAnswered, 8 * 18);
  machine.close();
});

test('a guest that posts a page never seen before for each frame makes few mappings a round, and loses nothing', () => {
  let mapped = 0;
  const machine = new Machine();
  machine.onMap = () => mapped++;
  const senders = ['first', 'second', 'third'].map((name) => machine.addBareGuest(name));
  const receiver = machine.addBareGuest('receiver');
  for (const sender of senders) {
    // All from one page, mapped at once: what is mapped from here on is for the receiver.
    for (let i = 0; i < 64; i++) sender.putTx({ gref: sender.txGref(0), flags: 0, size: 100 });
    machine.arena.u8.set(plainFrame(receiver.mac, sender.mac, 100), sender.txPage(0));
    sender.publishTx();
  }
  receiver.postRx(192);
  const each: number[] = [];
  for (let round = 0; round < 6; round++) {
    const before = mapped;
    machine.engine.round(machine.now);
    each.push(mapped - before);
  }
  assert.ok(Math.max(...each) <= MISSES_PER_ROUND + 3, `${each.join(', ')} in one round`);
  assert.equal(mapped, 192 + 3);
  assert.equal(receiver.rxAnswered, 192);
  for (const sender of senders) assert.equal(sender.txAnswered, 64);
  const { drops, out } = countersOf(machine.arena, receiver.netback);
  assert.deepEqual(drops, {});
  assert.ok(out.waits > 0, 'frames waited for the next round');
  machine.close();
});

test('nor where its whole cache is in use in one tick, and another in the next: the rest is copied by grant', () => {
  let mapped = 0;
  const machine = new Machine();
  machine.onMap = () => mapped++;
  const [count, frames] = [6, 40];
  const senders = Array.from({ length: count }, (_, i) => machine.addBareGuest(`sender ${i}`));
  const receiver = machine.addBareGuest('receiver', { cachePages: 32 });
  const sent: Uint8Array[] = [];
  for (const sender of senders) {
    const frame = plainFrame(receiver.mac, sender.mac, 100);
    for (let i = 0; i < frames; i++) {
      sender.putTx({ gref: sender.txGref(0), flags: 0, size: 100 });
      sent.push(frame);
    }
    machine.arena.u8.set(frame, sender.txPage(0));
    sender.publishTx();
  }
  receiver.postRx(count * frames);
  for (let round = 0; round < 8; round++) {
    const before = mapped;
    machine.engine.round(machine.now);
    assert.ok(mapped - before <= MISSES_PER_ROUND + count, `${mapped - before} in one round`);
  }
  assert.equal(receiver.rxAnswered, count * frames);
  const { drops, cache } = countersOf(machine.arena, receiver.netback);
  assert.deepEqual(drops, {});
  assert.ok(cache.copied > 0);
  const got = sent.map((_, slot) =>
    machine.arena.u8.slice(receiver.rxPage(slot), receiver.rxPage(slot) + 100),
  );
  assert.deepEqual(got.map(String).sort(), sent.map(String).sort());
  machine.close();
});

test('group frames, which never wait, are not lost to a receiver that has room and only mappings to be made', () => {
  let mapped = 0;
  const machine = new Machine();
  machine.onMap = () => mapped++;
  const senders = ['first', 'second'].map((name) => machine.addBareGuest(name));
  const receiver = machine.addBareGuest('receiver');
  receiver.postRx(2 * MISSES_PER_ROUND);
  const everybody = new Uint8Array(6).fill(0xff);
  for (const sender of senders) {
    for (let i = 0; i < MISSES_PER_ROUND; i++) sender.putTx({ gref: sender.txGref(0), flags: 0, size: 100 });
    machine.arena.u8.set(plainFrame(everybody, sender.mac, 100), sender.txPage(0));
    sender.publishTx();
  }
  machine.engine.round(machine.now);
  assert.equal(receiver.rxAnswered, 2 * MISSES_PER_ROUND);
  assert.ok(mapped <= MISSES_PER_ROUND + senders.length, `${mapped} in one round`);
  assert.deepEqual(countersOf(machine.arena, receiver.netback).drops, {});
  machine.close();
});

test('two guests that wait for each other’s mappings both get them', () => {
  const machine = new Machine();
  const [a, b] = ['a', 'b'].map((name) => machine.addBareGuest(name));
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    from.postRx(200);
    for (let i = 0; i < 200; i++) from.putPacket(plainFrame(to.mac, from.mac, 100, i), i);
    from.publishTx();
  }
  for (let round = 0; round < 20; round++) machine.engine.round(machine.now);
  for (const guest of [a, b]) {
    assert.equal(guest.rxAnswered, 200);
    assert.equal(guest.txAnswered, 200);
    assert.deepEqual(countersOf(machine.arena, guest.netback).drops, {});
  }
  machine.close();
});

test('a large frame cut into pieces for a guest without offloads is mapped for as a whole', () => {
  const machine = new Machine();
  const sender = machine.addGuest('sender');
  const receiver = machine.addGuest('receiver', { features: FE_SG });
  let pieces = 0;
  for (let i = 0; i < 4; i++) {
    const shape = { family: 4, proto: 6, payload: 40_000, gsoSize: 1000 } as const;
    const frame = blankFrame(receiver.mac, sender.mac, shape);
    assert.ok(sender.send(frame.bytes, frame.vnet));
    machine.settle();
    while (receiver.receive()) pieces++;
  }
  assert.equal(pieces, 4 * 40);
  assert.deepEqual(countersOf(machine.arena, receiver.netback).drops, {});
  machine.close();
});

test('a turn of the direct lane ends by bytes: large frames of one do not hold up another’s', () => {
  const machine = new Machine();
  const receivers = ['x', 'y'].map((name) => machine.addBareGuest(name));
  const [small, large] = ['small', 'large'].map((name) => machine.addBareGuest(name));
  const send = (length: number, from: typeof small, to: typeof small) => {
    to.postRx(200, 0, (n) => to.rxGref(n % 16));
    for (let i = 0; i < 200; i++) from.putPacket(plainFrame(to.mac, from.mac, length, i), i % 16);
    from.publishTx();
  };
  const pairs = [
    { from: small, to: receivers[0], length: 60 },
    { from: large, to: receivers[1], length: 1500 },
  ];
  for (const { from, to, length } of pairs) send(length, from, to); // all pages are mapped
  machine.settle();
  for (const { from, to, length } of pairs) send(length, from, to);
  machine.engine.round(machine.now);
  assert.equal(small.txAnswered, 400, 'as many small ones as there are');
  assert.equal(large.txAnswered, 264, 'and a burst of large ones');
  machine.settle();
  assert.equal(large.txAnswered, 400);
  machine.close();
});
