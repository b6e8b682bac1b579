/** What befell other back ends (Xen security advisories): guests that do not take their frames. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PATIENCE_MOST } from '../../assembly/netif_layout.js';
import { countersOf } from '../support/drops.js';
import { BROADCAST, blankFrame, plainFrame } from '../support/packets.js';
import { attack, world } from './attack_world.js';

describe('netback under attack: receivers', () => {
  attack(
    'XSA-392',
    'a guest that never posts a buffer loses its frames after a deadline, nobody else',
    (w) => {
      const { evil, machine } = w;
      for (let i = 0; i < 40; i++) w.a.send(plainFrame(evil.mac, w.a.mac, 100));
      machine.settle();
      assert.equal(countersOf(machine.arena, evil.netback).drops['rx-stalled'], undefined, 'they may wait');
      w.unharmed();
      machine.now += PATIENCE_MOST;
      machine.settle();
      assert.equal(w.drops()['rx-stalled'], undefined);
      machine.now += 1;
      machine.settle();
      assert.equal(w.drops()['rx-stalled'], 40);
      assert.ok(!machine.engine.waiting);
      for (let i = 0; i < 10; i++) w.a.send(plainFrame(evil.mac, w.a.mac, 100));
      machine.settle();
      assert.equal(w.drops()['rx-stalled'], 50, 'while it is stalled nothing waits for it');
    },
  );

  attack('XSA-392', 'exactly one free slot and a GSO frame: one slot is no proof of life, many are', (w) => {
    const { evil, machine } = w;
    const gso = blankFrame(evil.mac, w.a.mac, { family: 4, proto: 6, payload: 9000, gsoSize: 1448 });
    evil.postRx(1, 0);
    w.a.send(gso.bytes, gso.vnet);
    machine.settle();
    machine.now += PATIENCE_MOST + 1;
    machine.settle();
    assert.equal(w.drops()['rx-stalled'], 1);
    for (let i = 0; i < 20; i++) {
      w.a.send(gso.bytes, gso.vnet);
      machine.settle();
      assert.ok(!machine.engine.waiting, 'a stalled guest makes nobody wait');
    }
    assert.equal(w.drops()['rx-stalled'], 21);
    evil.postRx(63, 1);
    w.a.send(gso.bytes, gso.vnet);
    machine.settle();
    assert.equal(countersOf(machine.arena, evil.netback).out.gso, 1, 'it has room again');
    // Stalled again soon after, it is given half the time.
    while (countersOf(machine.arena, evil.netback).out.waits === 2 && !machine.engine.waiting) {
      w.a.send(plainFrame(evil.mac, w.a.mac, 4000));
      machine.settle();
    }
    machine.now += PATIENCE_MOST / 2 + 1;
    machine.settle();
    assert.ok(!machine.engine.waiting);
    assert.equal(evil.netback.fenced, 0);
  });

  attack('groups', 'a flood of group frames waits for nobody', (w) => {
    const { evil, machine } = w;
    for (let turn = 0; turn < 20; turn++) {
      for (let i = 0; i < 10; i++) w.a.send(plainFrame(BROADCAST, w.a.mac, 100));
      machine.settle();
      while (w.b.receive());
    }
    assert.deepEqual(w.drops(), { 'rx-full': 200 });
    assert.equal(evil.rxAnswered, 0);
  });

  test('two senders to one full receiver: the wake-up is asked for as long as one of them waits', () => {
    const w = world('persistent');
    const { machine, evil } = w;
    evil.postRx(1, 0);
    w.a.send(plainFrame(evil.mac, w.a.mac, 9000)); // needs three slots
    machine.settle();
    w.b.send(plainFrame(evil.mac, w.b.mac, 60)); // fits the one there is
    machine.settle();
    assert.equal(evil.rxAnswered, 1);
    assert.equal(machine.engine.arm(), false);
    const asked = machine.arena.u32[(evil.rxRing + 4) / 4];
    assert.equal(asked, evil.rxProd + 1, 'an event at the next request');
    evil.postRx(3, 1);
    assert.equal(machine.engine.arm(), false, 'armed once; the event wakes it');
    machine.settle();
    assert.equal(evil.rxAnswered, 4);
    machine.close();
  });
});
