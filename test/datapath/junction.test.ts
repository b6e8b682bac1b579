/** Frames between datapath threads: bit for bit, in order, once; nobody is woken in vain, and nobody sleeps over a frame. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JUNCTION_BYTES } from '../../assembly/junction_layout.js';
import type { MemoryFrame, MemoryPort } from '../../src/datapath/memory_port.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { Joined } from '../support/joined.js';
import { BROADCAST, macOf, pattern, plainFrame } from '../support/packets.js';
import { randomSource } from '../support/random.js';

const [MAC_A, MAC_B, MAC_C] = [macOf(1), macOf(2), macOf(3)];

function received(port: MemoryPort): MemoryFrame[] {
  const frames: MemoryFrame[] = [];
  for (let frame = port.receive(); frame; frame = port.receive()) frames.push(frame);
  return frames;
}

describe('a frame that changes threads', () => {
  test('arrives bit for bit at every length, with its offloads', () => {
    const world = new Joined(2);
    const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    for (const length of [14, 15, 63, 64, 111, 112, 128, 129, 1514, 4096, 9014, 65_534, 65_535]) {
      const bytes = plainFrame(MAC_B, MAC_A, length);
      // NEEDS_CSUM, TCPv4, hdr_len, gso_size, csum_start, csum_offset, num_buffers
      const vnet = Uint8Array.of(1, 1, 54, 0, 0xb4, 0x05, 34, 0, 16, 0, 0, 0);
      assert.equal(a.send(bytes, vnet), true);
      world.settle();
      const [frame, ...more] = received(b);
      assert.deepEqual(frame.bytes, bytes, `${length} bytes`);
      assert.deepEqual(frame.vnet, vnet, `${length} bytes`);
      assert.equal(more.length, 0);
    }
    const counters = countersOf(world.arena, world.junctions[1][0]);
    assert.equal(counters.in.frames, 13);
    assert.equal(counters.in.gso, 13);
    assert.deepEqual(countersOf(world.arena, world.junctions[0][1]).out.bytes, counters.in.bytes);
  });

  test('keeps its place among the others, through many times the ring', () => {
    const world = new Joined(2);
    const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    const random = randomSource(20060907);
    const sent: Uint8Array[] = [];
    let next = 0;
    let bytes = 0;
    const take = () => {
      for (const frame of received(b)) assert.deepEqual(frame.bytes, sent[next++], `frame ${next - 1}`);
    };
    while (bytes < 12 * JUNCTION_BYTES) {
      const long = random(4) === 0;
      const frame = plainFrame(MAC_B, MAC_A, 60 + random(long ? 65_476 : 1455), sent.length);
      if (a.send(frame)) {
        sent.push(frame);
        bytes += frame.length;
      }
      // Either thread may lag behind the other, and the receiver behind both.
      if (random(3) === 0) world.engines[0].round(world.now);
      if (random(5) === 0) world.engines[1].round(world.now);
      if (random(7) === 0) take();
    }
    for (let i = 0; i < 10; i++) {
      world.settle();
      take();
    }
    assert.equal(next, sent.length);
    assert.deepEqual(dropsOf(world.arena, world.junctions[0][1]), {});
  });

  test('waits on its own thread while the ring is full, for as long as it takes, and the producer hears of room', () => {
    const world = new Joined(2);
    const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    const frames = Array.from({ length: 40 }, (_, i) => plainFrame(MAC_B, MAC_A, 65_535, i));
    for (const frame of frames) assert.equal(a.send(frame), true);
    for (let i = 0; i < 50; i++) {
      world.engines[0].round(world.now);
      world.now += 10; // much longer than a source waits for a receiver (BLOCKED_MOST)
    }
    assert.equal(
      countersOf(world.arena, world.junctions[0][1]).out.frames,
      15,
      'a megabyte of them, less the entries',
    );
    assert.equal(world.wakes[0][1], 0);
    world.engines[1].round(world.now);
    assert.equal(world.wakes[0][1], 1);
    const got: Uint8Array[] = [];
    for (let i = 0; i < 10; i++) {
      world.round();
      got.push(...received(b).map(({ bytes }) => bytes));
    }
    assert.deepEqual(got, frames);
    assert.deepEqual(dropsOf(world.arena, world.junctions[0][1]), {});
  });

  test('for a group does not wait: it is lost to the threads whose ring is full, and counted there', () => {
    const world = new Joined(2);
    const [[a]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    const [c] = world.add(MAC_C, [0]);
    for (let i = 0; i < 20; i++) a.send(plainFrame(BROADCAST, MAC_A, 65_535, i));
    world.engines[0].round(world.now);
    assert.equal(received(c).length, 20);
    assert.deepEqual(dropsOf(world.arena, world.junctions[0][1]), { 'rx-full': 5 });
  });

  test('goes where its receiver is, of many threads, and back', () => {
    const world = new Joined(4);
    const macs = [0, 1, 2, 3].map((n) => macOf(10 + n));
    const ports = macs.map((mac, thread) => world.add(mac, [thread])[0]);
    for (const [from, sender] of ports.entries()) {
      for (const [to, receiver] of ports.entries()) {
        if (from === to) continue;
        const bytes = plainFrame(macs[to], macs[from], 100 + from * 4 + to);
        sender.send(bytes);
        world.settle();
        assert.deepEqual(
          received(receiver).map((frame) => frame.bytes),
          [bytes],
          `${from} → ${to}`,
        );
      }
    }
  });
});

describe('a receiver that takes nothing holds up the others of its thread', () => {
  for (const length of [60, 1514, 65_535]) {
    test(`for 10 ms, and hardly at all when it goes on so: frames of ${length} bytes`, () => {
      const world = new Joined(2);
      const [[x], [y]] = [world.add(MAC_A, [0]), world.add(MAC_B, [0])];
      const [[slow], [quick]] = [world.add(MAC_C, [1]), world.add(macOf(4), [1])];
      const flood = plainFrame(MAC_C, MAC_A, length);
      const sentAt: number[] = [];
      const took: number[] = [];
      for (let ms = 0; ms < 400; ms++) {
        if (y.send(plainFrame(macOf(4), MAC_B, 100, ms))) sentAt.push(world.now);
        for (let rounds = 0; rounds < 20; rounds++) {
          while (x.send(flood));
          world.round();
          for (const _ of received(quick)) took.push(world.now - sentAt[took.length]);
        }
        world.now++;
      }
      assert.ok(took.length > 330, `${took.length} frames arrived`);
      const late = Math.max(...took.slice(150));
      assert.ok(late <= 20, `${late} ms`);
      assert.ok(Math.max(...took) <= 115, `ten times 10 ms, and what is in the ring then: ${took}`);
      const drops = dropsOf(world.arena, slow);
      assert.ok(drops['rx-full'] > 0, JSON.stringify(drops));
      assert.deepEqual(dropsOf(world.arena, world.junctions[0][1]), {});
    });
  }

  test('nor does one that takes some, all the time; and it gets what it can take', () => {
    const world = new Joined(2);
    const [[x], [y]] = [world.add(MAC_A, [0]), world.add(MAC_B, [0])];
    const [[slow], [quick]] = [world.add(MAC_C, [1]), world.add(macOf(4), [1])];
    const [flood, other] = [plainFrame(MAC_C, MAC_A, 1514), plainFrame(macOf(4), MAC_B, 1514)];
    let [took, got] = [0, 0];
    for (let ms = 0; ms < 400; ms++) {
      if (slow.receive()) took++;
      for (let rounds = 0; rounds < 20; rounds++) {
        while (x.send(flood));
        while (y.send(other));
        world.round();
        const n = received(quick).length;
        if (ms >= 150) got += n;
      }
      world.now++;
    }
    assert.ok(took > 390, 'a frame each ms, whatever else is given up');
    assert.ok(got > 250 * 80, `${got} in 250 ms: many times what 64 each 10 ms would be`);
  });

  test('but who alone is sent to may be slow: nothing is given up while it takes a frame each 10 ms', () => {
    const world = new Joined(2);
    const [[x], [slow]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    let [sent, got] = [0, 0];
    for (let ms = 0; ms < 2000; ms++) {
      for (let rounds = 0; rounds < 3; rounds++) {
        while (x.send(plainFrame(MAC_B, MAC_A, 60, sent))) sent++;
        world.round();
      }
      if (ms % 9 === 0 && ms > 0)
        assert.deepEqual(slow.receive()?.bytes, plainFrame(MAC_B, MAC_A, 60, got++));
      world.now++;
    }
    assert.deepEqual(dropsOf(world.arena, slow), {});
  });
});

describe('a group frame', () => {
  test('reaches every port once, however many parts each has, and never its source', () => {
    const random = randomSource(42);
    for (let round = 0; round < 60; round++) {
      const threads = 1 + random(4);
      const world = new Joined(threads);
      const ports = Array.from({ length: 2 + random(4) }, (_, n) => {
        const on = Array.from({ length: threads }, (_, thread) => thread).filter(() => random(2) === 0);
        return world.add(macOf(20 + n), on.length > 0 ? on : [random(threads)]);
      });
      const sender = random(ports.length);
      const bytes = plainFrame(BROADCAST, macOf(20 + sender), 60 + random(2000), round);
      ports[sender][random(ports[sender].length)].send(bytes);
      world.settle();
      for (const [n, parts] of ports.entries()) {
        const got = parts.flatMap(received);
        assert.equal(got.length, n === sender ? 0 : 1, `round ${round}, port ${n} of ${ports.length}`);
        for (const frame of got) assert.deepEqual(frame.bytes, bytes);
      }
    }
  });

  test('of an isolated port does not come to another such port by way of a second thread', () => {
    const world = new Joined(2);
    const [one, other] = [world.add(MAC_A, [0, 1], true), world.add(MAC_B, [0, 1], true)];
    const [guest] = world.add(MAC_C, [1]);
    one[0].send(plainFrame(BROADCAST, MAC_A, 100));
    world.settle();
    assert.equal(received(guest).length, 1);
    assert.equal(other.flatMap(received).length, 0);
    assert.equal(one.flatMap(received).length, 0);
  });
});

describe('sleep', () => {
  test('a thread that has asked for it is woken once, by the first frame', () => {
    const world = new Joined(2);
    const [[a]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    assert.equal(world.engines[1].arm(), false);
    a.send(plainFrame(MAC_B, MAC_A, 100));
    world.engines[0].round(world.now);
    a.send(plainFrame(MAC_B, MAC_A, 101));
    world.engines[0].round(world.now);
    assert.equal(world.wakes[1][0], 1);
  });

  test('a thread that is awake is not woken', () => {
    const world = new Joined(2);
    const [[a]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    a.send(plainFrame(MAC_B, MAC_A, 100));
    world.engines[0].round(world.now);
    assert.equal(world.wakes[1][0], 0);
    assert.equal(world.engines[1].arm(), true, 'but it sees that there is work');
  });

  test('a parked junction is polled again from its wake-up on', () => {
    const world = new Joined(2);
    const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
    for (let i = 0; i < 20; i++) world.round();
    for (const engine of world.engines) engine.park();
    a.send(plainFrame(MAC_B, MAC_A, 100));
    world.engines[0].wake(1, 0);
    world.engines[0].round(world.now);
    assert.equal(world.wakes[1][0], 1);
    world.engines[1].wake(world.junctions[1][0].id, 0);
    world.engines[1].round(world.now);
    assert.equal(received(b).length, 1);
  });
});

test('a port that left is unknown to the other threads, and may come back elsewhere', () => {
  const world = new Joined(3);
  const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
  for (const thread of [0, 2]) world.engines[thread].forwarding.unroute(MAC_B, world.junctions[0][1].id);
  world.engines[1].detach(b.id);
  a.send(plainFrame(MAC_B, MAC_A, 100));
  world.settle();
  assert.deepEqual(dropsOf(world.arena, a), { 'unknown-unicast': 1 });
  const [again] = world.add(MAC_B, [2]);
  a.send(plainFrame(MAC_B, MAC_A, 101));
  world.settle();
  assert.equal(received(again).length, 1);
});

test('what is under way to a port that moves to a third thread ends where it was, counted', () => {
  const world = new Joined(3);
  const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
  a.send(plainFrame(MAC_B, MAC_A, 100));
  world.engines[0].round(world.now);
  for (const thread of [0, 2]) world.engines[thread].forwarding.unroute(MAC_B, world.junctions[0][1].id);
  world.engines[1].detach(b.id);
  const [again] = world.add(MAC_B, [2]);
  world.settle();
  assert.equal(received(again).length, 0);
  assert.deepEqual(dropsOf(world.arena, world.junctions[1][0]), { 'unknown-unicast': 1 });
  assert.equal(countersOf(world.arena, world.junctions[1][2]).out.frames, 0);
});

test('who sends under another thread’s MAC is refused on his own', () => {
  const world = new Joined(2);
  const [[a], [b]] = [world.add(MAC_A, [0]), world.add(MAC_B, [1])];
  a.send(plainFrame(MAC_B, MAC_B, 100));
  a.send(Uint8Array.from([...BROADCAST, ...MAC_B, ...pattern(50, 1)]));
  world.settle();
  assert.deepEqual(dropsOf(world.arena, a), { 'spoofed-source': 2 });
  assert.equal(received(b).length, 0);
});
