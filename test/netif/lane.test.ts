/**
 * The direct lane must be invisible: the same rings, run once with it and once without, end in the same bytes
 * everywhere that a guest can see, and in the same counters.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NB_SEEN, NB_STALLED } from '../../assembly/netif_layout.js';
import { GTF_reading, GTF_writing } from '../../src/abi/grant_table.js';
import { NETTXF_csum_blank, NETTXF_data_validated, NETTXF_more_data } from '../../src/abi/netif.js';
import type { Loops } from '../../src/arena/loops.js';
import {
  GREF_BASE,
  PAGE_CTRL_RING,
  PAGE_RX_FIRST,
  PAGE_RX_RING,
  PAGE_TX_RING,
} from '../../src/netif/netfront_memory.js';
import type { TransferName } from '../../src/transfer/transfer.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { tellingLane } from '../support/lane.js';
import { ALL_FEATURES, type GuestOptions, Machine } from '../support/machine.js';
import { BROADCAST, blankFrame, macOf, plainFrame } from '../support/packets.js';
import { pick, type Random, randomSource, seedOf } from '../support/random.js';

/** Two guests that write their rings themselves. */
function pair(options: {
  direct: boolean;
  features?: number;
  transfers?: readonly TransferName[];
  /** Of the second guest. */
  held?: GuestOptions;
}) {
  let passed = 0;
  const count = (loops: Loops): Loops => ({
    ...loops,
    ...tellingLane(loops, (n) => {
      passed += n;
    }),
  });
  const machine = new Machine(1 << 29, count);
  const { direct, features = ALL_FEATURES, transfers = ['persistent', 'persistent'], held } = options;
  const guests = ['a', 'b'].map((name, i) =>
    machine.addBareGuest(name, { direct, features, transfer: transfers[i], ...(i === 1 ? held : {}) }),
  );
  const [a, b] = guests;
  return { machine, guests, a, b, passed: () => passed };
}

type Pair = ReturnType<typeof pair>;
type Bare = Pair['a'];

/** What a guest and an administrator can see of one of them: rings and receive pages, and counters. */
function visible({ machine: { arena } }: Pair, guest: Bare) {
  const { in: input, out, drops, notifications } = countersOf(arena, guest.netback);
  const first = PAGE_TX_RING * 4096;
  const ram = () => Buffer.from(arena.u8.buffer, guest.ram + first, (PAGE_RX_FIRST + 32) * 4096 - first);
  return { ram, counters: { input, out, drops, notifications, fenced: guest.netback.fenced } };
}

/** One turn of one guest, drawn from `random`: packets of all kinds, some spoilt; receive pages; changes of grants. */
function act(random: Random, { machine: { arena } }: Pair, guest: Bare, peer: Bare): void {
  for (let i = random(12); i > 0 && guest.txProd - guest.txAnswered < 230; i--) {
    const page = random(16);
    const target =
      random(10) === 0
        ? pick(random, [BROADCAST, guest.mac, macOf(77), Uint8Array.of(3, 0, 0, 0, 0, 9)])
        : peer.mac;
    const source = random(20) === 0 ? macOf(random(80)) : guest.mac;
    const kind = random(10);
    if (kind < 6) {
      const size = pick(random, [14, 15, 16, 17, 31, 32, 33, 60, 127, 128, 129, 255, 256, 257, 1514, 4096]);
      const bytes = plainFrame(target, source, size, random(1000));
      const offset = random(4) === 0 ? 4096 - size + (random(400) === 0 ? 1 : 0) : 0;
      arena.u8.set(bytes.subarray(0, 4096 - offset), guest.txPage(page) + offset);
      const flags = random(5) === 0 ? NETTXF_data_validated : random(40) === 0 ? random(0x10000) & ~12 : 0;
      const gref = random(30) === 0 ? pick(random, [0, 7, 8191, 0xffffffff]) : guest.txGref(page);
      guest.putTx({ gref, offset, flags, size });
    } else if (kind < 9) {
      const proto = random(2) === 0 ? 6 : 17;
      const frame = blankFrame(target, source, {
        family: random(2) === 0 ? 4 : 6,
        proto,
        payload: random(1400),
      });
      if (random(8) === 0) frame.bytes[12 + random(30)] = random(256);
      arena.u8.set(frame.bytes, guest.txPage(page));
      const flags = NETTXF_csum_blank | (random(2) === 0 ? NETTXF_data_validated : 0);
      guest.putTx({ gref: guest.txGref(page), flags, size: frame.bytes.length });
    } else {
      const bytes = plainFrame(target, source, 3000, random(1000));
      arena.u8.set(bytes, guest.txPage(page));
      guest.putTx({ gref: guest.txGref(page), flags: NETTXF_more_data, size: 3000 });
      guest.putTx({ gref: guest.txGref(64 + page), size: 1 + random(2999) });
    }
  }
  guest.publishTx();
  const room = 256 - ((guest.rxProd - guest.rxAnswered) >>> 0);
  if (random(4) !== 0) guest.postRx(random(room + 1), guest.rxProd % 32, (n) => guest.rxGref(n % 32));
  for (let i = random(2); i > 0; i--) {
    const n = random(32);
    const transmit = random(2) === 0;
    const gref = transmit ? guest.txGref(n) : guest.rxGref(n);
    const frame = ((transmit ? guest.txPage(n) : guest.rxPage(n)) - guest.ram) / 4096;
    if (random(6) === 0) guest.grants.end(gref);
    else guest.grants.grant(gref, random(16) === 0 ? 3 : 0, frame, transmit || random(12) === 0);
  }
}

