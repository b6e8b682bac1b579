/** Whoever is slow loses its own frames, not those of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FE_SG } from '../../assembly/netif_layout.js';
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
