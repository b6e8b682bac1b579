/** After a vif is gone nothing of its guest is left: no mapping, no mark, no descriptor, no byte in another's page. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { GRANT_ENTRY_SIZE, GTF_reading, GTF_writing } from '../../src/abi/grant_table.js';
import {
  GREF_BASE,
  PAGE_CTRL_RING,
  PAGE_RX_FIRST,
  PAGE_RX_RING,
  PAGE_TX_RING,
  RX_PAGES,
} from '../../src/netif/netfront_memory.js';
import { FLIP } from '../../src/transfer/transfer.js';
import { Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';
import { STRATEGIES } from './transfer.suite.js';

/** TX, RX and control ring: mapped by the machine as long as the domain lives. */
const RINGS = [PAGE_TX_RING, PAGE_RX_RING, PAGE_CTRL_RING].map((page) => GREF_BASE + page);

const descriptors = () => readdirSync('/proc/self/fd').length;

/** Mappings of memory files that begin within a range of this process's addresses. */
function mappingsIn(start: number, length: number): string[] {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => {
      const at = Number.parseInt(line, 16);
      return line.includes('/memfd:') && at >= start && at < start + length;
    });
}

for (const strategy of STRATEGIES) {
  test(`a vif that is gone leaves nothing behind, ${strategy}`, () => {
    const before = descriptors();
    const machine = new Machine();
    const a = machine.addGuest('a', { transfer: strategy });
    const b = machine.addGuest('b', { transfer: strategy });
    for (const length of [60, 1514, 9000, 65_535]) {
      a.send(plainFrame(b.mac, a.mac, length));
      b.send(plainFrame(a.mac, b.mac, length));
      machine.settle();
      assert.equal(a.receive()?.bytes.length, length);
      assert.equal(b.receive()?.bytes.length, length);
    }
    for (const guest of [a, b]) {
      const vif = machine.vifs.get(guest.netback.id);
      assert.ok(vif);
      machine.engine.detach(vif.id);
      const { arena } = machine;
      if (vif.window !== 0) {
        const bytes = vif.cachePages * 4096;
        assert.deepEqual(mappingsIn(arena.base + vif.window, strategy === 'map' ? 64 * 4096 : bytes), []);
        const window = arena.u8.subarray(vif.window, vif.window + 64 * 4096);
        assert.ok(window.every((byte) => byte === 0));
      }
      machine.hypervisor.grants.unmap(guest.domain.domid, guest.domain.ramFd < 0 ? [] : RINGS, vif.rings);
      for (let gref = 0; gref < guest.domain.grants; gref++) {
        const flags = arena.u8[guest.domain.table + gref * GRANT_ENTRY_SIZE];
        assert.equal(flags & (GTF_reading | GTF_writing), 0, `reference ${gref} is still marked`);
      }
    }
    machine.close();
    assert.equal(descriptors(), before);
  });
}

describe('flip', () => {
  for (const by of ['UFFDIO_MOVE', 'mremap'] as const) {
    test(`gives away no byte of another guest's page, by ${by}`, () => {
      const machine = new Machine(undefined, undefined, by);
      const a = machine.addGuest('a');
      const keeper = machine.addBareGuest('keeper', { transfer: FLIP });
      const c = machine.addBareGuest('c', { transfer: FLIP });
      const { u8 } = machine.arena;
      let seen = 0;
      for (let round = 0; round < 200; round++) {
        // The keeper's pages are full of a secret when they go to the pool.
        u8.fill(0x5e, keeper.rxPage(0), keeper.rxPage(8));
        keeper.postRx(8, 0);
        for (let i = 0; i < 8; i++) a.send(plainFrame(keeper.mac, a.mac, 60 + i));
        machine.settle();
        assert.equal(keeper.rxAnswered, keeper.rxProd);
        u8.fill(0xcc, c.rxPage(0), c.rxPage(8));
        c.postRx(8, 0);
        const lengths = Array.from({ length: 8 }, (_, i) => 14 + (((round * 8 + i) * 37) % 4000));
        for (const length of lengths) a.send(plainFrame(c.mac, a.mac, length));
        machine.settle();
        lengths.forEach((length, i) => {
          const page = u8.subarray(c.rxPage(i), c.rxPage(i + 1));
          assert.ok(Buffer.from(plainFrame(c.mac, a.mac, length)).equals(page.subarray(0, length)));
          assert.ok(
            page.subarray(length).every((byte) => byte === 0),
            `round ${round}, ${length} bytes`,
          );
          seen++;
        });
      }
      assert.equal(seen, 1600);
      machine.close();
    });

    test(`leaves its guest all other pages, by ${by}`, () => {
      const machine = new Machine(undefined, undefined, by);
      const a = machine.addGuest('a');
      const b = machine.addBareGuest('b', { transfer: FLIP });
      const { u8 } = machine.arena;
      for (let page = PAGE_RX_FIRST; page < PAGE_RX_FIRST + RX_PAGES; page++)
        u8.fill(page, b.ram + page * 4096, b.ram + (page + 1) * 4096);
      b.postRx(1, 100);
      a.send(plainFrame(b.mac, a.mac, 500));
      machine.settle();
      for (let page = PAGE_RX_FIRST; page < PAGE_RX_FIRST + RX_PAGES; page++) {
        if (page === PAGE_RX_FIRST + 100) continue;
        assert.ok(
          u8.subarray(b.ram + page * 4096, b.ram + (page + 1) * 4096).every((x) => x === (page & 0xff)),
        );
      }
      assert.equal(machine.pool.free, 512);
      machine.close();
    });
  }
});
