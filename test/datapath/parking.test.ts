/** Ports that have nothing to do cost nothing, and miss nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PORT_QUIET } from '../../assembly/forward_layout.js';
import { countersOf } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';

/** Rounds without a frame, and a look at who may be parked. */
function quiet(machine: Machine, rounds = 20): void {
  for (let i = 0; i < rounds; i++) machine.engine.round(machine.now);
  machine.engine.park();
}

/** Two guests whose rings the test writes; `looks`: rounds in which a port without frames was looked at. */
function world() {
  const machine = new Machine(1 << 29);
  const [a, b] = ['a', 'b'].map((name) => machine.addBareGuest(name));
  b.postRx(64);
  a.postRx(64);
  const looks = ({ vif: { id } }: typeof a) =>
    machine.arena.u32[machine.engine.forwarding.indexOf(id, PORT_QUIET)];
  return { machine, a, b, looks };
}

test('a quiet port is parked: it is not polled until it is woken, and then misses nothing', () => {
  const { machine, a, b, looks } = world();
  a.putPacket(plainFrame(b.mac, a.mac, 100));
  a.publishTx();
  machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 1);
  quiet(machine, 3);
  const before = looks(a);
  machine.engine.round(machine.now);
  assert.equal(looks(a), before + 1, 'three rounds are not quiet yet');
  quiet(machine);
  const parked = looks(a);
  for (let i = 0; i < 5; i++) assert.equal(machine.engine.round(machine.now), false);
  assert.equal(looks(a), parked);
  a.putPacket(plainFrame(b.mac, a.mac, 101));
  a.publishTx();
  machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 1, 'nobody looks at it');
  machine.engine.wake(a.vif.id, 0);
  machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 2);
  assert.equal(countersOf(machine.arena, a.netback).events, 1);
  machine.close();
});

test('parking arms the port: the guest is asked for an event at its next request', () => {
  const { machine, a } = world();
  quiet(machine);
  const REQ_EVENT = 4;
  assert.equal(machine.arena.u32[(a.txRing + REQ_EVENT) / 4], (a.txProd + 1) >>> 0);
  machine.close();
});

test('a port with a request that nobody has seen is not parked', () => {
  const { machine, a, b } = world();
  for (let i = 0; i < 20; i++) machine.engine.round(machine.now);
  a.putPacket(plainFrame(b.mac, a.mac, 100));
  a.publishTx();
  machine.engine.park();
  machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 1);
  machine.close();
});

test('a parked port receives, and its guest is shown what arrived', () => {
  const { machine, a, b } = world();
  quiet(machine);
  for (let i = 0; i < 3; i++) {
    a.putPacket(plainFrame(b.mac, a.mac, 200 + i), 0);
    a.publishTx();
    machine.engine.wake(a.vif.id, 0);
    machine.engine.round(machine.now);
    assert.equal(b.rxAnswered, i + 1, 'by the general path, then by the direct lane');
  }
  machine.close();
});

test('a port whose frames wait for a receiver stays awake', () => {
  const { machine, a, b } = world();
  b.publishRx();
  for (let i = 0; i < 65; i++) a.putPacket(plainFrame(b.mac, a.mac, 60), i);
  a.publishTx();
  for (let i = 0; i < 3; i++) machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 64);
  assert.ok(machine.engine.waiting);
  quiet(machine);
  b.postRx(4);
  machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 65);
  machine.close();
});

test('detaching a parked port, and waking one that is gone, is harmless', () => {
  const { machine, a, b } = world();
  quiet(machine);
  machine.engine.detach(a.vif.id);
  machine.engine.wake(a.vif.id, 0);
  machine.engine.wake(b.vif.id, 0);
  assert.equal(machine.engine.round(machine.now), false);
  machine.close();
});

test('a parked receiver that runs full is armed for room: its senders do not wait for a timer', () => {
  const { machine, a, b } = world();
  quiet(machine);
  for (let i = 0; i < 65; i++) a.putPacket(plainFrame(b.mac, a.mac, 60), i);
  a.publishTx();
  machine.engine.wake(a.vif.id, 0);
  for (let i = 0; i < 4; i++) machine.engine.round(machine.now);
  assert.equal(b.rxAnswered, 64);
  assert.equal(machine.engine.arm(), false);
  const REQ_EVENT = 4;
  assert.equal(machine.arena.u32[(b.rxRing + REQ_EVENT) / 4], (b.rxProd + 1) >>> 0);
  machine.close();
});
