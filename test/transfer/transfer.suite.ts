/**
 * What every transfer must do: the same frames out as in, bit for bit, and each grant that does not allow the move
 * costs that frame alone. Run for every pair of sender's and receiver's transfer.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { NETTXF_more_data } from '../../src/abi/netif.js';
import {
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_FLAGS,
  VNET_GSO_SIZE,
  VNET_GSO_TYPE,
} from '../../src/abi/virtio_net.js';
import { FLIP, TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { countersOf, dropped, dropsOf } from '../support/drops.js';
import { type HostileGuest, Machine } from '../support/machine.js';
import { blankFrame, pattern, plainFrame } from '../support/packets.js';
import { randomSource } from '../support/random.js';

function announceSome(guest: HostileGuest, n: number, reference: (n: number) => number, readOnly: boolean) {
  const pages = Array.from({ length: n / 2 }, (_, i) => ({ reference: reference(i * 2), readOnly }));
  assert.deepEqual(guest.control.add(pages), [0, 0]);
}

/** The mechanisms that can serve guests, and the lab's own. */
export const STRATEGIES = [...TRANSFER_NAMES, FLIP] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** What the rest of a page holds after a frame was put into it that held `before` everywhere. */
export const restOf = (strategy: Strategy, before: number) => (strategy === FLIP ? 0 : before);

