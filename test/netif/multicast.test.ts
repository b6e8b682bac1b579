/** Multicast control: the list, the filter, their switch, and front ends that know nothing of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MCAST_MAX } from '../../assembly/control_layout.js';
import { NETIF_RSP_ERROR, NETIF_RSP_NULL, NETIF_RSP_OKAY, NETTXF_extra_info } from '../../src/abi/netif.js';
import { setMulticastControl } from '../../src/netif/netback_memory.js';
import { TRANSFER_NAMES, type TransferName } from '../../src/transfer/transfer.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { type HostileGuest, Machine } from '../support/machine.js';
import { BROADCAST, plainFrame } from '../support/packets.js';

const ADD = 2;
const DEL = 3;
const MDNS = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb);
const group = (n: number) => Uint8Array.of(0x33, 0x33, 0, 0, n >> 8, n & 0xff);
const HOST = Uint8Array.of(2, 0, 0, 0, 9, 9);

function setUp(transfer: TransferName, multicastControl = true) {
  const machine = new Machine(1 << 28);
  const guest = machine.addBareGuest('guest', { transfer, multicastControl });
  const other = machine.addGuest('other', { transfer });
  const host = machine.addMemoryPort('host', { anySource: true });
  guest.postRx(200, 0);
  /** Whether the guest is given a frame to that MAC; the other guest always is, but for unicast. */
  const hears = (mac: Uint8Array): boolean => {
    const before = guest.rxAnswered;
    assert.ok(host.send(plainFrame(mac, HOST, 60)));
    machine.settle();
    if ((mac[0] & 1) === 1) assert.ok(other.receive(), 'the other guest listed nothing and hears all');
    return guest.rxAnswered !== before;
  };
  return { machine, guest, other, host, hears };
}

/** A dummy request with these extra infos; the answers to its slots. */
function change(machine: Machine, guest: HostileGuest, ...extras: readonly [number, Uint8Array][]) {
  const first = guest.txProd;
  guest.putTx({ gref: 0xffffffff, flags: NETTXF_extra_info, size: 0, id: 91 });
  extras.forEach(([type, mac], i) => {
    guest.putExtra([type, i + 1 < extras.length ? 1 : 0, ...mac]);
  });
  guest.publishTx();
  machine.settle();
  assert.equal(guest.txAnswered, guest.txProd);
  assert.equal(guest.txResponse(first).id, 91);
  for (let i = 1; i <= extras.length; i++)
    assert.equal(guest.txResponse(first + i).status, NETIF_RSP_NULL, 'each extra info has a response');
  return guest.txResponse(first).status;
}

