/** What befell other back ends (Xen security advisories, CVEs): indices, slots, chains, responses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NETIF_RSP_OKAY, NETRXF_extra_info, NETTXF_more_data } from '../../src/abi/netif.js';
import { TX_ENTRY_SIZE } from '../../src/abi/ring.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { countersOf } from '../support/drops.js';
import { blankFrame, plainFrame } from '../support/packets.js';
import { attack, world } from './attack_world.js';

describe('netback under attack: the ring', () => {
  attack('XSA-39', 'a request count beyond the ring, or behind what was read', (w) => {
    const { evil, machine } = w;
    for (const prod of [257, 300, 0x7fffffff, 0x80000000, 0xffffffff]) {
      for (const side of ['tx', 'rx'] as const) {
        if (side === 'tx') evil.publishTx(prod);
        else evil.publishRx(prod);
        w.a.send(plainFrame(evil.mac, w.a.mac, 60));
        machine.settle();
        assert.notEqual(evil.netback.fenced, 0, `${side} ${prod}`);
        assert.equal(evil.txAnswered + evil.rxAnswered, 0);
        w.unharmed();
        evil.initRings();
        evil.vif.reattach();
        assert.equal(evil.netback.fenced, 0);
      }
    }
    for (let i = 0; i < 10; i++) evil.putPacket(plainFrame(w.b.mac, evil.mac, 60));
    evil.publishTx();
    machine.settle();
    assert.equal(evil.txAnswered, 10);
    evil.publishTx(5);
    machine.settle();
    assert.notEqual(evil.netback.fenced, 0, 'a count that goes back');
    assert.equal(evil.txAnswered, 10);
  });

  attack('XSA-90', 'a fatal error in mid-batch, and the port detached as soon as it is known', (w) => {
    const { evil, machine } = w;
    const told: string[] = [];
    machine.engine.onFenced = (port) => {
      told.push(port.name);
      machine.engine.detach(port.id);
    };
    const frames = [1, 2, 3].map((n) => plainFrame(w.b.mac, evil.mac, 100 + n));
    for (const [i, frame] of frames.entries()) evil.putPacket(frame, i);
    evil.putTx({ gref: evil.txGref(9), offset: 4000, size: 1000 });
    for (const [i, frame] of frames.entries()) evil.putPacket(frame, i);
    evil.publishTx();
    machine.settle();
    assert.deepEqual(told, ['evil/0']);
    for (const frame of frames)
      assert.deepEqual(w.b.receive()?.bytes, frame, 'what came before the error is delivered');
    assert.equal(w.b.receive(), undefined);
    assert.equal(
      machine.engine.ports.some((port) => port.name === 'evil/0'),
      false,
    );
  });

  for (const transfer of TRANSFER_NAMES) {
    test(`XSA-155: slots that change after they were read (${transfer})`, () => {
      let mutate = () => {};
      const w = world(transfer, {
        wrapTransfer: (inner) => ({
          name: inner.name,
          cache: inner.cache,
          tick: () => inner.tick(),
          move: (segments, n) => {
            mutate();
            inner.move(segments, n);
            mutate();
          },
          borrow: (list, n, bad) => {
            mutate();
            return inner.borrow(list, n, bad);
          },
          settle: () => inner.settle(),
          close: () => inner.close(),
        }),
      });
      const { evil, machine } = w;
      machine.onMap = () => mutate();
      for (const byte of [0x00, 0xff, 0x5a]) {
        mutate = () => {
          for (let i = 0; i < 256; i++)
            machine.arena.u8.fill(byte, evil.txEntry(i), evil.txEntry(i) + TX_ENTRY_SIZE);
        };
        const first = evil.txProd;
        const frame = plainFrame(w.b.mac, evil.mac, 5000, byte);
        evil.putPacket(frame, 0, [1000, 2000, 2000]);
        evil.publishTx();
        machine.settle();
        mutate = () => {};
        assert.deepEqual(w.b.receive()?.bytes, frame, `filled with ${byte}`);
        assert.equal(evil.netback.fenced, 0);
        for (let i = 0; i < 3; i++) {
          const at = (first + i) >>> 0;
          assert.deepEqual(evil.txResponse(at), { id: at & 0xff, status: NETIF_RSP_OKAY });
        }
      }
      // The receive side: the reference and id in the ring change while the bytes are on their way. (A cache that
      // misses would let us in before the slots are read: those may change then.)
      machine.onMap = () => {};
      evil.postRx(4, 0);
      mutate = () => {
        for (let i = 0; i < 4; i++) machine.arena.u8.fill(0xee, evil.rxEntry(i), evil.rxEntry(i) + 8);
      };
      const frame = plainFrame(evil.mac, w.a.mac, 9000);
      w.a.send(frame);
      machine.settle();
      const bytes = [0, 1, 2].flatMap((i) => [
        ...machine.arena.u8.subarray(evil.rxPage(i), evil.rxPage(i + 1)),
      ]);
      assert.deepEqual(Uint8Array.from(bytes.slice(0, 9000)), frame);
      assert.deepEqual(
        [0, 1, 2].map((i) => evil.rxResponse(i).id),
        [0, 1, 2],
      );
      mutate = () => {};
      w.unharmed();
      machine.close();
    });
  }

  attack('XSA-216', 'no octet of a response is what lay in the slot before', (w) => {
    const { evil, machine } = w;
    evil.postRx(8, 0);
    for (let i = 0; i < 8; i++) machine.arena.u8.fill(0xa5, evil.rxEntry(i) + 2, evil.rxEntry(i) + 4); // the request's pad
    const gso = blankFrame(evil.mac, w.a.mac, { family: 4, proto: 6, payload: 3000, gsoSize: 1000 });
    w.a.send(gso.bytes, gso.vnet);
    w.a.send(plainFrame(evil.mac, w.a.mac, 60));
    machine.settle();
    const octets = (i: number) => [...machine.arena.u8.slice(evil.rxEntry(i), evil.rxEntry(i) + 8)];
    const status = gso.bytes.length;
    assert.deepEqual(octets(0), [0, 0, 0, 0, 1 | 2 | NETRXF_extra_info, 0, status & 0xff, status >> 8]);
    assert.deepEqual(octets(1), [1, 0, 1000 & 0xff, 1000 >> 8, 1, 0, 0, 0]);
    assert.deepEqual(octets(2), [2, 0, 0, 0, 0, 0, 60, 0]);
    assert.equal(evil.rxAnswered, 3);
  });

  attack('XSA-332, XSA-391', 'events without work change nothing and provoke none', (w) => {
    const { evil, machine } = w;
    w.unharmed();
    const before = countersOf(machine.arena, evil.netback);
    for (let i = 0; i < 10_000; i++) {
      evil.netback.wake();
      machine.engine.round(machine.now);
    }
    const after = countersOf(machine.arena, evil.netback);
    assert.equal(after.notifications, before.notifications);
    assert.equal(after.events - before.events, 10_000);
    assert.equal(machine.engine.arm(), false);
  });

  attack('XSA-374', 'malformed, then torn down, then connected again', (w) => {
    const { evil, machine } = w;
    for (let turn = 0; turn < 20; turn++) {
      evil.putTx({ gref: 1, flags: NETTXF_more_data, size: 100 }); // the slot it announces is missing
      evil.publishTx();
      w.a.send(plainFrame(evil.mac, w.a.mac, 60));
      machine.settle();
      assert.notEqual(evil.netback.fenced, 0);
      assert.equal(evil.txAnswered, 0, 'a fenced guest is told nothing more');
      machine.engine.detach(evil.vif.id);
      machine.settle();
      evil.initRings();
      evil.vif.reattach();
      const frame = plainFrame(w.b.mac, evil.mac, 200, turn);
      evil.putPacket(frame);
      evil.publishTx();
      machine.settle();
      assert.deepEqual(w.b.receive()?.bytes, frame);
      evil.initRings();
      evil.vif.reattach();
    }
  });
});