const RINGS = [PAGE_TX_RING, PAGE_RX_RING, PAGE_CTRL_RING];

/** No entry of a grant table says that somebody reads or writes the page, but those of the mapped rings. */
function noMarks({ arena }: Machine, table: number, grants: number): void {
  for (let gref = 0; gref < grants; gref++) {
    const marks = arena.u32[table / 4 + gref * 2] & (GTF_reading | GTF_writing);
    const ring = RINGS.includes(gref - GREF_BASE);
    if (!ring) assert.equal(marks, 0, `reference ${gref} is marked still`);
  }
}

describe('the direct lane', () => {
  const worlds: [number, TransferName, TransferName, GuestOptions?][] = [
    [ALL_FEATURES, 'persistent', 'persistent'],
    [0, 'persistent', 'persistent'],
    [ALL_FEATURES, 'grant-copy', 'grant-copy'],
    [ALL_FEATURES, 'persistent', 'grant-copy'],
    [ALL_FEATURES, 'persistent', 'persistent', { addresses: ['10.0.0.1'] }],
    [ALL_FEATURES, 'grant-copy', 'persistent', { rate: { bytes: 3000, interval: 5000 } }],
    [
      ALL_FEATURES,
      'persistent',
      'grant-copy',
      { rate: { bytes: 9000, interval: 1000 }, addresses: ['fd00::/8'] },
    ],
  ];
  for (const [features, one, other, held] of worlds) {
    const transfers = [one, other];
    const what = `features ${features}, ${one} and ${other}${held ? `, one ${Object.keys(held)}` : ''}`;
    test(`20,000 rounds with it and without end alike (${what})`, () => {
      const seed = seedOf();
      const worlds = [true, false].map((direct) =>
        pair({ direct, features, transfers, ...(held && { held }) }),
      );
      const randoms = worlds.map(() => randomSource(seed));
      for (let round = 0; round < 20_000; round++) {
        const seen = worlds.map((world, w) => {
          const random = randoms[w];
          const turn = random(2);
          act(random, world, world.guests[turn], world.guests[1 - turn]);
          world.machine.now += random(random(30) === 0 ? 300 : 3);
          // As if many others had had their turns meanwhile: then it reads ahead, whatever the requests say.
          if (round % 3 === 0)
            for (const { vif } of world.guests)
              world.machine.arena.u32[(vif.memory + NB_SEEN) / 4] = 0x80000000;
          for (let i = random(3); i >= 0; i--) world.machine.engine.round(world.machine.now);
          const states = world.guests.map((guest) => visible(world, guest));
          for (const guest of world.guests.filter((g) => g.netback.fenced !== 0)) {
            guest.initRings();
            guest.vif.reattach();
          }
          return states;
        });
        for (const g of [0, 1]) {
          const when = `round ${round} of seed ${seed}, guest ${g}`;
          assert.deepEqual(seen[0][g].counters, seen[1][g].counters, when);
          if (round % 10 === 0)
            assert.ok(seen[0][g].ram().equals(seen[1][g].ram()), `${when}: other bytes in its RAM`);
        }
      }
      assert.ok(worlds[0].passed() > (held ? 3000 : 5000), `only ${worlds[0].passed()} frames took the lane`);
      assert.equal(worlds[1].passed(), 0);
      for (const { machine, guests } of worlds)
        for (const { domain } of guests) noMarks(machine, domain.table, domain.grants);
      for (const world of worlds) world.machine.close();
    });
  }

  /** A warm pair: both ends' pages are mapped already. */
  const warm = (features = ALL_FEATURES) => {
    const world = pair({ direct: true, features });
    const { machine, a, b } = world;
    const send = (bytes: Uint8Array, options: { flags?: number; page?: number } = {}) => {
      const before = world.passed();
      const at = b.rxAnswered;
      a.putPacket(bytes, options.page ?? 0, [bytes.length], options.flags ?? 0);
      a.publishTx();
      machine.engine.round(machine.now);
      return { lane: world.passed() - before, arrived: b.rxAnswered - at };
    };
    b.postRx(2, 0, () => b.rxGref(0));
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 60)), { lane: 0, arrived: 1 }, 'the first maps the pages');
    const next = () => b.postRx(1, 0, () => b.rxGref(0));
    return { ...world, send, next };
  };

  test('takes plain frames, and those with a blank checksum that the receiver can take', () => {
    const { a, b, send, next, machine } = warm();
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 64)), { lane: 1, arrived: 1 });
    next();
    const blank = blankFrame(b.mac, a.mac, { family: 4, proto: 17, payload: 700 });
    assert.deepEqual(send(blank.bytes, { flags: NETTXF_csum_blank }), { lane: 1, arrived: 1 });
    const at = b.rxAnswered - 1;
    assert.equal(b.rxResponse(at).flags, 3, 'csum_blank | data_validated');
    assert.equal(b.rxResponse(at).status, blank.bytes.length);
    const got = machine.arena.u8.slice(b.rxPage(0), b.rxPage(0) + blank.bytes.length);
    assert.ok(Buffer.from(got).equals(blank.bytes));
    machine.close();
  });

  test('leaves a blank checksum to the general path when the receiver cannot take it', () => {
    const { a, b, send, next, machine } = warm(0);
    next();
    const blank = blankFrame(b.mac, a.mac, { family: 4, proto: 17, payload: 700 });
    assert.deepEqual(send(blank.bytes, { flags: NETTXF_csum_blank }), { lane: 0, arrived: 1 });
    assert.equal(b.rxResponse(b.rxAnswered - 1).flags & 2, 0, 'the checksum was completed');
    machine.close();
  });

  test('never moves a frame from another address, to itself, to a group or to nobody', () => {
    const { a, b, send, machine } = warm();
    assert.deepEqual(send(plainFrame(b.mac, macOf(9), 64)), { lane: 0, arrived: 0 });
    assert.deepEqual(send(plainFrame(a.mac, a.mac, 64)), { lane: 0, arrived: 0 });
    assert.deepEqual(send(plainFrame(macOf(55), a.mac, 64)), { lane: 0, arrived: 0 });
    assert.deepEqual(send(plainFrame(BROADCAST, a.mac, 64)), { lane: 0, arrived: 1 });
    assert.deepEqual(dropsOf(machine.arena, a.netback), {
      'spoofed-source': 1,
      'to-itself': 1,
      'unknown-unicast': 1,
    });
    machine.close();
  });

  test('a grant that ended since it was mapped is not used, at either end', () => {
    const { a, b, send, next, machine } = warm();
    a.grants.end(a.txGref(0));
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 64)), { lane: 0, arrived: 0 });
    assert.equal(dropsOf(machine.arena, a.netback)['bad-grant'], 1);
    a.grants.grant(a.txGref(0), 0, (a.txPage(0) - a.ram) / 4096, true);
    b.grants.end(b.rxGref(0));
    const marker = machine.arena.u8.slice(b.rxPage(0), b.rxPage(0) + 64);
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 64, 3)), { lane: 0, arrived: 1 });
    assert.equal(b.rxResponse(b.rxAnswered - 1).status, -1);
    assert.deepEqual(machine.arena.u8.slice(b.rxPage(0), b.rxPage(0) + 64), marker);
    next();
    machine.close();
  });

  test('a receiver that is stalled, fenced or full gets nothing by it', () => {
    const { a, b, send, machine } = warm();
    machine.arena.u32[(b.vif.memory + NB_STALLED) / 4] = 1;
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 64)), { lane: 0, arrived: 1 });
    machine.arena.u32[(b.vif.memory + NB_STALLED) / 4] = 0;
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 64)), { lane: 0, arrived: 0 }, 'full: it waits');
    b.publishRx(b.rxProd + 5000);
    machine.engine.round(machine.now);
    assert.notEqual(b.netback.fenced, 0);
    assert.deepEqual(send(plainFrame(b.mac, a.mac, 64)), { lane: 0, arrived: 0 });
    machine.close();
  });

  test('a burst to receivers in turn arrives whole, in order, a frame of another kind in between', () => {
    const { machine, a, b, guests, passed } = pair({ direct: true });
    const c = machine.addBareGuest('c', {});
    for (const guest of [...guests, c]) guest.postRx(128, 0, (n) => guest.rxGref(n % 32));
    for (let warming = 0; warming < 4; warming++) {
      const before = passed();
      const sent = new Map<Bare, Buffer[]>([b, c].map((guest) => [guest, []]));
      const from = new Map([b, c].map((guest) => [guest, guest.rxAnswered]));
      for (let i = 0; i < 40; i++) {
        const to = i % 3 === 0 ? c : b;
        const bytes = plainFrame(to.mac, a.mac, i === 20 ? 3000 : 60 + i, i);
        a.putPacket(bytes, i * 2, i === 20 ? [1500, 1500] : [bytes.length]);
        sent.get(to)!.push(Buffer.from(bytes));
      }
      a.publishTx();
      for (let i = 0; i < 4; i++) machine.engine.round(machine.now);
      for (const [guest, frames] of sent) {
        frames.forEach((frame, i) => {
          const slot = from.get(guest)! + i;
          const page = guest.rxPage(slot % 32);
          assert.equal(guest.rxResponse(slot).status, frame.length);
          assert.ok(frame.equals(machine.arena.u8.slice(page, page + frame.length)), `frame ${i}`);
        });
      }
      assert.equal(a.txAnswered, a.txProd);
      if (warming === 3) assert.equal(passed() - before, 20, 'the frames before the one of two slots');
    }
    machine.close();
  });
});
