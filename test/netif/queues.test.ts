/** A vif with several queues: one port, whose flows keep to a queue each. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NB_FENCED } from '../../assembly/netif_layout.js';
import type { Loops } from '../../src/arena/loops.js';
import { readCounters } from '../../src/datapath/counters.js';
import { netbackCounters } from '../../src/netif/netback_memory.js';
import { PAGE_RX_FIRST, PAGE_TX_RING } from '../../src/netif/netfront_memory.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import type { BareGuest } from '../support/bare_guest.js';
import { LIST_GREF } from '../support/control_side.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { tellingLane } from '../support/lane.js';
import { type GuestOptions, type HostileGuest, Machine } from '../support/machine.js';
import { BROADCAST, blankFrame, plainFrame } from '../support/packets.js';
import { type Random, randomSource, seedOf } from '../support/random.js';

/** A UDP frame of a flow that its two numbers tell, `sequence` in its last four octets. */
function flowFrame(to: Uint8Array, from: Uint8Array, flow: number, sequence: number, size = 60): Uint8Array {
  const { bytes, l3, l4 } = blankFrame(to, from, { family: 4, proto: 17, payload: size - 42 });
  const view = new DataView(bytes.buffer);
  view.setUint32(l3 + 12, 0x0a000000 + flow);
  view.setUint16(l4, 1024 + (flow % 50_000));
  view.setUint32(bytes.length - 4, sequence);
  return bytes;
}

/** Takes what queue `q` received: sequence numbers, in the order of the ring. */
class Receiver {
  readonly got: number[][];
  readonly #seen: number[];
  readonly #machine: Machine;
  readonly guest: HostileGuest;

  constructor(machine: Machine, guest: HostileGuest) {
    this.#machine = machine;
    this.guest = guest;
    this.got = guest.queues.map(() => []);
    this.#seen = guest.queues.map(() => 0);
  }

  post(): void {
    for (const queue of this.guest.queues)
      queue.postRx(256 - (queue.rxProd - queue.rxAnswered), queue.rxProd, (n) => queue.rxGref(n % 256));
  }

