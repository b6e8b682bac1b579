/** What befell other back ends (Xen security advisories): grants that are not, or no longer. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { GNTTAB_NR_RESERVED_ENTRIES } from '../../src/abi/grant_table.js';
import { NETTXF_more_data } from '../../src/abi/netif.js';
import { dropsOf } from '../support/drops.js';
import { plainFrame } from '../support/packets.js';
import { attack } from './attack_world.js';

describe('netback under attack: grants', () => {
  attack('XSA-361, XSA-362, XSA-367', 'bad grant references everywhere', (w) => {
    const { evil, machine } = w;
    const readOnly = evil.txGref(1);
    const table = [0, 1, GNTTAB_NR_RESERVED_ENTRIES, 8191, 8192, 100_000, 0x7fffffff, 0xffffffff];
    for (const gref of table) {
      for (const pieces of [1, 2, 18]) {
        const first = evil.txProd;
        const total = pieces * 100;
        for (let i = 0; i < pieces; i++) {
          const good = i !== pieces - 1;
          machine.arena.u8.set(plainFrame(w.b.mac, evil.mac, 100), evil.txPage(i));
          const flags = good ? NETTXF_more_data : 0;
          evil.putTx({ gref: good ? evil.txGref(i) : gref, flags, size: i === 0 ? total : 100 });
        }
        evil.publishTx();
        machine.settle();
        assert.equal(evil.txAnswered, evil.txProd, `TX ${gref}: every slot is answered`);
        for (let i = 0; i < pieces; i++) assert.equal(evil.txResponse(first + i).id, (first + i) & 0xff);
      }
      while (w.b.receive()); // nothing of those may be whole
      evil.postRx(1, 0, () => gref);
      w.a.send(plainFrame(evil.mac, w.a.mac, 200));
      machine.settle();
      assert.equal(evil.rxAnswered, evil.rxProd);
      assert.ok(evil.rxResponse(evil.rxProd - 1).status < 0, `RX ${gref}`);
      w.unharmed();
    }
    evil.postRx(1, 0, () => readOnly);
    w.a.send(plainFrame(evil.mac, w.a.mac, 200));
    machine.settle();
    assert.ok(evil.rxResponse(evil.rxProd - 1).status < 0, 'a page granted read-only');
    assert.equal(evil.netback.fenced, 0, 'bad grants cost frames, not the connection');
  });

  attack('blame', 'a bad grant behind a good one is its sender’s fault, and its sender is told', (w) => {
    const { evil, machine } = w;
    const victim = machine.addBareGuest('victim', { transfer: w.transfer });
    victim.postRx(8);
    machine.arena.u8.set(plainFrame(victim.mac, evil.mac, 200), evil.txPage(0));
    evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 400 });
    evil.putTx({ gref: 8000, size: 200 });
    evil.publishTx();
    machine.settle();
    assert.equal(evil.txResponse(evil.txProd - 1).status, -1);
    assert.equal(dropsOf(machine.arena, evil.netback)['bad-grant'], 1);
    assert.deepEqual(dropsOf(machine.arena, victim.netback), {});
  });

  attack('XSA-396, XSA-405', 'grants revoked in every order', (w) => {
    const { evil, machine, b } = w;
    const put = (seed: number) => {
      const frame = plainFrame(b.mac, evil.mac, 3000, seed);
      evil.putPacket(frame, 0, [1000, 2000]);
      evil.publishTx();
      return frame;
    };
    const regrant = (n: number) =>
      evil.grants.grant(evil.txGref(n), 0, (evil.txPage(n) - evil.ram) / 4096, true);
    put(1);
    assert.ok(evil.grants.end(evil.txGref(0)), 'before it is read');
    machine.settle();
    assert.equal(b.receive(), undefined);
    regrant(0);
    put(2);
    assert.ok(evil.grants.end(evil.txGref(1)));
    machine.settle();
    assert.equal(b.receive(), undefined);
    regrant(1);
    const frame = put(3);
    machine.settle();
    assert.deepEqual(b.receive()?.bytes, frame, 'granted again, used again');
    assert.equal(
      evil.grants.end(evil.txGref(0)) && evil.grants.end(evil.txGref(1)),
      true,
      'nothing is held after use',
    );
    regrant(0);
    regrant(1);
    // While the frame waits for a receiver without room.
    const sink = machine.addBareGuest('sink');
    const waits = plainFrame(sink.mac, evil.mac, 3000, 4);
    evil.putPacket(waits, 0, [1000, 2000]);
    evil.publishTx();
    machine.settle();
    assert.ok(machine.engine.waiting);
    evil.grants.end(evil.txGref(0));
    evil.grants.end(evil.txGref(1));
    sink.postRx(4);
    machine.settle();
    assert.equal(evil.txAnswered, evil.txProd);
    assert.equal(sink.rxAnswered, 1);
    regrant(0);
    regrant(1);
    // On the receiving side: after it was posted.
    evil.postRx(2, 0);
    assert.ok(evil.grants.end(evil.rxGref(0)));
    w.a.send(plainFrame(evil.mac, w.a.mac, 200));
    w.a.send(plainFrame(evil.mac, w.a.mac, 201));
    machine.settle();
    assert.ok(evil.rxResponse(0).status < 0);
    assert.equal(evil.rxResponse(1).status, 201);
    assert.equal(evil.grants.end(GNTTAB_NR_RESERVED_ENTRIES + 1), false, 'the ring itself stays mapped');
  });
});