for (const transfer of TRANSFER_NAMES) {
  describe(`multicast control, ${transfer}`, () => {
    test('listed groups, broadcast and unicast pass; others are dropped and counted', () => {
      const { machine, guest, host, hears } = setUp(transfer);
      assert.equal(hears(MDNS), false);
      assert.equal(hears(BROADCAST), true);
      assert.equal(hears(guest.mac), true);
      assert.equal(change(machine, guest, [ADD, MDNS]), NETIF_RSP_OKAY);
      assert.equal(hears(MDNS), true);
      assert.equal(hears(Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0xfc)), false);
      assert.equal(change(machine, guest, [DEL, MDNS]), NETIF_RSP_OKAY);
      assert.equal(hears(MDNS), false);
      assert.deepEqual(dropsOf(machine.arena, guest.netback), { 'group-not-listed': 3 });
      assert.deepEqual(countersOf(machine.arena, guest.netback).control, {
        requests: 0,
        refused: 0,
        multicast: 2,
      });
      assert.equal(countersOf(machine.arena, guest.netback).in.frames, 0, 'a dummy request is no frame');
      assert.equal(host.receive(), undefined, 'and goes nowhere');
      machine.close();
    });

    test('the list is bounded, as Linux bounds it; a group listed twice is deleted twice', () => {
      const { machine, guest, hears } = setUp(transfer);
      for (let i = 0; i < MCAST_MAX; i++)
        assert.equal(change(machine, guest, [ADD, group(i)]), NETIF_RSP_OKAY, `group ${i}`);
      assert.equal(change(machine, guest, [ADD, group(64)]), NETIF_RSP_ERROR);
      assert.equal(hears(group(64)), false);
      assert.equal(hears(group(63)), true);
      assert.equal(change(machine, guest, [DEL, group(7)]), NETIF_RSP_OKAY);
      assert.equal(change(machine, guest, [DEL, group(7)]), NETIF_RSP_OKAY, 'Linux does not mind');
      assert.equal(change(machine, guest, [ADD, group(63)]), NETIF_RSP_OKAY);
      assert.equal(change(machine, guest, [DEL, group(63)]), NETIF_RSP_OKAY);
      assert.equal(hears(group(63)), true);
      assert.equal(change(machine, guest, [DEL, group(63)]), NETIF_RSP_OKAY);
      assert.equal(hears(group(63)), false);
      for (let i = 0; i < 63; i++) assert.equal(hears(group(i)), i !== 7);
      machine.close();
    });

    test('without the request the list is kept and not applied; the switch works at any time', () => {
      const { machine, guest, hears } = setUp(transfer, false);
      assert.equal(hears(MDNS), true);
      assert.equal(change(machine, guest, [ADD, group(1)]), NETIF_RSP_OKAY);
      for (let turn = 0; turn < 3; turn++) {
        setMulticastControl(machine.arena, guest.vif.memory, true);
        assert.deepEqual([hears(MDNS), hears(group(1)), hears(BROADCAST)], [false, true, true]);
        setMulticastControl(machine.arena, guest.vif.memory, false);
        assert.deepEqual([hears(MDNS), hears(group(1)), hears(group(2))], [true, true, true]);
      }
      machine.close();
    });

    test('several extra infos in one request: an addition comes first, and alone', () => {
      const { machine, guest, hears } = setUp(transfer);
      assert.equal(change(machine, guest, [DEL, group(1)], [ADD, group(2)], [4, MDNS]), NETIF_RSP_OKAY);
      assert.deepEqual([hears(group(1)), hears(group(2))], [false, true]);
      assert.equal(change(machine, guest, [ADD, group(1)], [DEL, group(2)]), NETIF_RSP_OKAY);
      assert.deepEqual([hears(group(1)), hears(group(2))], [true, true]);
      machine.close();
    });

    test('frames between changes of the list are answered in their order', () => {
      const { machine, guest, other } = setUp(transfer);
      const frames = [1, 2, 3].map((n) => plainFrame(other.mac, guest.mac, 100 + n));
      for (const [i, frame] of frames.entries()) {
        guest.putPacket(frame, i);
        guest.putTx({ gref: 0, flags: NETTXF_extra_info, size: 0, id: 200 + i });
        guest.putExtra([ADD, 0, ...group(i)]);
      }
      guest.publishTx();
      machine.settle();
      for (const frame of frames) assert.deepEqual(other.receive()?.bytes, frame);
      assert.equal(guest.txAnswered, 9);
      assert.deepEqual(
        [1, 4, 7].map((i) => guest.txResponse(i)),
        [200, 201, 202].map((id) => ({ id, status: NETIF_RSP_OKAY })),
      );
      machine.close();
    });

    test('a new connection begins with an empty list', () => {
      const { machine, guest, hears } = setUp(transfer);
      assert.equal(change(machine, guest, [ADD, MDNS]), NETIF_RSP_OKAY);
      guest.initRings();
      guest.vif.reattach();
      guest.postRx(50, 0);
      assert.equal(hears(MDNS), false);
      machine.close();
    });

    test('XSA-527: changes and frames for groups while the vif goes and comes', () => {
      const { machine, guest, host } = setUp(transfer);
      for (let turn = 0; turn < 30; turn++) {
        for (let i = 0; i < 20; i++) {
          guest.putTx({ gref: 0, flags: NETTXF_extra_info, size: 0, id: i });
          guest.putExtra([turn % 2 ? ADD : DEL, 0, ...group(i)]);
          host.send(plainFrame(group(i), HOST, 60));
        }
        guest.publishTx();
        if (turn % 3 === 0) machine.engine.round(machine.now);
        machine.engine.detach(guest.vif.id);
        setMulticastControl(machine.arena, guest.vif.memory, turn % 2 === 0);
        machine.settle();
        guest.initRings();
        guest.vif.reattach();
        guest.postRx(50, 0);
      }
      assert.equal(change(machine, guest, [ADD, MDNS]), NETIF_RSP_OKAY);
      machine.close();
    });

    test('our netfront lists groups, takes them off, and hears that a list is full', () => {
      const machine = new Machine(1 << 28);
      const guest = machine.addGuest('guest', { transfer, multicastControl: true });
      const host = machine.addMemoryPort('host', { anySource: true });
      const hears = (mac: Uint8Array) => {
        host.send(plainFrame(mac, HOST, 60));
        machine.settle();
        return guest.receive() !== undefined;
      };
      assert.equal(hears(MDNS), false);
      assert.ok(guest.netfront.multicast(true, MDNS));
      machine.settle();
      assert.equal(hears(MDNS), true);
      assert.ok(guest.netfront.multicast(false, MDNS));
      machine.settle();
      assert.equal(hears(MDNS), false);
      // More than the ring takes at once; each is answered, and no id is lost.
      let listed = 0;
      for (let i = 0; i < 300; i++) {
        while (!guest.netfront.multicast(true, group(i))) machine.settle();
        listed++;
      }
      machine.settle();
      assert.equal(listed, 300);
      assert.equal(guest.netfront.multicastRefused, 300 - MCAST_MAX);
      assert.equal(hears(group(MCAST_MAX - 1)), true);
      assert.equal(hears(group(MCAST_MAX)), false);
      assert.deepEqual(dropsOf(machine.arena, guest.netfront), {}, 'a refused group is no lost frame');
      for (let i = 0; i < 600; i++) {
        const frame = plainFrame(HOST, guest.mac, 60 + (i % 1000), i);
        assert.ok(guest.send(frame));
        machine.settle();
      }
      assert.equal(guest.netfront.fenced, 0);
      machine.close();
    });
  });
}
