/** What is the static transfer's own: announced and other pages mixed, look-ups that stay look-ups, the guest's copy. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PAGE_RX_FIRST, RX_PAGES } from '../../src/netif/netfront_memory.js';
import { countersOf, dropped } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { blankFrame, plainFrame } from '../support/packets.js';
import { randomSource } from '../support/random.js';

describe('static', () => {
  test('packets of announced and other pages in every mixture, both ways', () => {
    const machine = new Machine(1 << 28);
    const random = randomSource(21);
    const sender = machine.addBareGuest('sender', { transfer: 'static' });
    const receiver = machine.addBareGuest('receiver', { transfer: 'static' });
    const { u8 } = machine.arena;
    const some = (n: number, page: (i: number) => number, readOnly: boolean) =>
      Array.from({ length: n }, (_, i) => i)
        .filter((i) => i % 3 !== 1)
        .map((i) => ({ reference: page(i), readOnly }));
    assert.equal(sender.control.add(some(64, (i) => sender.txGref(i), true))[0], 0);
    assert.equal(receiver.control.add(some(64, (i) => receiver.rxGref(i), false))[0], 0);
    for (let turn = 0; turn < 400; turn++) {
      const pieces = Array.from({ length: 1 + random(17) }, () => 1 + random(turn % 2 ? 60 : 3000));
      pieces[0] += 13;
      const total = pieces.reduce((sum, n) => sum + n, 0);
      const bytes = plainFrame(receiver.mac, sender.mac, total, turn);
      sender.putPacket(bytes, random(40), pieces);
      const slots = Math.ceil(total / 4096);
      const page = random(40);
      for (let i = 0; i < slots; i++) u8.fill(0, receiver.rxPage(page + i), receiver.rxPage(page + i + 1));
      receiver.postRx(slots, page);
      sender.publishTx();
      machine.settle();
      assert.equal(receiver.rxAnswered, receiver.rxProd);
      const got = u8.subarray(receiver.rxPage(page), receiver.rxPage(page) + total);
      assert.ok(Buffer.from(bytes).equals(got), `turn ${turn}: ${pieces.length} slots, ${total} bytes`);
    }
    assert.equal(sender.txAnswered, sender.txProd);
    assert.equal(dropped(machine.arena, sender.netback) + dropped(machine.arena, receiver.netback), 0);
    machine.close();
  });

  test('once announced, nothing is mapped any more and no grant is looked at', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a', { transfer: 'static' });
    const b = machine.addGuest('b', { transfer: 'static' });
    let mapped = 0;
    machine.onMap = () => mapped++;
    const before = countersOf(machine.arena, b.netback).cache;
    for (let i = 0; i < 600; i++) {
      a.send(plainFrame(b.mac, a.mac, 14 + i * 100, i));
      machine.settle();
      assert.ok(b.receive());
    }
    assert.equal(mapped, 0);
    const { cache } = countersOf(machine.arena, b.netback);
    assert.ok(cache.hits > before.hits + 600);
    assert.equal(cache.misses, before.misses);
    machine.close();
  });

  test('a receiver that copies out gets the same frames: its pages may be written again at once', () => {
    let pages = 0;
    let copied = 0;
    const machine: Machine = new Machine(1 << 28, (loops) => ({
      ...loops,
      netfrontCopyOut: (nf, list, n, frames, to) => {
        loops.netfrontCopyOut(nf, list, n, frames, to);
        copied += n;
        // What arrived is the guest's own by now.
        machine.arena.u8.fill(0xee, pages, pages + RX_PAGES * 4096);
      },
    }));
    const a = machine.addGuest('a', { transfer: 'static' });
    const b = machine.addGuest('b', { transfer: 'static', copyOut: true });
    pages = b.ram + PAGE_RX_FIRST * 4096;
    let bytes = 0;
    for (let turn = 0; turn < 300; turn++) {
      const plain = { bytes: plainFrame(b.mac, a.mac, 14 + ((turn * 211) % 65_000), turn), vnet: undefined };
      const shape = { family: 4, proto: 6, payload: 2000 + turn * 200, gsoSize: 1448 } as const;
      const sent = turn % 3 === 0 ? blankFrame(b.mac, a.mac, shape) : plain;
      assert.ok(a.send(sent.bytes, sent.vnet));
      machine.settle();
      const got = b.receive();
      assert.ok(got && Buffer.from(sent.bytes).equals(got.bytes), `turn ${turn}`);
      bytes += sent.bytes.length;
    }
    assert.equal(copied, 300);
    const { copies } = countersOf(machine.arena, b.netfront);
    assert.ok(
      copies.bytes <= bytes && copies.bytes > bytes - 300 * 128,
      'one copy, of what is not in the header',
    );
    assert.equal(
      machine.arena.u32[b.rxRing / 4] - machine.arena.u32[(b.rxRing + 8) / 4],
      256,
      'all posted again',
    );
    machine.close();
  });
});
