/**
 * Hostile front ends by the hundred thousand, against every transfer on one engine, beside a well-behaved pair: frames,
 * multicast lists, control rings.
 * NETFERRY_SEED=… repeats a run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNTERS_SIZE } from '../../assembly/counters.js';
import { F_VERDICT, VERDICT_GROUP } from '../../assembly/layout.js';
import { NB_TX_CONS } from '../../assembly/netif_layout.js';
import { GTF_reading, GTF_writing } from '../../src/abi/grant_table.js';
import type { Loops } from '../../src/arena/loops.js';
import { FENCE_NAMES, readCounters } from '../../src/datapath/counters.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { netbackCounters, netbackMemory, queueState } from '../../src/netif/netback_memory.js';
import type { NetbackPort } from '../../src/netif/netback_port.js';
import { PAGE_RX_FIRST, PAGE_RX_RING, PAGE_TX_RING } from '../../src/netif/netfront_memory.js';
import { DEFAULT_TRANSFER, TRANSFER_NAMES, type Transfer } from '../../src/transfer/transfer.js';
import { countersOf } from '../support/drops.js';
import { tellingLane } from '../support/lane.js';
import { type Guest, Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';
import { randomSource, seedOf } from '../support/random.js';
import { HostileSender } from './fuzz_sender.js';

const RINGS = 100_000;
const CANARY = 0xc5;

/** Counts every frame that any netback read, and every group frame that was dispatched. */
class Ledger {
  pulled = 0;
  groups = 0;
  /** Frames that went by the direct lane. */
  passed = 0;
  /** Lists of pages that were mapped. */
  announced = 0;
  /** Outcomes of ports whose counters were wiped since. */
  settled = 0;

  wrap(loops: Loops, u32: () => Uint32Array): Loops {
    return {
      ...loops,
      netbackPull: (nb, list, max) => {
        const result = loops.netbackPull(nb, list, max);
        this.pulled += result & 0xffff;
        return result;
      },
      ...tellingLane(loops, (passed) => {
        this.pulled += passed;
        this.passed += passed;
      }),
      staticAdd: (cache, list, n) => {
        const done = loops.staticAdd(cache, list, n);
        if (done !== 0 && n > 0) this.announced++;
        return done;
      },
      settleRound: (forward, list, n) => {
        for (let i = 0; i < n; i++) {
          if (u32()[(u32()[list / 4 + i] + F_VERDICT) / 4] === VERDICT_GROUP) this.groups++;
        }
        loops.settleRound(forward, list, n);
      },
    };
  }
}

