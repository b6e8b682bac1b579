/** "map": what is mapped is mapped for the batch only, in a small window, and a kernel that refuses costs frames, not us. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GNTST_no_device_space, GNTST_okay } from '../../src/abi/grant_table.js';
import { MAP_TABLES, MAP_WINDOW, MapUnmap } from '../../src/transfer/map.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import type { GrantTable } from '../../src/xen/grant_table.js';
import { dropped } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';
import { type Move, segmentWorld } from './segment_world.js';

/** A grant table that notes how many pages each call maps, and can refuse to unmap. */
function watched(inner: GrantTable) {
  const calls: number[] = [];
  let refusals = 0;
  const table: GrantTable = {
    map: (...rest) => inner.map(...rest),
    unmap: (...rest) => inner.unmap(...rest),
    copy: (...rest) => inner.copy(...rest),
    mapEach: (requests, n, window) => {
      calls.push(n);
      inner.mapEach(requests, n, window);
    },
    unmapEach: (requests, n, window) => {
      if (n > 0 && refusals > 0) {
        refusals--;
        return -12;
      }
      return inner.unmapEach(requests, n, window);
    },
    abandonEach: (...rest) => inner.abandonEach(...rest),
  };
  const refuse = (times: number) => {
    refusals = times;
  };
  return { table, calls, refuse };
}

function world() {
  const machine = new Machine();
  const watch = watched(machine.hypervisor.grants);
  const { arena, loops, hypervisor } = machine;
  const memory = {
    domains: hypervisor.records,
    window: arena.allocate(MAP_WINDOW * 4096, 'window'),
    requests: arena.allocate(MAP_TABLES, 'requests'),
    counters: arena.allocate(4096, 'counters'),
  };
  const transfer = new MapUnmap(arena, loops, watch.table, memory);
  const inner = segmentWorld('map', machine);
  // The suite's world, with this transfer instead of the vif's own.
  inner.transfer.move = (segments, n) => transfer.move(segments, n);
  return { ...inner, ...watch, memory, map: transfer };
}

test('it serves guests', () => {
  assert.ok(TRANSFER_NAMES.includes('map'));
});

test('pieces of one page are mapped once, and no more pages at a time than the window has', () => {
  const { machine, guest, move, calls, u8, memory } = world();
  const here = machine.arena.allocate(4096, 'here');
  const pieces = Array.from({ length: 100 }, (_, i): Move => {
    return { from: here, to: { gref: guest.rxGref(0), offset: i * 40 }, length: 40 };
  });
  assert.ok(move(pieces).every((status) => status === GNTST_okay));
  assert.deepEqual(calls.splice(0), [1]);
  const pages = Array.from({ length: 300 }, (_, i): Move => {
    return { from: { gref: guest.txGref(i) }, to: { gref: guest.rxGref(i) }, length: 10 };
  });
  assert.ok(move(pages).every((status) => status === GNTST_okay));
  assert.equal(
    calls.reduce((sum, n) => sum + n, 0),
    600,
  );
  // Those that are read by one call, those that are written by another: Xen's driver maps neighbours of a kind together.
  assert.deepEqual(calls.slice(0, 4), [32, 32, 32, 32]);
  assert.equal(calls.length, 20);
  assert.ok(calls.every((n) => n <= MAP_WINDOW));
  const window = u8.subarray(memory.window, memory.window + MAP_WINDOW * 4096);
  assert.ok(
    window.every((byte) => byte === 0),
    'the window is empty again',
  );
  machine.close();
});

test('during the copy the guest cannot end its grant', () => {
  const seen: boolean[] = [];
  let probe = () => {};
  const machine = new Machine(undefined, (loops) => ({
    ...loops,
    moveLocal: (...args) => {
      probe();
      loops.moveLocal(...args);
    },
  }));
  const { guest, move } = segmentWorld('map', machine);
  probe = () => seen.push(guest.grants.end(guest.rxGref(0)));
  const here = machine.arena.allocate(4096, 'here');
  assert.deepEqual(move([{ from: here, to: { gref: guest.rxGref(0) }, length: 9 }]), [GNTST_okay]);
  probe = () => {};
  assert.deepEqual(seen, [false]);
  assert.ok(guest.grants.end(guest.rxGref(0)));
  machine.close();
});

test('a kernel that unmaps nothing just now costs frames, and is asked again', () => {
  const { machine, guest, move, refuse, map } = world();
  const here = machine.arena.allocate(4096, 'here');
  const one: Move[] = [{ from: here, to: { gref: guest.rxGref(0) }, length: 9 }];
  refuse(2);
  assert.deepEqual(move(one), [GNTST_okay], 'the copy itself was made');
  assert.equal(guest.grants.end(guest.rxGref(0)), false, 'it is mapped still, and marked so');
  assert.deepEqual(move(one), [GNTST_no_device_space]);
  assert.deepEqual(move(one), [GNTST_okay]);
  assert.ok(guest.grants.end(guest.rxGref(0)));
  map.close();
  machine.close();
});

test('one that still unmaps nothing when the vif ends keeps the pages, not the grants', () => {
  const { machine, guest, move, refuse, map, memory } = world();
  const here = machine.arena.allocate(4096, 'here');
  refuse(2);
  move([{ from: here, to: { gref: guest.rxGref(0) }, length: 9 }]);
  assert.equal(guest.grants.end(guest.rxGref(0)), false);
  map.close();
  assert.ok(guest.grants.end(guest.rxGref(0)));
  machine.arena.free(memory.window, MAP_WINDOW * 4096);
  map.close();
  machine.close();
});

test('a guest whose packets are chains of tiny slots is served in short batches, and whole', () => {
  const machine = new Machine();
  const sizes: number[] = [];
  const bare = machine.addBareGuest('bare', {
    transfer: 'map',
    wrapTransfer: (transfer) =>
      Object.assign(Object.create(transfer), {
        move: (segments: number, n: number) => {
          sizes.push(n);
          transfer.move(segments, n);
        },
        close: () => transfer.close(),
        tick: () => {},
        settle: () => {},
      }),
  });
  const b = machine.addGuest('b', { transfer: 'map' });
  const pieces = new Array<number>(18).fill(5);
  for (let i = 0; i < 14; i++) bare.putPacket(plainFrame(b.mac, bare.mac, 90, i), i * 18, pieces);
  bare.publishTx();
  machine.settle();
  for (let i = 0; i < 14; i++)
    assert.ok(Buffer.from(plainFrame(b.mac, bare.mac, 90, i)).equals(b.receive()!.bytes), `packet ${i}`);
  assert.ok(sizes.every((n) => n <= 256));
  assert.ok(sizes.length > 1, 'more than one batch');
  assert.equal(dropped(machine.arena, bare.netback), 0);
  machine.close();
});
