/**
 * What befell other back ends, each under its name (Xen security advisories, CVEs). After every attack a pair of
 * well-behaved guests on the same engine exchanges frames as before.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PATIENCE_MOST } from '../../assembly/netif_layout.js';
import { GNTTAB_NR_RESERVED_ENTRIES } from '../../src/abi/grant_table.js';
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETRXF_extra_info,
  NETRXF_more_data,
  NETTXF_csum_blank,
  NETTXF_extra_info,
  NETTXF_more_data,
} from '../../src/abi/netif.js';
import { RING_REQ_PROD, TX_ENTRY_SIZE } from '../../src/abi/ring.js';
import { TRANSFER_NAMES, type TransferName } from '../../src/transfer/transfer.js';
import type { BareGuest } from '../support/bare_guest.js';
import { countersOf, dropsOf } from '../support/drops.js';
import type { GuestOptions } from '../support/guest.js';
import { type Guest, Machine } from '../support/machine.js';
import { BROADCAST, blankFrame, plainFrame, whole } from '../support/packets.js';
import type { Vif } from '../support/vif.js';

interface World {
  readonly machine: Machine;
  readonly a: Guest;
  readonly b: Guest;
  readonly evil: BareGuest & { readonly vif: Vif };
  /** The good pair still talks, both ways. */
  unharmed(): void;
  drops(): Readonly<Record<string, number>>;
}

function world(transfer: TransferName, options: GuestOptions = {}): World {
  const machine = new Machine(1 << 28);
  const a = machine.addGuest('a', { transfer });
  const b = machine.addGuest('b', { transfer });
  const evil = machine.addBareGuest('evil', { transfer, ...options });
  let seed = 0;
  const unharmed = () => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      while (to.receive()); // what the attacker may have sent it
      const frame = plainFrame(to.mac, from.mac, 100 + (seed % 3000), ++seed);
      assert.ok(from.send(frame));
      machine.settle();
      assert.deepEqual(to.receive()?.bytes, frame, 'the other guests were harmed');
    }
  };
  return { machine, a, b, evil, unharmed, drops: () => dropsOf(machine.arena, evil.netback) };
}

/** Each attack on each transfer; the good pair is tried before the machine is closed. */
function attack(id: string, what: string, body: (w: World) => void, options: GuestOptions = {}): void {
  for (const transfer of TRANSFER_NAMES) {
    test(`${id}: ${what} (${transfer})`, () => {
      const w = world(transfer, options);
      body(w);
      w.unharmed();
      w.machine.close();
    });
  }
}