  take(): void {
    this.guest.queues.forEach((queue, q) => {
      for (; this.#seen[q] !== queue.rxAnswered; this.#seen[q]++) {
        const { status } = queue.rxResponse(this.#seen[q]);
        assert.ok(status > 0);
        const page = queue.rxPage(this.#seen[q] % 256);
        this.got[q].push(this.#machine.arena.view.getUint32(page + status - 4));
      }
    });
  }
}

const shareOf = (got: number[][], q: number) => got[q].length / got.flat().length;

/** A machine that counts the frames of the direct lane. */
function laneMachine(): { machine: Machine; passed: () => number } {
  let passed = 0;
  const wrap = (loops: Loops): Loops => ({
    ...loops,
    ...tellingLane(loops, (n) => {
      passed += n;
    }),
  });
  return { machine: new Machine(1 << 29, wrap), passed: () => passed };
}

describe('a vif with several queues', () => {
  for (const transfer of TRANSFER_NAMES) {
    for (const direct of [true, false]) {
      test(`frames of a flow stay in order and in one queue, and flows spread (${transfer}, lane ${direct})`, () => {
        const { machine, passed } = laneMachine();
        const a = machine.addBareGuest('a', { transfer, queues: 2, direct, txBuffers: 32 });
        const b = machine.addBareGuest('b', { transfer, queues: 4, direct, txBuffers: 32 });
        const receiver = new Receiver(machine, b);
        const flows = 64;
        let sequence = 0;
        for (let round = 0; round < 120; round++) {
          receiver.post();
          // Each flow has its queue at the sender, too.
          for (let i = 0; i < 60; i++, sequence++) {
            const flow = sequence % flows;
            const queue = a.queues[flow % 2];
            queue.putPacket(flowFrame(b.mac, a.mac, flow, sequence, 60 + (flow % 40)), queue.txProd % 256);
          }
          for (const queue of a.queues) queue.publishTx();
          machine.settle();
          receiver.take();
        }
        const queueOf = new Map<number, number>();
        receiver.got.forEach((numbers, q) => {
          const last = new Map<number, number>();
          for (const number of numbers) {
            const flow = number % flows;
            assert.equal(queueOf.get(flow) ?? q, q, `flow ${flow} is in two queues`);
            queueOf.set(flow, q);
            assert.ok((last.get(flow) ?? -1) < number, `flow ${flow} out of order`);
            last.set(flow, number);
          }
        });
        assert.equal(receiver.got.flat().length, sequence, 'all of them arrived');
        for (let q = 0; q < 4; q++)
          assert.ok(shareOf(receiver.got, q) > 0.1, `queue ${q}: ${receiver.got[q].length} of ${sequence}`);
        for (const queue of a.queues) assert.equal(queue.txAnswered, queue.txProd);
        const lane = direct && transfer !== 'map' && transfer !== 'static';
        if (lane) assert.ok(passed() > sequence / 2, `${passed()} by the lane`);
        const each = netbackCounters(b.vif.block, b.vif.memory, 4)
          .slice(1)
          .map((address) => readCounters(machine.arena, address));
        assert.deepEqual(
          each.map((counters) => counters.out.frames),
          receiver.got.map((numbers) => numbers.length),
        );
        const sum = readCounters(machine.arena, ...netbackCounters(b.vif.block, b.vif.memory, 4));
        assert.equal(sum.out.frames, sequence);
        machine.close();
      });
    }
  }

  test('what it sends on its queues in turn is read from all of them alike', () => {
    for (const direct of [true, false]) {
      const machine = new Machine(1 << 29);
      const a = machine.addBareGuest('a', { queues: 3, direct, txBuffers: 32 });
      const b = machine.addBareGuest('b', { direct });
      const send = (frames: number) => {
        b.postRx(frames * 3, 0, (n) => b.rxGref(n % 32));
        a.queues.forEach((queue, q) => {
          for (let i = 0; i < frames; i++) queue.putPacket(flowFrame(b.mac, a.mac, q, i), i % 32);
          queue.publishTx();
        });
      };
      send(32); // all pages are mapped
      machine.settle();
      send(80);
      for (let round = 0; round < 3; round++) machine.engine.round(1);
      const answered = a.queues.map((queue) => queue.txAnswered);
      // A turn of the lane takes as many small frames as a ring holds, one of the general path a burst.
      const each = direct ? 32 + 80 : 32 + 64;
      assert.deepEqual(answered, [each, each, each], `lane ${direct}`);
      machine.close();
    }
  });

  test('a frame that waits for one queue does not keep those of another', () => {
    const machine = new Machine(1 << 29);
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b', { queues: 2, txBuffers: 32 });
    const receiver = new Receiver(machine, b);
    receiver.post();
    // Whose flow is whose: learnt once.
    for (let flow = 0; flow < 8; flow++) a.putPacket(flowFrame(b.mac, a.mac, flow, flow), flow);
    a.publishTx();
    machine.settle();
    receiver.take();
    const [[ofFirst], [ofSecond]] = receiver.got;
    const [first] = b.queues;
    while (first.rxProd - first.rxAnswered > 0) {
      a.putPacket(flowFrame(b.mac, a.mac, ofFirst, 1000), 20);
      a.publishTx();
      machine.settle();
    }
    const before = b.queues[1].rxAnswered;
    a.putPacket(flowFrame(b.mac, a.mac, ofFirst, 1001), 20);
    a.putPacket(flowFrame(b.mac, a.mac, ofSecond, 1002), 21);
    a.publishTx();
    machine.settle();
    assert.equal(b.queues[1].rxAnswered, before + 1);
    assert.equal(countersOf(machine.arena, b.netback).drops['rx-full'], undefined);
    machine.close();
  });

  test('a broadcast comes once, and what is not IP goes by its MACs', () => {
    const machine = new Machine(1 << 29);
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b', { queues: 4, txBuffers: 32 });
    const receiver = new Receiver(machine, b);
    receiver.post();
    for (let i = 0; i < 20; i++) a.putPacket(plainFrame(i % 2 ? BROADCAST : b.mac, a.mac, 64, i), i);
    a.publishTx();
    machine.settle();
    const answered = b.queues.map((queue) => queue.rxAnswered).filter((n) => n > 0);
    assert.equal(
      answered.reduce((sum, n) => sum + n, 0),
      20,
    );
    assert.ok(answered.length <= 2, 'two pairs of MACs');
    machine.close();
  });

  test('one queue that breaks the protocol ends them all', () => {
    const machine = new Machine(1 << 29);
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b', { queues: 3, txBuffers: 32 });
    let fences = 0;
    machine.engine.onFenced = () => fences++;
    b.queues[2].publishTx(b.queues[2].txProd + 5000);
    machine.settle();
    assert.equal(fences, 1);
    const { u32 } = machine.arena;
    assert.equal(b.netback.fenced, u32[(b.vif.memory + NB_FENCED) / 4]);
    b.queues[0].putPacket(plainFrame(a.mac, b.mac, 64));
    b.queues[0].publishTx();
    b.queues[1].postRx(8);
    a.putPacket(plainFrame(b.mac, a.mac, 64));
    a.publishTx();
    machine.settle();
    assert.deepEqual(
      b.queues.map((queue) => [queue.txAnswered, queue.rxAnswered]),
      [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
    );
    machine.close();
  });
});

describe('which queue', () => {
  const SET_FLAGS = 2;
  const SET_KEY = 3;
  const SET_MAPPING_SIZE = 5;
  const SET_MAPPING = 6;
  const SET_ALGORITHM = 7;
  const KEY = Buffer.from(
    '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
    'hex',
  );
  /** "Verifying the RSS Hash Calculation", Windows driver documentation: IPv4, source, destination, hash with TCP. */
  const SUITE = [
    [[66, 9, 149, 187], 2794, [161, 142, 100, 80], 1766, 0x51ccc178],
    [[199, 92, 111, 2], 14230, [65, 69, 140, 83], 4739, 0xc626b0ea],
    [[24, 19, 198, 95], 12898, [12, 22, 207, 184], 38024, 0x5c2b394a],
    [[38, 27, 205, 30], 48228, [209, 142, 163, 6], 2217, 0xafc7327f],
    [[153, 39, 163, 191], 44251, [202, 188, 127, 2], 1303, 0x10e828a2],
  ] as const;

  function hashing(queues: number) {
    const machine = new Machine(1 << 29);
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b', { queues, txBuffers: 32 });
    const { control } = b;
    const ask = (type: number, ...data: number[]) => {
      control.put(type, data);
      control.publish();
      machine.settle();
      return control.response(control.prod - 1);
    };
    ask(SET_ALGORITHM, 1);
    ask(SET_FLAGS, 2); // IPv4 with TCP
    machine.arena.u8.set(KEY, control.list);
    ask(SET_KEY, LIST_GREF, 40);
    const receiver = new Receiver(machine, b);
    const queueOf = (frame: Uint8Array): number => {
      receiver.post();
      a.putPacket(frame);
      a.publishTx();
      const before = b.queues.map((queue) => queue.rxAnswered);
      machine.settle();
      // Two slots: the frame, and the hash behind it.
      return b.queues.findIndex((queue, q) => queue.rxAnswered > before[q]);
    };
    const frameOf = ([source, sport, destination, dport]: (typeof SUITE)[number]) => {
      const { bytes, l3, l4 } = blankFrame(b.mac, a.mac, { family: 4, proto: 6, payload: 40 });
      bytes.set([...source, ...destination], l3 + 12);
      bytes.set([sport >> 8, sport & 0xff, dport >> 8, dport & 0xff], l4);
      return bytes;
    };
    return { machine, a, b, ask, queueOf, frameOf };
  }

  test("the front end's mapping decides, by the hashes of Microsoft's suite", () => {
    const { machine, ask, queueOf, frameOf, b } = hashing(4);
    const size = 7;
    const mapping = [3, 1, 0, 2, 1, 3, 2];
    ask(SET_MAPPING_SIZE, size);
    new Uint32Array(mapping).forEach((queue, i) => {
      machine.arena.view.setUint32(b.control.list + i * 4, queue, true);
    });
    assert.equal(ask(SET_MAPPING, LIST_GREF, size, 0).status, 0);
    for (const row of SUITE) assert.equal(queueOf(frameOf(row)), mapping[row[4] % size]);
    machine.arena.view.setUint32(b.control.list, 4, true);
    assert.notEqual(ask(SET_MAPPING, LIST_GREF, 1, 0).status, 0, 'there is no queue 4');
    machine.close();
  });

  test('without a mapping it is the hash modulo their number; what has no hash goes to the first', () => {
    const { machine, a, b, queueOf, frameOf } = hashing(3);
    for (const row of SUITE) assert.equal(queueOf(frameOf(row)), row[4] % 3);
    assert.equal(queueOf(plainFrame(b.mac, a.mac, 80)), 0);
    machine.close();
  });

  test('without a hash of its own it is that of the flow: both directions the same, fragments together', () => {
    const machine = new Machine(1 << 28);
    const { loops, arena } = machine;
    const descriptor = arena.allocate(4096, 'a descriptor');
    const hash = (bytes: Uint8Array) => {
      loops.frameClear(descriptor, 1);
      const at = arena.allocate(4096, 'a frame');
      arena.u8.set(bytes, at);
      loops.frameFromLinear(descriptor, at, bytes.length, 128);
      return loops.flowHash(descriptor) >>> 0;
    };
    const x = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const y = Uint8Array.of(2, 0, 0, 0, 0, 2);
    for (const family of [4, 6] as const) {
      const length = family === 4 ? 4 : 16;
      for (const proto of [6, 17] as const) {
        const { bytes, l3, l4 } = blankFrame(x, y, { family, proto, payload: 20 });
        const back = Uint8Array.from(bytes);
        const at = l3 + (family === 4 ? 12 : 8);
        back.set(bytes.subarray(at, at + length), at + length);
        back.set(bytes.subarray(at + length, at + 2 * length), at);
        back.set(bytes.subarray(l4, l4 + 2), l4 + 2);
        back.set(bytes.subarray(l4 + 2, l4 + 4), l4);
        assert.equal(hash(back), hash(bytes), `IPv${family}, protocol ${proto}`);
        const other = Uint8Array.from(bytes);
        other[l4] ^= 1;
        assert.notEqual(hash(other), hash(bytes), 'another port is another flow');
      }
    }
    const fragment = (offset: number, port: number) => {
      const { bytes, l3, l4 } = blankFrame(x, y, { family: 4, proto: 17, payload: 20 });
      bytes[l3 + 6] = (offset === 0 ? 0x20 : 0) | (offset >> 8);
      bytes[l3 + 7] = offset & 0xff;
      bytes[l4] = port;
      return hash(bytes);
    };
    assert.equal(fragment(0, 1), fragment(185, 99));
    assert.equal(hash(plainFrame(x, y, 60)), hash(plainFrame(y, x, 60)));
    const seen = new Set<number>();
    for (let i = 0; i < 2000; i++) seen.add(hash(flowFrame(x, y, i, 0)) >>> 29);
    assert.equal(seen.size, 8, 'every eighth is met');
    machine.close();
  });
});

describe('the direct lane to several queues', () => {
  /** One turn of the sender: frames of some flows, some spoilt, and of the receiver, that posts here and there. */
  function act(random: Random, { arena }: Machine, a: HostileGuest, b: HostileGuest): void {
    for (let i = random(20); i > 0 && a.txProd - a.txAnswered < 230; i--) {
      const page = random(16);
      const bytes =
        random(4) === 0
          ? plainFrame(random(6) === 0 ? BROADCAST : b.mac, a.mac, 14 + random(200), random(1000))
          : flowFrame(b.mac, a.mac, random(40), random(1 << 30), 60 + random(1200));
      arena.u8.set(bytes, a.txPage(page));
      const spoilt = random(30);
      a.putTx({
        gref: spoilt === 0 ? 8190 : a.txGref(page),
        flags: spoilt === 1 ? 1 : random(3) === 0 ? 2 : 0,
        size: spoilt === 2 ? 10 : bytes.length,
      });
    }
    a.publishTx();
    for (const queue of b.queues) {
      const room = 256 - ((queue.rxProd - queue.rxAnswered) >>> 0);
      if (random(3) !== 0)
        queue.postRx(random(Math.min(room + 1, 30)), queue.rxProd % 32, (n) => queue.rxGref(n % 32));
    }
    if (random(5) === 0) {
      const queue = b.queues[random(b.queues.length)];
      const page = random(32);
      if (random(3) === 0) queue.grants.end(queue.rxGref(page));
      else queue.grants.grant(queue.rxGref(page), 0, (queue.rxPage(page) - b.ram) / 4096, random(8) === 0);
    }
  }

  const look = ({ arena }: Machine, queue: BareGuest) =>
    Buffer.from(arena.u8.slice(queue.ram + PAGE_TX_RING * 4096, queue.ram + (PAGE_RX_FIRST + 32) * 4096));

  for (const transfer of ['persistent', 'grant-copy'] as const) {
    test(`5,000 rounds with it and without end alike (${transfer})`, () => {
      const seed = seedOf();
      const worlds = [true, false].map((direct) => {
        const { machine, passed } = laneMachine();
        const options: GuestOptions = { transfer, direct };
        const a = machine.addBareGuest('a', options);
        const b = machine.addBareGuest('b', { ...options, queues: 3, txBuffers: 32 });
        return { machine, passed, a, b, random: randomSource(seed) };
      });
      for (let round = 0; round < 5000; round++) {
        const when = `round ${round} of seed ${seed}`;
        const seen = worlds.map(({ machine, a, b, random }) => {
          act(random, machine, a, b);
          machine.now += random(random(30) === 0 ? 300 : 3);
          for (let i = random(3); i >= 0; i--) machine.engine.round(machine.now);
          const counters = netbackCounters(b.vif.block, b.vif.memory, 3).map((address) => {
            const { in: input, out, drops, notifications } = readCounters(machine.arena, address);
            return { input, out, drops, notifications };
          });
          return { counters, drops: dropsOf(machine.arena, a.netback) };
        });
        assert.deepEqual(seen[0], seen[1], when);
        if (round % 10 !== 0) continue;
        for (const queue of [0, 1, 2]) {
          const [one, other] = worlds.map(({ machine, b }) => look(machine, b.queues[queue]));
          assert.ok(one.equals(other), `${when}: other bytes in the RAM of queue ${queue}`);
        }
      }
      assert.ok(worlds[0].passed() > 2000, `${worlds[0].passed()} frames took the lane`);
      for (const { machine } of worlds) machine.close();
    });
  }
});
