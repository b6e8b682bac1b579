import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STACK_ITEMS } from '../../assembly/netif_layout.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import {
  PAGE_RX_FIRST,
  PAGE_TX_FIRST,
  pagesToAnnounce,
  TX_BUFFERS,
} from '../../src/netif/netfront_memory.js';
import { NETFRONT_MEMORY, NetfrontPort } from '../../src/netif/netfront_port.js';
import { fillBuffers } from '../../src/tap/tap_port.js';
import { Machine } from '../support/machine.js';

const reference = (page: number) => 70_000 - 3 * page;

test('references in no order: requests name those of the table (gntalloc gives what is free)', () => {
  const machine = new Machine(1 << 28);
  const { arena, loops } = machine;
  const guest = machine.addBareGuest('guest');
  machine.engine.detach(guest.vif.id);
  guest.initRings();
  const { ramPages } = guest.domain.shape;
  const grefs = arena.allocate(ramPages * 4, 'references');
  for (let page = 0; page < ramPages; page++) arena.u32[grefs / 4 + page] = reference(page);
  const buffers = arena.allocate(STACK_ITEMS + TX_BUFFERS * 4, 'buffers');
  fillBuffers(arena, buffers, guest.ram + PAGE_TX_FIRST * 4096, TX_BUFFERS);
  const port = new NetfrontPort(arena, loops, {
    id: 1,
    name: 'eth0',
    ram: guest.ram,
    ramPages,
    grefBase: 8,
    grefs,
    txRing: guest.txRing,
    rxRing: guest.rxRing,
    rxPages: guest.ram + PAGE_RX_FIRST * 4096,
    buffers,
    features: 0,
    block: arena.allocate(PORT_BLOCK, 'descriptors'),
    memory: arena.allocate(NETFRONT_MEMORY, 'netfront'),
    descriptors: [],
    notifyTx: () => {},
    notifyRx: () => {},
  });
  for (let i = 0; i < 256; i++)
    assert.equal(arena.u32[(guest.rxRing + 64 + i * 8 + 4) / 4], reference(PAGE_RX_FIRST + i));
  assert.equal(port.multicast(true, Uint8Array.of(1, 0, 0x5e, 0, 0, 1)), true, 'an extra names no page');
  machine.close();
});

test('the pages to announce follow the layout', () => {
  const pages = pagesToAnnounce(1000, { txBuffers: 20, reference });
  assert.equal(pages.length, 512 + 20 * 16, 'all there are');
  assert.deepEqual(pages[0], { reference: reference(PAGE_RX_FIRST), readOnly: false });
  assert.deepEqual(pages[512], { reference: reference(PAGE_TX_FIRST), readOnly: true });
});
