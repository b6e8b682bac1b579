/** The pages that netfront receives into: posted while their predecessors are still on their way, and side by side. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { F_NFRAGS, F_SETTLED } from '../../assembly/layout.js';
import { IOV_STRIDE, TAP_BASE, TAP_IOVS, TAP_SIZE } from '../../assembly/tap_layout.js';
import { NETRXF_extra_info, NETRXF_more_data, XEN_NETIF_EXTRA_TYPE_HASH } from '../../src/abi/netif.js';
import { NETIF_RING_SIZE, RING_REQ_PROD, RING_RSP_PROD } from '../../src/abi/ring.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { GREF_BASE, PAGE_RX_FIRST } from '../../src/netif/netfront_memory.js';
import { NETFRONT_MEMORY, NetfrontPort } from '../../src/netif/netfront_port.js';
import { Machine } from '../support/machine.js';

const PAGE = 4096;
/** u16 id, u16 offset, u16 flags, s16 status, from the ring's 64th byte on. */
const entryAt = (ring: number, index: number) => ring + 64 + (index % NETIF_RING_SIZE) * 8;

/** A front end on the rings of a guest whose back end is the test. */
function frontEnd() {
  const machine = new Machine(1 << 28);
  const { arena, loops } = machine;
  const guest = machine.addBareGuest('guest');
  machine.engine.detach(guest.vif.id);
  guest.initRings();
  const ring = guest.rxRing;
  let shown = 0;
  const port = new NetfrontPort(arena, loops, {
    id: 1,
    name: 'eth0',
    ram: guest.ram,
    ramPages: guest.domain.shape.ramPages,
    grefBase: GREF_BASE,
    txRing: guest.txRing,
    rxRing: ring,
    rxPages: guest.ram + PAGE_RX_FIRST * PAGE,
    buffers: arena.allocate(64, 'no buffers'),
    features: 0,
    block: arena.allocate(PORT_BLOCK, 'descriptors'),
    memory: arena.allocate(NETFRONT_MEMORY, 'netfront'),
    descriptors: [],
    notifyTx: () => {},
    notifyRx: () => {},
  });
  /** Pages named by requests [from, from + n), as numbers among those to receive into. */
  const posted = (from: number, n: number) =>
    Array.from(
      { length: n },
      (_, i) => arena.u32[(entryAt(ring, from + i) + 4) / 4] - GREF_BASE - PAGE_RX_FIRST,
    );
  /** A frame of `pages` full pages, with a hash behind the first one: the slot of an extra info uses no page. */
  const answer = (pages: number) => {
    const respond = (flags: number) => {
      const at = entryAt(ring, shown++);
      arena.view.setUint16(at + 2, 0, true); // offset
      arena.view.setUint16(at + 4, flags, true);
      arena.view.setInt16(at + 6, PAGE, true); // status: bytes
    };
    respond(NETRXF_extra_info | NETRXF_more_data);
    const extra = entryAt(ring, shown++);
    arena.view.setBigUint64(extra, BigInt(XEN_NETIF_EXTRA_TYPE_HASH), true);
    for (let page = 1; page < pages; page++) respond(page + 1 < pages ? NETRXF_more_data : 0);
    arena.u32[(ring + RING_RSP_PROD) / 4] = shown;
  };
  return {
    machine,
    arena,
    loops,
    port,
    posted,
    answer,
    reqProd: () => arena.u32[(ring + RING_REQ_PROD) / 4],
  };
}

const range = (from: number, n: number) => Array.from({ length: n }, (_, i) => from + i);

test('a full ring of frames came: other pages are posted before those frames are done with', () => {
  const { machine, port, posted, answer, reqProd } = frontEnd();
  assert.deepEqual(posted(0, NETIF_RING_SIZE), range(0, NETIF_RING_SIZE));
  for (let i = 0; i < 15; i++) answer(16);
  assert.equal(port.pull(0), 15);
  assert.equal(reqProd(), NETIF_RING_SIZE + 15 * 17, 'the ring is full of requests again, and shown');
  assert.deepEqual(
    posted(NETIF_RING_SIZE, 15 * 17),
    range(NETIF_RING_SIZE, 15 * 17),
    'by pages in nobody’s hands',
  );
  machine.close();
});

test('pages side by side are posted side by side again, and are one iovec for the tap', () => {
  const { machine, arena, loops, port, posted, answer } = frontEnd();
  const tap = arena.allocate(TAP_SIZE, 'tap');
  const iovs = arena.allocate(IOV_STRIDE, 'iovecs');
  arena.view.setFloat64(tap + TAP_BASE, arena.base, true);
  arena.u32[(tap + TAP_IOVS) / 4] = iovs;
  const pages = new Set<number>();
  for (let turn = 0, slot = 0; turn < 40; turn++, slot += 34) {
    const named = posted(slot, 34);
    for (const page of named) pages.add(page);
    answer(16);
    answer(16);
    assert.equal(port.pull(0), 2);
    for (const k of [0, 1]) {
      const frame = arena.u32[port.list / 4 + k];
      assert.equal(arena.u32[(frame + F_NFRAGS) / 4], 17, 'the page of the extra info goes along, empty');
      const [first, , ...rest] = named.slice(17 * k, 17 * k + 17);
      const runs = 1 + [first, ...rest].filter((page, i, all) => page !== all[i - 1] + 1).length;
      assert.equal(loops.tapPrepareWrite(tap, frame, 0), runs, `turn ${turn}`);
      let bytes = 0;
      for (let i = 1; i < runs; i++) bytes += Number(arena.view.getBigUint64(iovs + 16 * i + 8, true));
      assert.equal(bytes, 16 * PAGE);
      assert.ok(
        runs <= 4,
        'header; first page; all others, with a seam at most where what was posted at once ends',
      );
      arena.u32[(frame + F_SETTLED) / 4] = 1;
    }
    assert.equal(port.release(2), 0);
    port.flush();
  }
  assert.ok(pages.size >= 256, 'none was lost');
  machine.close();
});