test('100,000 hostile rings: nothing breaks, every frame is accounted for, the others go on', () => {
  const seed = seedOf();
  console.log(`NETFERRY_SEED=${seed}`);
  const random = randomSource(seed);
  const ledger = new Ledger();
  const machine: Machine = new Machine(1 << 29, (loops) => ledger.wrap(loops, () => machine.arena.u32));
  const { arena, engine } = machine;
  const canaries: [number, number][] = [];
  const canary = () => {
    const page = arena.allocate(4096, 'canary');
    arena.u8.fill(CANARY, page, page + 4096);
    canaries.push([page, page + 4096]);
  };
  const a = machine.addGuest('a', { transfer: 'persistent' });
  const b = machine.addGuest('b', { transfer: 'grant-copy' });
  let sender: HostileSender | undefined;
  const wrapTransfer = (inner: Transfer): Transfer => ({
    name: inner.name,
    cache: inner.cache,
    tick: () => inner.tick(),
    move: (segments, n) => {
      if (random(10) === 0) sender?.mutate();
      inner.move(segments, n);
      if (random(10) === 0) sender?.mutate();
    },
    borrow: (list, n, bad) => inner.borrow(list, n, bad),
    settle: () => inner.settle(),
    close: () => inner.close(),
  });
  // Twice what has most to be broken: the direct lane's mapped pages, and announced ones.
  const kinds = [...TRANSFER_NAMES, DEFAULT_TRANSFER, 'static', 'persistent', 'grant-copy'] as const;
  const evils = kinds.map((transfer, i) => {
    canary();
    const queues = i < kinds.length - 2 ? 1 : 3;
    const common = { transfer, cachePages: 64, wrapTransfer, multicastControl: true, queues, txBuffers: 16 };
    const held = { rate: { bytes: 40_000, interval: 1000 }, addresses: ['10.0.0.1'], xdpHeadroom: 256 };
    const options = queues === 1 ? common : { ...common, ...held };
    const guest = machine.addBareGuest(`evil-${transfer}`, options);
    canary();
    const pages = (bytes: number) => Math.ceil(bytes / 4096) * 4096;
    for (const [start, size] of [
      [guest.vif.block, PORT_BLOCK],
      [guest.vif.memory, netbackMemory(queues)],
    ]) {
      arena.u8.fill(CANARY, start + size, start + pages(size));
      canaries.push([start + size, start + pages(size)]);
    }
    return guest;
  });
  // The good pair is addressed as often as all others: the lane's other end.
  const good = [a.mac, b.mac];
  const peers = [...good, ...good, ...evils.map((evil) => evil.mac)];
  const senders = evils.map((evil) =>
    evil.queues.map((queue) => {
      const guest = Object.assign(queue, { vif: evil.vif, control: evil.control, queues: evil.queues });
      return new HostileSender(arena, random, guest, peers);
    }),
  );
  for (const [one] of senders) one.connected();
  const ports = () => [a.netback, b.netback, ...evils.map((evil) => evil.netback)];
  const others = ports().length - 1;

  /** A request that only changes the multicast list is read as a frame that nobody gets. */
  const outcome = (port: NetbackPort) => {
    const { out, control, drops } = readCounters(arena, ...blocksOf(port));
    return out.frames + control.multicast + Object.values(drops).reduce((x, y) => x + y, 0);
  };
  const blocksOf = ({ id, counters }: NetbackPort) => {
    const vif = evils.find((evil) => evil.vif.id === id)?.vif;
    return vif ? netbackCounters(vif.block, vif.memory, vif.queues) : [counters];
  };
  const audit = (when: string) => {
    machine.now += 1000;
    for (let i = 0; i < 3; i++) machine.settle();
    assert.ok(!engine.waiting, `${when}: frames wait beyond their deadline`);
    const outcomes = ledger.settled + ports().reduce((sum, port) => sum + outcome(port), 0);
    assert.equal(
      outcomes,
      ledger.pulled + ledger.groups * (others - 1),
      `${when}: frames lost or counted twice`,
    );
    for (const [from, to] of canaries) {
      assert.ok(
        arena.u8.subarray(from, to).every((byte) => byte === CANARY),
        `${when}: wrote to memory of another`,
      );
    }
  };
  const drain = (guest: Guest) => {
    while (guest.receive());
  };
  const exchange = (when: string) => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      do {
        drain(to);
        machine.settle();
      } while (to.receive());
      const frame = plainFrame(to.mac, from.mac, 14 + random(5000), random(1000));
      assert.ok(from.send(frame), when);
      machine.settle();
      assert.ok(
        Buffer.from(frame).equals(to.receive()?.bytes ?? new Uint8Array()),
        `${when}: the good pair was harmed`,
      );
    }
  };

  let requests = 0;
  let granted = 0;
  const tally = (port: NetbackPort) => {
    const { control } = countersOf(arena, port);
    requests += control.requests;
    granted += control.requests - control.refused;
  };
  const fences = new Map<string, number>();
  for (let ring = 0; ring < RINGS; ring++) {
    const when = `ring ${ring} of seed ${seed}`;
    const evil = evils[ring % evils.length];
    const q = random(evil.queues.length);
    const queue = evil.queues[q];
    sender = senders[ring % evils.length][q];
    sender.ring();
    machine.now += random(20) === 0 ? random(300) : random(3);
    engine.round(machine.now);
    a.engine.round(machine.now);
    b.engine.round(machine.now);
    if (random(2) === 0) engine.round(machine.now);
    if (ring % 8 === 0) for (const guest of [a, b]) drain(guest);
    if (evil.netback.fenced === 0) {
      // It may have had a frame received into its own ring: what the ring says then is a lie as well.
      if (arena.u32[queue.txRing / 4] !== queue.txProd) sender.lied = true;
      const { memory, queues } = evil.vif;
      const read = arena.u32[(queueState(memory, queues, q) + NB_TX_CONS) / 4];
      assert.ok(((queue.txProd - read) | 0) >= 0 || sender.lied, `${when}: more was read than requested`);
    } else {
      const [answered, received, why] = [queue.txAnswered, queue.rxAnswered, evil.netback.fenced];
      fences.set(FENCE_NAMES[why], (fences.get(FENCE_NAMES[why]) ?? 0) + 1);
      queue.publishTx();
      queue.publishRx();
      engine.round(machine.now);
      assert.deepEqual(
        [queue.txAnswered, queue.rxAnswered, evil.netback.fenced],
        [answered, received, why],
        `${when}: fenced, yet served`,
      );
      engine.detach(evil.vif.id);
      ledger.settled += outcome(evil.netback);
      tally(evil.netback);
      for (const block of blocksOf(evil.netback)) arena.u8.fill(0, block, block + COUNTERS_SIZE);
      for (const one of evil.queues) one.initRings();
      for (const one of senders[ring % evils.length]) one.lied = false;
      evil.vif.reattach();
      senders[ring % evils.length][0].connected();
    }
    if (ring % 500 === 499) {
      audit(when);
      exchange(when);
    }
  }
  audit('at the end');
  assert.deepEqual(
    [...fences.keys()].sort(),
    Object.values(FENCE_NAMES)
      .filter((name) => !name.includes('response'))
      .sort(),
  );
  assert.ok(ledger.pulled > RINGS, 'most rings had frames in them');
  assert.ok(ledger.passed > 200, `the direct lane was open to ${ledger.passed} of them`);
  for (const evil of evils) tally(evil.netback);
  assert.ok(requests > RINGS / 4 && granted > RINGS / 20, `${granted} of ${requests} requests granted`);
  assert.ok(ledger.announced > 500, `${ledger.announced} lists of pages announced`);
  for (const evil of evils) {
    engine.detach(evil.vif.id);
    const rings = evil.queues.flatMap((queue) =>
      [PAGE_TX_RING, PAGE_RX_RING].map((p) => queue.rxGref(p - PAGE_RX_FIRST)),
    );
    for (let gref = evil.rxGref(0); gref < evil.domain.grants; gref++) {
      if (rings.includes(gref)) continue; // mapped for the guest's life
      const flags = arena.view.getUint16(evil.domain.table + gref * 8, true);
      assert.equal(
        flags & (GTF_reading | GTF_writing),
        0,
        `${evil.domain.name}: grant ${gref} is still pinned`,
      );
    }
  }
  for (const guest of [a, b]) assert.equal(guest.netfront.fenced, 0, 'netback never emits junk (XSA-376)');
  machine.close();
});
