/** A kernel that has no mapping left (vm.max_map_count): vifs with mapping caches go on, by grant copies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countersOf } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { blankFrame, plainFrame } from '../support/packets.js';

for (const direct of [true, false]) {
  test(`frames of every size go both ways without another mapping (lane ${direct})`, () => {
    const machine = new Machine();
    const a = machine.addGuest('a', { direct });
    const b = machine.addGuest('b', { direct });
    const lengths = [60, 128, 129, 1500, 4096, 4097, 20_000, 65_000];
    const exchange = (seed: number) => {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ])
        for (const length of lengths) {
          const frame = plainFrame(to.mac, from.mac, length, length + seed);
          assert.ok(from.send(frame));
          machine.settle();
          assert.deepEqual(to.receive()?.bytes, frame, `${length} bytes`);
        }
    };
    machine.maps = false;
    exchange(1);
    for (const guest of [a, b]) {
      const { cache, drops } = countersOf(machine.arena, guest.netback);
      assert.deepEqual(drops, {});
      assert.equal(cache.hits, 0);
      assert.ok(cache.copied > lengths.length, `${cache.copied} pages by grant copy`);
    }
    machine.maps = true;
    machine.settle();
    for (let i = 2; i < 40; i++) exchange(i);
    assert.ok(countersOf(machine.arena, b.netback).cache.hits > 100, 'and with mappings again they are used');
    machine.close();
  });
}

test('a group and a frame for a guest without offloads, without another mapping', () => {
  const machine = new Machine();
  const a = machine.addGuest('a');
  const plain = machine.addGuest('plain', { features: 0 });
  const copying = machine.addGuest('copying', { transfer: 'grant-copy' });
  machine.maps = false;
  const group = Uint8Array.of(0x01, 0, 0x5e, 0, 0, 9);
  const all = plainFrame(group, a.mac, 900);
  a.send(all);
  machine.settle();
  for (const guest of [plain, copying]) assert.deepEqual(guest.receive()?.bytes, all);
  const large = blankFrame(plain.mac, a.mac, { family: 4, proto: 6, payload: 9000, gsoSize: 1400 });
  a.send(large.bytes, large.vnet);
  machine.settle();
  let pieces = 0;
  while (plain.receive()) pieces++;
  assert.equal(pieces, Math.ceil(9000 / 1400));
  for (const guest of [a, plain, copying])
    assert.deepEqual(countersOf(machine.arena, guest.netback).drops, {});
  machine.close();
});

test('a bad grant is refused all the same', () => {
  const machine = new Machine();
  const evil = machine.addBareGuest('evil');
  const b = machine.addGuest('b');
  machine.maps = false;
  const frame = plainFrame(b.mac, evil.mac, 300);
  machine.arena.u8.set(frame, evil.txPage(0));
  assert.ok(evil.grants.end(evil.txGref(0)));
  evil.putTx({ gref: evil.txGref(0), flags: 0, size: 300 });
  evil.putTx({ gref: 0xffffffff, flags: 0, size: 300 });
  evil.publishTx();
  machine.settle();
  assert.equal(b.receive(), undefined);
  assert.equal(countersOf(machine.arena, evil.netback).drops['bad-grant'], 2);
  machine.close();
});
