/** A hostile front end on the control ring: bad references, garbage, storms, indices that lie. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FENCE_RING_OVERFLOW } from '../../assembly/counters.js';
import { GTF_reading, GTF_writing } from '../../src/abi/grant_table.js';
import { CTRL_ENTRY_SIZE, NETIF_CTRL_RING_SIZE } from '../../src/abi/ring.js';
import { writeList } from '../../src/netif/control_front.js';
import { GREF_BASE, PAGE_CTRL_RING, PAGE_RX_RING, PAGE_TX_RING } from '../../src/netif/netfront_memory.js';
import { LIST_GREF } from '../support/control_side.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { plainFrame } from '../support/packets.js';
import { randomSource } from '../support/random.js';
import { attack, world } from './attack_world.js';

const INVALID_PARAMETER = 2;
const SET_KEY = 3;
const GET_MAPPING_SIZE = 4;
const SET_MAPPING_SIZE = 5;
const SET_MAPPING = 6;
const ADD_GREF = 9;
const DEL_GREF = 10;
const BAD_GREFS = [0, 1, 7, 8191, 8192, 100_000, 0x7fffffff, 0xffffffff];

describe('netback under attack: the control ring', () => {
  attack('XSA-39 on the control ring', 'a request count beyond the ring, or behind what was read', (w) => {
    const { evil, machine } = w;
    for (const prod of [NETIF_CTRL_RING_SIZE + 1, 256, 0x7fffffff, 0x80000000, 0xffffffff]) {
      evil.control.publish(prod);
      machine.settle();
      assert.equal(evil.netback.fenced, FENCE_RING_OVERFLOW, `${prod}`);
      assert.equal(evil.control.answered, 0);
      w.unharmed();
      evil.initRings();
      evil.vif.reattach();
    }
    assert.deepEqual(evil.control.ask(GET_MAPPING_SIZE), [0, 128]);
    evil.control.publish(0);
    machine.settle();
    assert.equal(evil.netback.fenced, FENCE_RING_OVERFLOW, 'a count that goes back');
  });

  attack('XSA-270', 'hash tables out of bounds', (w) => {
    const { evil, machine } = w;
    const { control } = evil;
    control.ask(SET_MAPPING_SIZE, 128);
    const { u8 } = machine.arena;
    const before = Buffer.from(u8.slice(evil.vif.memory, evil.vif.memory + 4096));
    for (const n of [1, 128, 129, 1024, 1025, 0x40000000, 0xffffffff])
      for (const offset of [1, 127, 128, 129, 0x3fffffff, 0xffffffff, 0xffffff80]) {
        if (n + offset <= 128) continue;
        assert.notEqual(control.ask(SET_MAPPING, LIST_GREF, n, offset)[0], 0, `${n} at ${offset}`);
      }
    assert.ok(before.equals(u8.subarray(evil.vif.memory, evil.vif.memory + 4096)), 'nothing was written');
  });

  attack('XSA-362 on the control ring', 'bad references in every message that takes one', (w) => {
    const { control, netback } = w.evil;
    control.ask(SET_MAPPING_SIZE, 16);
    for (const gref of BAD_GREFS) {
      assert.equal(control.ask(SET_KEY, gref, 40)[0], INVALID_PARAMETER);
      assert.equal(control.ask(SET_MAPPING, gref, 16, 0)[0], INVALID_PARAMETER);
      for (const type of [ADD_GREF, DEL_GREF]) {
        assert.notEqual(control.ask(type, 0, gref, 1)[0], 0);
        assert.notEqual(control.ask(type, gref || 1, LIST_GREF, 1)[0], 0, 'no such queue');
        assert.notEqual(control.ask(type, 0, LIST_GREF, 513 + (gref & 0xffff))[0], 0, 'more than a page');
      }
    }
    assert.equal(netback.fenced, 0, 'that costs nothing but the answer');
  });

  attack('XSA-332 on the control ring', 'a storm of requests starves nobody', (w) => {
    const { evil, machine, a, b } = w;
    const { control } = evil;
    let answered = 0;
    for (let turn = 0; turn < 200; turn++) {
      while (control.prod - control.answered < NETIF_CTRL_RING_SIZE) control.put(SET_KEY, [LIST_GREF, 40]);
      control.publish();
      const frame = plainFrame(b.mac, a.mac, 600, turn);
      assert.ok(a.send(frame));
      a.engine.round(machine.now);
      const before = control.answered;
      machine.engine.round(machine.now);
      b.engine.round(machine.now);
      assert.deepEqual(b.receive()?.bytes, frame, 'the pair is served in the same round');
      const served = control.answered - before;
      assert.equal(served, 1, 'one key is as much as a round can bear');
      answered += served;
    }
    assert.equal(countersOf(machine.arena, evil.netback).control.requests, answered);
  });

  attack('XSA-216 on the control ring', 'no octet of an answer is what lay in the slot before', (w) => {
    const { evil, machine } = w;
    const at = evil.control.entry(0);
    machine.arena.u8.fill(0xa5, at, at + CTRL_ENTRY_SIZE);
    evil.control.prod = 1;
    evil.control.publish();
    machine.settle();
    const octets = [...machine.arena.u8.slice(at, at + CTRL_ENTRY_SIZE)];
    assert.deepEqual(octets, [0xa5, 0xa5, 0xa5, 0xa5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  attack('noise', 'garbage on the control ring, then sense', (w) => {
    const { evil, machine } = w;
    const random = randomSource(5);
    for (let turn = 0; turn < 3000; turn++) {
      const type = random(4) === 0 ? random(65536) : random(12);
      const value = () =>
        random(3) === 0 ? random(0x7fffffff) * 2 : random(2) === 0 ? LIST_GREF : random(600);
      if (random(50) === 0)
        for (let i = 0; i < 4096; i += 4)
          machine.arena.view.setUint32(evil.control.list + i, random(9000), true);
      evil.control.put(type, [random(2), value(), value()]);
      if (random(4) === 0) evil.control.publish();
      if (evil.control.prod - evil.control.answered > 100) {
        evil.control.publish();
        machine.settle();
        for (let i = 0; i < 20; i++) machine.engine.round(machine.now);
      }
    }
    evil.control.publish();
    for (let i = 0; i < 5000; i++) machine.engine.round(machine.now);
    assert.equal(evil.control.answered, evil.control.prod);
    assert.equal(evil.netback.fenced, 0);
    assert.deepEqual(evil.control.ask(GET_MAPPING_SIZE), [0, 128]);
  });
});

describe('netback under attack: static grants', () => {
  const pages = (evil: { rxGref(n: number): number }, n: number, from = 0) =>
    Array.from({ length: n }, (_, i) => ({ reference: evil.rxGref(from + i), readOnly: false }));

  test('XSA-332 on static grants: lists by the hundred cost the others a few pages a round', () => {
    const w = world('static');
    const { evil, machine, a, b } = w;
    let mapped = 0;
    machine.onMap = () => mapped++;
    const list = Array.from({ length: 512 }, (_, i) => ({ reference: evil.txGref(i), readOnly: true }));
    writeList(machine.arena, evil.control.list, list);
    const rounds = 2000;
    for (let round = 0; round < rounds; round++) {
      while (evil.control.prod - evil.control.answered < 100)
        evil.control.put(evil.control.prod % 2 === 0 ? ADD_GREF : DEL_GREF, [0, LIST_GREF, 512]);
      evil.control.publish();
      const frame = plainFrame(b.mac, a.mac, 600, round);
      assert.ok(a.send(frame));
      a.engine.round(machine.now);
      const before = mapped;
      machine.engine.round(machine.now);
      assert.ok(mapped - before <= 32, `${mapped - before} pages in one round`);
      b.engine.round(machine.now);
      assert.deepEqual(b.receive()?.bytes, frame, 'the pair is served in the same round');
    }
    assert.ok(mapped > rounds, `${mapped} pages in ${rounds} rounds`);
    assert.equal(countersOf(machine.arena, evil.netback).control.refused, 0);
    machine.close();
  });

  test('a long list with a bad end is refused whole, over many rounds, and can be sent again', () => {
    const w = world('static');
    const { evil, machine } = w;
    const refs = pages(evil, 100);
    const announce = (list: typeof refs) => evil.control.add(list)[0];
    for (const reference of [0xfffffff0, refs[0].reference])
      assert.equal(announce([...refs, { reference, readOnly: false }]), 2, 'INVALID_PARAMETER');
    for (let i = 0; i < 100; i++) assert.equal(announce([refs[i]]), 0, `page ${i} was let go`);
    assert.equal(announce(refs.slice(0, 1)), 2, 'and is there now');
    machine.close();
  });

  test('its own rings announced and deleted: they stay pinned', () => {
    const w = world('static');
    const { evil, machine } = w;
    const rings = [PAGE_TX_RING, PAGE_RX_RING, PAGE_CTRL_RING].map((page) => ({
      reference: GREF_BASE + page,
      readOnly: false,
    }));
    assert.deepEqual(evil.control.add(rings), [0, 0]);
    assert.deepEqual(evil.control.delete(rings.map((page) => page.reference)).answer, [0, 3]);
    for (const { reference } of rings) assert.equal(evil.grants.end(reference), false);
    assert.deepEqual(evil.control.add(rings), [0, 0]);
    machine.engine.detach(evil.vif.id);
    for (const { reference } of rings) assert.equal(evil.grants.end(reference), false);
    machine.close();
  });

  test('XSA-396: pages deleted, and their grants ended, while frames in flight lie in them', () => {
    const w = world('static');
    const { evil, machine } = w;
    const sink = machine.addBareGuest('sink', { transfer: 'static' });
    assert.deepEqual(sink.control.add(pages(sink, 3)), [0, 0]);
    const announce = [0, 1, 2, 3, 4, 5].map((n) => ({ reference: evil.txGref(n), readOnly: true }));
    assert.deepEqual(evil.control.add(announce), [0, 0]);
    const kept = plainFrame(sink.mac, evil.mac, 3000, 1);
    const lost = plainFrame(sink.mac, evil.mac, 3000, 2);
    const whole = plainFrame(sink.mac, evil.mac, 3000, 3);
    evil.putPacket(kept, 0, [1000, 2000]);
    evil.putPacket(lost, 2, [1000, 2000]);
    evil.putPacket(whole, 4, [1000, 2000]);
    evil.publishTx();
    machine.settle();
    assert.ok(machine.engine.waiting, 'they wait for room');
    const gone = [0, 1, 2, 3].map((n) => evil.txGref(n));
    assert.deepEqual(evil.control.delete(gone).answer, [0, 4]);
    // The grants of the second are ended: its bytes cannot be had any more. Those of the first are copied.
    for (const n of [2, 3]) assert.ok(evil.grants.end(evil.txGref(n)));
    sink.postRx(3, 0);
    machine.settle();
    assert.equal(evil.txAnswered, evil.txProd);
    assert.deepEqual(
      [0, 2, 4].map((i) => evil.txResponse(i).status),
      [0, -1, 0],
    );
    const page = (i: number, n: number) => machine.arena.u8.slice(sink.rxPage(i), sink.rxPage(i) + n);
    assert.deepEqual(page(0, 3000), kept);
    assert.ok(sink.rxResponse(1).status < 0);
    assert.deepEqual(page(2, 3000), whole);
    assert.deepEqual(dropsOf(machine.arena, evil.netback), { 'bad-grant': 1 });
    w.unharmed();
    machine.close();
  });

  test('deleted between two frames, and announced again: every frame is right', () => {
    const w = world('static');
    const { evil, machine, b } = w;
    const announce = [0, 1].map((n) => ({ reference: evil.txGref(n), readOnly: true }));
    for (let turn = 0; turn < 40; turn++) {
      if (turn % 2 === 0) assert.deepEqual(evil.control.add(announce), [0, 0]);
      else assert.deepEqual(evil.control.delete(announce.map((page) => page.reference)).answer, [0, 2]);
      const frame = plainFrame(b.mac, evil.mac, 5000, turn);
      evil.putPacket(frame, 0, [4000, 1000]);
      evil.publishTx();
      machine.settle();
      assert.deepEqual(b.receive()?.bytes, frame);
    }
    machine.close();
  });

  test('entries of its table that it rewrites while they are pinned: only what was mapped is touched', () => {
    const w = world('static');
    const { evil, machine, a } = w;
    assert.deepEqual(evil.control.add(pages(evil, 1)), [0, 0]);
    machine.arena.u8.fill(0x77, evil.rxPage(9), evil.rxPage(10));
    evil.grants.grant(evil.rxGref(0), 0, (evil.rxPage(9) - evil.ram) / 4096, false);
    evil.postRx(1, 0);
    const frame = plainFrame(evil.mac, a.mac, 500);
    a.send(frame);
    machine.settle();
    assert.deepEqual(machine.arena.u8.slice(evil.rxPage(0), evil.rxPage(0) + 500), frame);
    assert.ok(machine.arena.u8.subarray(evil.rxPage(9), evil.rxPage(10)).every((byte) => byte === 0x77));
    machine.engine.detach(evil.vif.id);
    assert.ok(machine.arena.u8.subarray(evil.vif.window, evil.vif.window + 4096).every((byte) => byte === 0));
    machine.close();
  });

  test('a page announced for reading is not written, whatever its grant allows', () => {
    const w = world('static');
    const { evil, machine, a } = w;
    const [page] = pages(evil, 1);
    assert.deepEqual(evil.control.add([{ ...page, readOnly: true }]), [0, 0]);
    machine.arena.u8.fill(0x5a, evil.rxPage(0), evil.rxPage(1));
    evil.postRx(2, 0);
    a.send(plainFrame(evil.mac, a.mac, 300));
    a.send(plainFrame(evil.mac, a.mac, 301));
    machine.settle();
    assert.ok(evil.rxResponse(0).status < 0);
    assert.equal(evil.rxResponse(1).status, 301, 'one that was not announced is copied by grant');
    assert.ok(machine.arena.u8.subarray(evil.rxPage(0), evil.rxPage(1)).every((byte) => byte === 0x5a));
    machine.close();
  });

  test('a list that can be read only, or that changes while it is read', () => {
    const w = world('static');
    const { evil, machine } = w;
    const { u8, view } = machine.arena;
    assert.deepEqual(evil.control.add(pages(evil, 3)), [0, 0]);
    view.setUint32(evil.txPage(0), evil.rxGref(1), true);
    view.setUint32(evil.txPage(0) + 4, 0, true);
    assert.deepEqual(evil.control.ask(DEL_GREF, 0, evil.txGref(0), 1), [INVALID_PARAMETER, 0]);
    assert.equal(evil.grants.end(evil.rxGref(1)), false, 'what cannot be answered is not done');
    // The list lies in a page of the list's own: deleting it is answered all the same.
    assert.deepEqual(evil.control.add([{ reference: LIST_GREF, readOnly: false }]), [0, 0]);
    const { answer, statuses } = evil.control.delete([LIST_GREF, evil.rxGref(0)]);
    assert.deepEqual(
      [answer, statuses],
      [
        [0, 2],
        [0, 0],
      ],
    );
    u8.fill(0xff, evil.control.list, evil.control.list + 4096);
    assert.deepEqual(evil.control.ask(ADD_GREF, 0, LIST_GREF, 512), [INVALID_PARAMETER, 0]);
    assert.deepEqual(evil.control.ask(DEL_GREF, 0, LIST_GREF, 512), [0, 0]);
    w.unharmed();
    machine.close();
  });

  test('fenced and detached with everything announced: no pin is left', () => {
    const w = world('static');
    const { evil, machine } = w;
    machine.engine.onFenced = (port) => machine.engine.detach(port.id);
    for (let turn = 0; turn < 5; turn++) {
      assert.deepEqual(evil.control.add(pages(evil, 200)), [0, 0]);
      evil.control.publish(0xfffffff0);
      machine.settle();
      for (const { reference } of pages(evil, 200)) {
        const flags = machine.arena.view.getUint16(evil.domain.table + reference * 8, true);
        assert.equal(flags & (GTF_reading | GTF_writing), 0);
      }
      evil.initRings();
      evil.vif.reattach();
    }
    w.unharmed();
    machine.close();
  });

  test('the domain dies with pages announced', () => {
    const w = world('static');
    const { evil, machine } = w;
    assert.deepEqual(evil.control.add(pages(evil, 100)), [0, 0]);
    machine.engine.detach(evil.vif.id);
    machine.hypervisor.destroy(evil.domain.domid);
    w.unharmed();
    machine.close();
  });
});
