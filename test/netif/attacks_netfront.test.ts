/** A hostile back end against netfront, each attack under its name. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NETIF_RSP_ERROR, NETIF_RSP_NULL, NETRXF_more_data } from '../../src/abi/netif.js';
import { RING_REQ_PROD } from '../../src/abi/ring.js';
import { dropsOf } from '../support/drops.js';
import { type Guest, Machine } from '../support/machine.js';
import { BROADCAST, plainFrame } from '../support/packets.js';

describe('netfront under attack', () => {
  /** A guest whose back end is the test. */
  function alone(): {
    machine: Machine;
    guest: Guest;
    respond(index: number, flags: number, status: number, offset?: number): void;
    publish(rsp: number): void;
  } {
    const machine = new Machine(1 << 28);
    const guest = machine.addGuest('a');
    machine.engine.detach(1);
    const { view, u32 } = machine.arena;
    return {
      machine,
      guest,
      respond: (index, flags, status, offset = 0) => {
        const at = guest.rxRing + 64 + (index % 256) * 8;
        view.setUint16(at + 2, offset, true);
        view.setUint16(at + 4, flags, true);
        view.setInt16(at + 6, status, true);
      },
      publish: (rsp) => Atomics.store(u32, (guest.rxRing + 8) / 4, rsp >>> 0),
    };
  }

  test('CVE-2026-99057: a receive chain longer than a frame can be', () => {
    const { machine, guest, respond, publish } = alone();
    for (let i = 0; i < 200; i++) respond(i, i < 199 ? NETRXF_more_data : 0, 4096);
    publish(200);
    machine.settle();
    assert.equal(guest.receive(), undefined);
    assert.deepEqual(dropsOf(machine.arena, guest.netfront), { oversize: 1 });
    assert.equal(
      machine.arena.u32[(guest.rxRing + RING_REQ_PROD) / 4],
      456,
      'every page is posted again, once',
    );
    machine.close();
  });

  test('a frame longer than 65535 bytes in few slots does not run over the next buffer', () => {
    const { machine, guest, respond, publish } = alone();
    for (let i = 0; i < 20; i++) respond(i, i < 19 ? NETRXF_more_data : 0, 4096);
    publish(20);
    machine.settle();
    assert.equal(guest.receive(), undefined);
    assert.deepEqual(dropsOf(machine.arena, guest.netfront), { oversize: 1 });
    machine.close();
  });

  test('error responses and offsets beyond the page give each page back once', () => {
    const { machine, guest, respond, publish } = alone();
    let index = 0;
    for (let turn = 0; turn < 300; turn++) {
      respond(index++, 0, NETIF_RSP_ERROR);
      respond(index++, 0, 100, 4090);
      respond(index++, 0, 0);
      publish(index);
      machine.settle();
    }
    const { u32, view } = machine.arena;
    const posted = new Set<number>();
    const prod = u32[guest.rxRing / 4];
    assert.equal(prod - index, 256);
    for (let i = prod - 256; i < prod; i++)
      posted.add(view.getUint32(guest.rxRing + 64 + (i % 256) * 8 + 4, true));
    assert.equal(posted.size, 256, 'no page is posted twice');
    assert.deepEqual(dropsOf(machine.arena, guest.netfront), { 'bad-slot': 600, 'peer-error': 300 });
    machine.close();
  });

  test('responses to nothing, and more than were asked for, fence it', () => {
    for (const rsp of [257, 0x80000000, 0xffffffff]) {
      const { machine, guest, publish } = alone();
      publish(rsp);
      machine.settle();
      assert.notEqual(guest.netfront.fenced, 0);
      machine.close();
    }
    const { machine, guest } = alone();
    guest.send(plainFrame(BROADCAST, guest.mac, 60));
    machine.settle();
    machine.arena.view.setUint16(guest.txRing + 64, 200, true); // an id that is not in use
    Atomics.store(machine.arena.u32, (guest.txRing + 8) / 4, 1);
    machine.settle();
    assert.notEqual(guest.netfront.fenced, 0);
    machine.close();
  });

  test('requests answered as if they were extra infos use the table up: fenced, not corrupted', () => {
    const { machine, guest } = alone();
    const { view, u32 } = machine.arena;
    let answered = 0;
    for (let turn = 0; turn < 400 && guest.netfront.fenced === 0; turn++) {
      guest.send(plainFrame(BROADCAST, guest.mac, 60));
      machine.settle();
      const prod = u32[guest.txRing / 4];
      for (; answered !== prod; answered++)
        view.setInt16(guest.txRing + 64 + (answered % 256) * 12 + 2, NETIF_RSP_NULL, true);
      Atomics.store(u32, (guest.txRing + 8) / 4, answered);
    }
    assert.notEqual(guest.netfront.fenced, 0);
    assert.ok(answered <= 256);
    machine.close();
  });
});