export function transferSuite(sender: Strategy, receiver: Strategy): void {
  describe(`transfer ${sender} to ${receiver}`, () => {
    const machine = new Machine();
    const a = machine.addGuest('a', { transfer: sender });
    const b = machine.addGuest('b', { transfer: receiver });
    const bare = machine.addBareGuest('bare', { transfer: sender });
    // Every other page, so that packets lie in announced pages and in others.
    if (sender === 'static') announceSome(bare, 96, (n) => bare.txGref(n), true);
    const host = machine.addMemoryPort('host', { anySource: true });
    after(() => machine.close());

    const exchange = (lengths: readonly number[]) => {
      for (let i = 0; i < lengths.length; i += 12) {
        const frames = lengths.slice(i, i + 12).map((n) => plainFrame(b.mac, a.mac, n));
        for (const frame of frames) assert.ok(a.send(frame));
        machine.settle();
        for (const frame of frames) {
          const got = b.receive();
          assert.ok(got, `a frame of ${frame.length} bytes did not arrive`);
          assert.ok(Buffer.from(frame).equals(got.bytes), `a frame of ${frame.length} bytes arrived changed`);
        }
        assert.equal(b.receive(), undefined);
      }
    };

    test('every size from 14 to 300', () => {
      exchange(Array.from({ length: 287 }, (_, i) => 14 + i));
    });

    test('sizes up to 65535, and around every page', () => {
      const random = randomSource(7);
      const around = [1, 2, 3, 8, 15, 16].flatMap((k) => [k * 4096 - 1, k * 4096, k * 4096 + 1]);
      const sizes = around.filter((n) => n <= 65535);
      exchange([...sizes, 65535, 65534, ...Array.from({ length: 60 }, () => 14 + random(65522))]);
      assert.equal(dropped(machine.arena, a.netback), 0);
      assert.equal(dropped(machine.arena, b.netback), 0);
    });

    test('offsets in a page, at its end, and packets of 2 to 18 slots of any size', () => {
      const random = randomSource(11);
      const { u8 } = machine.arena;
      for (let turn = 0; turn < 300; turn++) {
        const slots = 1 + (turn % 18);
        const pieces = Array.from({ length: slots }, () => 1 + random(turn % 3 === 0 ? 40 : 3500));
        pieces[0] += 14;
        const total = pieces.reduce((sum, n) => sum + n, 0);
        if (total > 65535) continue;
        const bytes = plainFrame(b.mac, bare.mac, total, turn);
        let at = 0;
        pieces.forEach((size, i) => {
          const room = 4096 - size;
          const offset = turn % 5 === 0 ? room : random(room + 1);
          u8.set(bytes.subarray(at, at + size), bare.txPage(i) + offset);
          at += size;
          const flags = i + 1 < slots ? NETTXF_more_data : 0;
          bare.putTx({ gref: bare.txGref(i), offset, flags, size: i === 0 ? total : size });
        });
        bare.publishTx();
        machine.settle();
        const got = b.receive();
        assert.ok(
          got && Buffer.from(bytes).equals(got.bytes),
          `turn ${turn}: ${slots} slots, ${total} bytes`,
        );
      }
      assert.equal(bare.txAnswered, bare.txProd);
    });

    test('large TCP frames of both families go whole, with what is left to do', () => {
      for (const family of [4, 6] as const) {
        for (const payload of [1461, 4000, 9000, 33_000, 65_000]) {
          const frame = blankFrame(b.mac, a.mac, { family, proto: 6, payload, gsoSize: 1440 });
          assert.ok(a.send(frame.bytes, frame.vnet));
          machine.settle();
          const got = b.receive();
          assert.ok(got && Buffer.from(frame.bytes).equals(got.bytes), `IPv${family}, ${payload} bytes`);
          for (const field of [VNET_FLAGS, VNET_GSO_TYPE, VNET_GSO_SIZE, VNET_CSUM_START, VNET_CSUM_OFFSET])
            assert.equal(
              got.vnet[field],
              frame.vnet[field],
              `IPv${family}, ${payload} bytes, field ${field}`,
            );
        }
      }
    });

    test('to a port that takes no grants', () => {
      for (const length of [14, 127, 128, 129, 4096, 4097, 65535]) {
        const frame = plainFrame(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff), a.mac, length);
        a.send(frame);
        machine.settle();
        const got = host.receive();
        assert.ok(got && Buffer.from(frame).equals(got.bytes), `${length} bytes`);
        assert.ok(Buffer.from(frame).equals(b.receive()!.bytes));
      }
    });

    test('one slot of k that is not granted costs its own frame, not its neighbours (XSA-361)', () => {
      for (let k = 0; k < 5; k++) {
        for (const failing of [true, false]) {
          for (let i = 0; i < 5; i++) {
            const bytes = plainFrame(b.mac, bare.mac, 900 + i);
            bare.putPacket(bytes, 32 + i * 2, [500, 400 + i]);
          }
          const gref = bare.txGref(32 + k * 2 + 1);
          if (failing && sender === 'static') bare.control.delete([gref]);
          if (failing) assert.ok(bare.grants.end(gref));
          bare.publishTx();
          machine.settle();
          for (let i = 0; i < 5; i++) {
            if (failing && i === k) continue;
            assert.ok(
              Buffer.from(plainFrame(b.mac, bare.mac, 900 + i)).equals(b.receive()!.bytes),
              `${k}, ${i}`,
            );
          }
          assert.equal(b.receive(), undefined);
          bare.grants.grant(gref, 0, (bare.txPage(33 + k * 2) - bare.ram) / 4096, true);
        }
      }
      const refused =
        (dropsOf(machine.arena, bare.netback)['bad-grant'] ?? 0) +
        (dropsOf(machine.arena, b.netback)['bad-grant'] ?? 0);
      assert.equal(refused, 5);
    });

    test('copies are counted, one for a small frame beside its header', () => {
      const before = countersOf(machine.arena, b.netback).copies;
      a.send(plainFrame(b.mac, a.mac, 100));
      machine.settle();
      b.receive();
      const after = countersOf(machine.arena, b.netback).copies;
      assert.equal(after.count - before.count, 1);
      assert.equal(after.bytes - before.bytes, 100);
    });

    test('not a byte more than the frame is written to the receiver (XSA-403)', () => {
      const sink = machine.addBareGuest('sink', { transfer: receiver });
      if (receiver === 'static') announceSome(sink, 96, (n) => sink.rxGref(n), false);
      for (const length of [14, 15, 63, 64, 100, 255, 256, 257, 1499, 4095, 4096, 4097, 9000]) {
        const slots = Math.ceil(length / 4096);
        const first = sink.rxProd;
        for (let i = 0; i < slots; i++)
          machine.arena.u8.fill(0xa5, sink.rxPage(first + i), sink.rxPage(first + i + 1));
        sink.postRx(slots, first);
        const frame = plainFrame(sink.mac, a.mac, length);
        a.send(frame);
        machine.settle();
        const page = machine.arena.u8.slice(sink.rxPage(first), sink.rxPage(first + slots));
        assert.equal(sink.rxAnswered, sink.rxProd);
        assert.ok(Buffer.from(frame).equals(page.subarray(0, length)));
        assert.ok(
          page.subarray(length).every((byte) => byte === restOf(receiver, 0xa5)),
          `${length} bytes wrote beyond`,
        );
      }
      machine.engine.detach(sink.vif.id);
    });

    test('what a guest does not grant for writing is not written', () => {
      const sink = machine.addBareGuest('readonly', { transfer: receiver });
      const frame = (sink.rxPage(0) - sink.ram) / 4096;
      sink.grants.grant(sink.rxGref(0), 0, frame, true);
      machine.arena.u8.fill(0x5a, sink.rxPage(0), sink.rxPage(1));
      sink.postRx(2, 0);
      a.send(plainFrame(sink.mac, a.mac, 300));
      a.send(plainFrame(sink.mac, a.mac, 301));
      machine.settle();
      assert.ok(sink.rxResponse(0).status < 0);
      assert.equal(sink.rxResponse(1).status, 301);
      assert.ok(machine.arena.u8.subarray(sink.rxPage(0), sink.rxPage(1)).every((byte) => byte === 0x5a));
      assert.deepEqual(dropsOf(machine.arena, sink.netback), { 'bad-grant': 1 });
      machine.engine.detach(sink.vif.id);
    });

    test('random bytes stay what they are', () => {
      const random = randomSource(3);
      for (let i = 0; i < 40; i++) {
        const frame = Uint8Array.from([...b.mac, ...a.mac, ...pattern(2 + random(1500), i)]);
        a.send(frame);
        machine.settle();
        assert.deepEqual(b.receive()!.bytes, frame);
      }
    });
  });
}