describe('netback under attack', () => {
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

  attack('XSA-423', 'headers scattered over pieces of one byte', (w) => {
    const { evil, machine, b } = w;
    for (const family of [4, 6] as const) {
      const sent = blankFrame(b.mac, evil.mac, { family, proto: 6, payload: 500 });
      const pieces = [...new Array(17).fill(1), sent.bytes.length - 17];
      evil.putPacket(sent.bytes, 0, pieces, NETTXF_csum_blank);
      evil.publishTx();
      machine.settle();
      const got = b.receive();
      assert.ok(got);
      assert.deepEqual(whole({ ...sent, bytes: got.bytes }), whole(sent));
    }
  });

  attack('XSA-432', 'the most slots and hardly a byte', (w) => {
    const { evil, machine, b } = w;
    for (const size of [1, 2, 7]) {
      const frame = plainFrame(b.mac, evil.mac, 18 * size);
      evil.putPacket(frame, 0, new Array(18).fill(size));
      evil.publishTx();
      machine.settle();
      assert.deepEqual(b.receive()?.bytes, frame);
    }
    assert.equal(evil.txAnswered, 54);
  });

  attack('XSA-448', 'later slots of size 0, and sizes that exceed the packet', (w) => {
    const { evil, machine } = w;
    for (const sizes of [[0], [0, 0, 0, 0], [100], [101], [60, 40], [4096]]) {
      evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 100 });
      sizes.forEach((size, i) => {
        evil.putTx({ gref: evil.txGref(1), flags: i + 1 < sizes.length ? NETTXF_more_data : 0, size });
      });
    }
    for (const size of [0, 1, 13]) evil.putTx({ gref: evil.txGref(0), size });
    evil.publishTx();
    machine.settle();
    assert.deepEqual(w.drops(), { 'bad-slot': 6, runt: 3 });
    assert.equal(evil.txAnswered, evil.txProd);
    for (let i = 0; i < evil.txProd; i++) assert.equal(evil.txResponse(i).status, NETIF_RSP_ERROR);
    assert.equal(evil.netback.fenced, 0);
  });

  attack('CVE-2026-99057', 'chains that are too long: 19 slots cost the frame, more the connection', (w) => {
    const { evil, machine } = w;
    const chain = (slots: number) => {
      evil.putPacket(plainFrame(w.b.mac, evil.mac, slots * 20), 0, new Array(slots).fill(20));
      evil.publishTx();
      machine.settle();
    };
    chain(19);
    chain(20);
    assert.deepEqual(w.drops(), { 'too-many-slots': 2 });
    assert.equal(evil.txAnswered, 39);
    chain(21);
    assert.notEqual(evil.netback.fenced, 0);
    evil.initRings();
    evil.vif.reattach();
    for (let i = 0; i < 256; i++) evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 10 });
    evil.publishTx();
    machine.settle();
    assert.notEqual(evil.netback.fenced, 0, 'endless more_data');
    evil.initRings();
    evil.vif.reattach();
    evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 100 });
    for (let i = 0; i < 255; i++) evil.putExtra([4, 1]);
    evil.publishTx();
    machine.settle();
    assert.notEqual(evil.netback.fenced, 0, 'endless extra infos');
  });

  attack('protocol', 'each breach of it is fenced, and says which', (w) => {
    const { evil, machine } = w;
    const breaches: readonly [string, () => void, number][] = [
      [
        'an extra info announced and missing',
        () => evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 60 }),
        2,
      ],
      [
        'an extra info of an unknown type',
        () => {
          evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 60 });
          evil.putExtra([9, 0]);
        },
        4,
      ],
      [
        'an extra info that was not negotiated',
        () => {
          evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 60 });
          evil.putExtra([2, 0, 1, 0, 0x5e, 0, 0, 1]);
        },
        4,
      ],
      [
        'a first slot over the end of its page',
        () => evil.putTx({ gref: evil.txGref(0), offset: 4095, size: 60 }),
        5,
      ],
      [
        'an offset beyond the page',
        () => evil.putTx({ gref: evil.txGref(0), offset: 65535, size: 65535 }),
        5,
      ],
      [
        'a later slot over the end of its page',
        () => {
          evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 600 });
          evil.putTx({ gref: evil.txGref(1), offset: 4000, size: 97 });
        },
        5,
      ],
    ];
    for (const [what, breach, fence] of breaches) {
      breach();
      evil.publishTx();
      machine.settle();
      assert.equal(evil.netback.fenced, fence, what);
      machine.settle();
      assert.equal(evil.netback.fenced, fence);
      w.unharmed();
      evil.initRings();
      evil.vif.reattach();
    }
  });

  attack('mcast', 'one extra info, one response of its own', (w) => {
    const { evil, machine, b } = w;
    const gso = blankFrame(b.mac, evil.mac, { family: 4, proto: 6, payload: 3000, gsoSize: 1000 });
    machine.arena.u8.set(gso.bytes, evil.txPage(0));
    evil.putTx({
      gref: evil.txGref(0),
      flags: NETTXF_extra_info | NETTXF_csum_blank,
      size: gso.bytes.length,
      id: 77,
    });
    evil.putExtra([4, 1]);
    evil.putExtra([1, 0, 1000 & 0xff, 1000 >> 8, 1]);
    evil.publishTx();
    machine.settle();
    assert.equal(b.receive()?.bytes.length, gso.bytes.length);
    assert.deepEqual(evil.txResponse(0), { id: 77, status: NETIF_RSP_OKAY });
    assert.equal(evil.txResponse(1).status, NETIF_RSP_NULL);
    assert.equal(evil.txResponse(2).status, NETIF_RSP_NULL);
    assert.equal(evil.txAnswered, 3);
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
