/** A hostile back end: responses of every kind to a netfront. NETFERRY_SEED=… repeats a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NF_RX_CONS, NF_RX_REQ, NF_RX_TABLE, STACK_ITEMS } from '../../assembly/netif_layout.js';
import { RING_RSP_PROD } from '../../src/abi/ring.js';
import { Engine } from '../../src/datapath/engine.js';
import { FORWARDING_SIZE } from '../../src/datapath/forwarding.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { MEMORY_PORT_SIZE, MemoryPort } from '../../src/datapath/memory_port.js';
import {
  GREF_BASE,
  PAGE_RX_FIRST,
  PAGE_TX_FIRST,
  RX_PAGES,
  TX_BUFFERS,
} from '../../src/netif/netfront_memory.js';
import { NETFRONT_MEMORY, NetfrontPort } from '../../src/netif/netfront_port.js';
import { fillBuffers } from '../../src/tap/tap_port.js';
import { ALL_FEATURES, Machine } from '../support/machine.js';
import { BROADCAST, plainFrame } from '../support/packets.js';
import { pick, randomSource, seedOf } from '../support/random.js';

const RINGS = 30_000;
const CANARY = 0xc5;

test('30,000 hostile sets of responses: no crash, no page posted twice, nothing written beside', () => {
  const seed = seedOf();
  console.log(`NETFERRY_SEED=${seed}`);
  const random = randomSource(seed);
  const machine = new Machine(1 << 28);
  const { arena, loops } = machine;
  const { u8, u32, view } = arena;
  const guest = machine.addBareGuest('guest');
  machine.engine.detach(guest.vif.id);
  const canaries: [number, number][] = [];
  /** Memory whose last page's rest, and the page behind, are watched. */
  const alloc = (bytes: number) => {
    const all = Math.ceil(bytes / 4096) * 4096 + 4096;
    const address = arena.allocate(all, 'netfront');
    u8.fill(CANARY, address + bytes, address + all);
    canaries.push([address + bytes, address + all]);
    return address;
  };
  const block = alloc(PORT_BLOCK);
  const memory = alloc(NETFRONT_MEMORY);
  const buffers = alloc(STACK_ITEMS + TX_BUFFERS * 4);
  const wireBlock = alloc(PORT_BLOCK);
  const wireMemory = alloc(MEMORY_PORT_SIZE);
  const forwarding = alloc(FORWARDING_SIZE);

  const connect = () => {
    guest.initRings();
    u8.fill(0, block, block + PORT_BLOCK);
    u8.fill(0, memory, memory + NETFRONT_MEMORY);
    u8.fill(0, wireBlock, wireBlock + PORT_BLOCK);
    u8.fill(0, forwarding, forwarding + FORWARDING_SIZE);
    fillBuffers(arena, buffers, guest.ram + PAGE_TX_FIRST * 4096, TX_BUFFERS);
    const engine = new Engine(arena, loops, forwarding);
    const netfront = new NetfrontPort(arena, loops, {
      id: 1,
      name: 'eth0',
      ram: guest.ram,
      ramPages: guest.domain.shape.ramPages,
      grefBase: GREF_BASE,
      txRing: guest.txRing,
      rxRing: guest.rxRing,
      rxPages: guest.ram + PAGE_RX_FIRST * 4096,
      buffers,
      features: ALL_FEATURES,
      block,
      memory,
      descriptors: [],
      notifyTx: () => {},
      notifyRx: () => {},
    });
    const wire = new MemoryPort(arena, loops, { id: 2, name: 'wire', block: wireBlock, memory: wireMemory });
    engine.attach(netfront);
    engine.attach(wire);
    engine.forwarding.wire(1, 2);
    return { engine, netfront, wire };
  };

  let { engine, netfront, wire } = connect();
  const rxTable = u32[(memory + NF_RX_TABLE) / 4];
  let tx = 0;
  let rx = 0;
  let fenced = 0;
  let received = 0;
  for (let ring = 0; ring < RINGS; ring++) {
    const when = `ring ${ring} of seed ${seed}`;
    for (let i = random(6); i > 0; i--)
      wire.send(plainFrame(BROADCAST, guest.mac, 14 + random(random(4) === 0 ? 60_000 : 1500)));
    engine.round(machine.now);
    // Receive responses: mostly sound ones, some spoilt, in any number.
    const posted = (u32[guest.rxRing / 4] - rx) >>> 0;
    const count = random(12) === 0 ? random(posted + 1) : Math.min(posted, random(30));
    for (let i = 0; i < count; i++) {
      const at = guest.rxEntry((rx + i) >>> 0);
      const wild = random(12) === 0;
      view.setUint16(at, random(65536), true);
      view.setUint16(at + 2, wild ? random(65536) : random(64), true);
      view.setUint16(at + 4, wild ? random(32) : pick(random, [0, 0, 0, 0, 1, 3, 4]), true);
      view.setInt16(at + 6, wild ? random(65536) - 32768 : 14 + random(4000), true);
    }
    if (count > 0) view.setUint16(guest.rxEntry((rx + count - 1) >>> 0) + 4, random(20) === 0 ? 4 : 0, true);
    rx = (rx + count) >>> 0;
    // Transmit responses: ids as asked for, or not.
    const waiting = (u32[guest.txRing / 4] - tx) >>> 0;
    const answers = random(waiting + 1);
    for (let i = 0; i < answers; i++) {
      const at = guest.txEntry((tx + i) >>> 0);
      const id = view.getUint16(at + 8, true);
      view.setUint16(at, random(300) === 0 ? random(random(2) === 0 ? 256 : 65536) : id, true);
      view.setInt16(at + 2, random(60) === 0 ? pick(random, [-32768, -2, -1, 1, 1, 32767]) : 0, true);
    }
    tx = (tx + answers) >>> 0;
    // An index that happens to lie within what was asked for is as good as any: the back end goes on from there.
    if (random(60) === 0) rx = (rx + random(600) - 300) >>> 0;
    if (random(60) === 0) tx = random(2) === 0 ? random(0x7fffffff) : (tx + random(20)) >>> 0;
    Atomics.store(u32, (guest.rxRing + RING_RSP_PROD) / 4, rx);
    Atomics.store(u32, (guest.txRing + RING_RSP_PROD) / 4, tx);
    engine.round(machine.now);
    engine.round(machine.now);
    // Until every response is read: frames wait when the wire's queue is full.
    for (let more = true; more; ) {
      more = false;
      for (; wire.receive(); more = true) received++;
      engine.round(machine.now);
    }
    if (netfront.fenced !== 0) {
      const before = u32[guest.rxRing / 4];
      engine.round(machine.now);
      assert.equal(u32[guest.rxRing / 4], before, `${when}: fenced, yet it goes on`);
      fenced++;
      ({ engine, netfront, wire } = connect());
      tx = 0;
      rx = 0;
      continue;
    }
    if (ring % 16 === 0) {
      // By netfront's own table: the back end has written over entries of the ring that it never answered.
      const prod = u32[(memory + NF_RX_REQ) / 4];
      const cons = u32[(memory + NF_RX_CONS) / 4];
      assert.equal(cons, rx, `${when}: not every response was read`);
      const pages = new Set<number>();
      for (let i = cons; i !== prod; i = (i + 1) >>> 0) pages.add(u32[rxTable / 4 + (i & 255)]);
      assert.equal(pages.size, (prod - cons) >>> 0, `${when}: a page is posted twice`);
      for (const address of pages) {
        const page = (address - guest.ram) / 4096;
        assert.ok(
          page >= PAGE_RX_FIRST && page < PAGE_RX_FIRST + RX_PAGES,
          `${when}: page ${page} is no receive page`,
        );
      }
    }
    if (ring % 1000 === 0) {
      for (const [from, to] of canaries) {
        assert.ok(
          u8.subarray(from, to).every((byte) => byte === CANARY),
          `${when}: wrote beside its memory`,
        );
      }
    }
  }
  assert.ok(fenced > 100 && received > RINGS, `${fenced} fenced, ${received} received`);
  machine.close();
});
