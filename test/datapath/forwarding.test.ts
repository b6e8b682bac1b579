/** Who gets a frame: the table against a Map, anti-spoofing, groups, the uplink, ports that leave. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { FORWARDING_SIZE, Forwarding } from '../../src/datapath/forwarding.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { BROADCAST, macOf, plainFrame } from '../support/packets.js';
import { randomSource } from '../support/random.js';

const MULTICAST6 = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

describe('the MAC table', () => {
  const setUp = () => {
    const arena = Arena.create(1 << 24);
    const loops = instantiateLoops(arena);
    const forwarding = new Forwarding(arena, loops, arena.allocate(FORWARDING_SIZE, 'forwarding'));
    const scratch = arena.allocate(64, 'scratch');
    const at = (mac: Uint8Array) => {
      arena.u8.set(mac, scratch);
      return scratch;
    };
    return {
      add: (mac: Uint8Array, port: number) => loops.macAdd(forwarding.address, at(mac), port) !== 0,
      find: (mac: Uint8Array) => loops.macLookup(forwarding.address, loops.macKey(at(mac))),
      remove: (port: number) => loops.macRemovePort(forwarding.address, port),
    };
  };

  test('agrees with a Map through 20,000 random additions, removals and look-ups', () => {
    const table = setUp();
    const random = randomSource(42);
    const map = new Map<number, number>();
    // Few distinct MACs and few ports: long probe chains are made and cut again and again.
    const mac = (n: number) => Uint8Array.of(0x02, n & 1 ? 0xff : 0, 0, 0, n >>> 8, n & 0xff);
    for (let turn = 0; turn < 20_000; turn++) {
      const n = random(2048);
      const port = 1 + random(511);
      if (random(8) !== 0) {
        assert.equal(table.add(mac(n), port), !map.has(n), `turn ${turn}`);
        if (!map.has(n)) map.set(n, port);
      } else {
        table.remove(port);
        for (const [key, owner] of map) if (owner === port) map.delete(key);
      }
      const probe = random(2048);
      assert.equal(table.find(mac(probe)), map.get(probe) ?? 0, `turn ${turn}`);
    }
    for (let n = 0; n < 2048; n++) assert.equal(table.find(mac(n)), map.get(n) ?? 0);
  });

  test('refuses what would fill it beyond three quarters, and still finds everything', () => {
    const table = setUp();
    const mac = (n: number) => Uint8Array.of(0x02, 9, 0, n >>> 16, n >>> 8, n & 0xff);
    let n = 0;
    while (table.add(mac(n), 1 + (n % 500))) n++;
    assert.equal(n, 3072);
    for (let i = 0; i < n; i++) assert.equal(table.find(mac(i)), 1 + (i % 500));
    assert.equal(table.find(mac(n)), 0);
    table.remove(1);
    assert.ok(table.add(mac(n), 7));
  });
});

describe('forwarding', () => {
  test('unicast goes to its owner alone', () => {
    const machine = new Machine(1 << 28);
    const [a, b, c] = ['a', 'b', 'c'].map((name) =>
      machine.addMemoryPort(name, { mac: macOf(name.charCodeAt(0)) }),
    );
    const frame = plainFrame(macOf(98), macOf(97), 60);
    a.send(frame);
    machine.settle();
    assert.deepEqual(b.receive()?.bytes, frame);
    assert.equal(c.receive(), undefined);
    assert.equal(a.receive(), undefined);
    assert.deepEqual(countersOf(machine.arena, a).in, { frames: 1, bytes: 60, gso: 0, limited: 0 });
    assert.equal(countersOf(machine.arena, b).out.bytes, 60);
    machine.close();
  });

  test('a port sends from its own MAC only; an uplink from any', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addMemoryPort('a', { mac: macOf(1) });
    const b = machine.addMemoryPort('b', { mac: macOf(2) });
    const uplink = machine.addMemoryPort('uplink', { anySource: true });
    for (const from of [macOf(2), macOf(77), BROADCAST, new Uint8Array(6)])
      a.send(plainFrame(macOf(2), from, 60));
    a.send(plainFrame(BROADCAST, macOf(2), 60));
    machine.settle();
    assert.equal(b.receive(), undefined);
    assert.deepEqual(dropsOf(machine.arena, a), { 'spoofed-source': 5 });
    uplink.send(plainFrame(macOf(2), macOf(77), 60));
    machine.settle();
    assert.equal(b.receive()?.bytes.length, 60);
    machine.close();
  });

  test('unknown unicast is dropped and counted, or goes to the uplink', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addMemoryPort('a', { mac: macOf(1) });
    const uplink = machine.addMemoryPort('uplink', { anySource: true });
    a.send(plainFrame(macOf(99), macOf(1), 60));
    machine.settle();
    assert.deepEqual(dropsOf(machine.arena, a), { 'unknown-unicast': 1 });
    machine.engine.forwarding.uplink(uplink.id);
    a.send(plainFrame(macOf(99), macOf(1), 61));
    machine.settle();
    assert.equal(uplink.receive()?.bytes.length, 61);
    uplink.send(plainFrame(macOf(98), macOf(99), 60));
    machine.settle();
    assert.deepEqual(
      dropsOf(machine.arena, uplink),
      { 'to-itself': 1 },
      'what came from the wire does not go back',
    );
    machine.engine.detach(uplink.id);
    a.send(plainFrame(macOf(99), macOf(1), 60));
    machine.settle();
    assert.deepEqual(dropsOf(machine.arena, a), { 'unknown-unicast': 2 });
    machine.close();
  });

  test('isolated ports exchange nothing with each other, and all with the rest', () => {
    const machine = new Machine(1 << 28);
    const guest = machine.addMemoryPort('guest', { mac: macOf(1) });
    const host = machine.addMemoryPort('host', { mac: macOf(2), isolated: true });
    const crossing = machine.addMemoryPort('crossing', { anySource: true, isolated: true });
    machine.engine.forwarding.uplink(crossing.id);
    const group = Uint8Array.of(255, 255, 255, 255, 255, 255);
    host.send(plainFrame(macOf(99), macOf(2), 60)); // would be the uplink's
    host.send(plainFrame(group, macOf(2), 61));
    crossing.send(plainFrame(macOf(2), macOf(77), 62));
    crossing.send(plainFrame(group, macOf(77), 63));
    machine.settle();
    assert.deepEqual([guest.receive()?.bytes.length, guest.receive()?.bytes.length], [61, 63]);
    assert.deepEqual([host.receive(), crossing.receive()], [undefined, undefined]);
    assert.deepEqual(dropsOf(machine.arena, host), { 'unknown-unicast': 1 });
    assert.deepEqual(dropsOf(machine.arena, crossing), { 'unknown-unicast': 1 });
    guest.send(plainFrame(group, macOf(1), 64));
    guest.send(plainFrame(macOf(2), macOf(1), 65));
    guest.send(plainFrame(macOf(99), macOf(1), 66));
    machine.settle();
    assert.deepEqual([host.receive()?.bytes.length, host.receive()?.bytes.length], [64, 65]);
    assert.deepEqual([crossing.receive()?.bytes.length, crossing.receive()?.bytes.length], [64, 66]);
    machine.close();
  });

  test('group frames reach all others exactly once and never come back', () => {
    const machine = new Machine(1 << 29);
    const ports = [1, 2, 3, 4, 5].map((n) => machine.addMemoryPort(`p${n}`, { mac: macOf(n) }));
    for (const group of [BROADCAST, MULTICAST6]) {
      ports.forEach((source, i) => {
        const frame = plainFrame(group, macOf(i + 1), 100 + i);
        source.send(frame);
        machine.settle();
        for (const port of ports) {
          if (port !== source) assert.deepEqual(port.receive()?.bytes, frame);
          assert.equal(port.receive(), undefined);
        }
      });
    }
    for (const port of ports.slice(1)) machine.engine.detach(port.id);
    ports[0].send(plainFrame(BROADCAST, macOf(1), 60));
    machine.settle();
    assert.deepEqual(dropsOf(machine.arena, ports[0]), { 'group-of-none': 1 });
    machine.close();
  });

  test('a group frame behind one that waits for the same receiver is counted, not lost in silence', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addMemoryPort('a', { mac: macOf(1) });
    const b = machine.addMemoryPort('b', { mac: macOf(2) });
    const c = machine.addMemoryPort('c', { mac: macOf(3) });
    for (let i = 0; i < 64; i++) assert.ok(a.send(plainFrame(macOf(2), macOf(1), 60)));
    machine.settle();
    a.send(plainFrame(macOf(2), macOf(1), 61));
    a.send(plainFrame(BROADCAST, macOf(1), 62));
    machine.settle();
    assert.equal(c.receive()?.bytes.length, 62);
    assert.deepEqual(dropsOf(machine.arena, b), { 'rx-full': 1 });
    for (let i = 0; i < 64; i++) assert.equal(b.receive()?.bytes.length, 60);
    machine.settle();
    assert.equal(b.receive()?.bytes.length, 61, 'what waited arrives when there is room');
    machine.close();
  });

  test('a waiting frame keeps its bytes while others come and go', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addMemoryPort('a', { mac: macOf(1) });
    const b = machine.addMemoryPort('b', { mac: macOf(2) });
    const c = machine.addMemoryPort('c', { mac: macOf(3) });
    for (let i = 0; i < 64; i++) a.send(plainFrame(macOf(2), macOf(1), 60));
    machine.settle();
    const waits = plainFrame(macOf(2), macOf(1), 1000, 5);
    a.send(waits);
    let sent = 0;
    for (let i = 0; i < 500; i++) {
      if (a.send(plainFrame(macOf(3), macOf(1), 200, i))) sent++;
      machine.settle();
      while (c.receive()) sent--;
    }
    assert.equal(sent, 0);
    for (let i = 0; i < 64; i++) b.receive();
    machine.settle();
    assert.deepEqual(b.receive()?.bytes, waits);
    machine.close();
  });

  test('to itself is dropped', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addMemoryPort('a', { mac: macOf(1) });
    machine.addMemoryPort('b', { mac: macOf(2) });
    a.send(plainFrame(macOf(1), macOf(1), 60));
    machine.settle();
    assert.equal(a.receive(), undefined);
    assert.deepEqual(dropsOf(machine.arena, a), { 'to-itself': 1 });
    machine.close();
  });

  test('a MAC belongs to one port; it is free again when that port leaves', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addMemoryPort('a', { mac: macOf(1) });
    assert.throws(() => machine.addMemoryPort('b', { mac: macOf(1) }), /taken/);
    assert.equal(machine.engine.ports.length, 1);
    machine.engine.detach(a.id);
    machine.addMemoryPort('c', { mac: macOf(1) });
    assert.equal(machine.engine.ports.length, 1);
    machine.close();
  });

  test('frames on their way to a port that leaves are counted where they came from', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    const b = machine.addBareGuest('b');
    for (let i = 0; i < 10; i++) a.send(plainFrame(b.mac, a.mac, 100));
    machine.settle();
    assert.ok(machine.engine.waiting);
    machine.engine.detach(b.vif.id);
    assert.deepEqual(dropsOf(machine.arena, a.netback), { 'port-gone': 10 });
    machine.settle();
    assert.ok(!machine.engine.waiting);
    a.send(plainFrame(b.mac, a.mac, 100));
    machine.settle();
    assert.deepEqual(dropsOf(machine.arena, a.netback), { 'port-gone': 10, 'unknown-unicast': 1 });
    machine.close();
  });

  test('a port that leaves with frames of its own in flight takes them along', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    const b = machine.addBareGuest('b');
    for (let i = 0; i < 5; i++) a.send(plainFrame(b.mac, a.mac, 100));
    machine.settle();
    machine.engine.detach(1);
    b.postRx(64);
    machine.settle();
    assert.equal(b.rxAnswered, 0);
    assert.ok(!machine.engine.waiting);
    machine.close();
  });
});
