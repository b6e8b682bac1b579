/** Rings byte for byte: golden requests and responses, and event suppression against the C macros of xen/io/ring.h. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
} from '../../src/abi/netif.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { GREF_BASE, PAGE_RX_FIRST, PAGE_TX_FIRST, TX_BUFFERS } from '../../src/netif/netfront_memory.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { countersOf } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { BROADCAST, blankFrame, plainFrame } from '../support/packets.js';
import { pick, randomSource } from '../support/random.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').replace(/../g, '$& ').trim();
const le32 = (n: number) => hex(new Uint8Array(Uint32Array.of(n).buffer));
const le16 = (n: number) => hex(new Uint8Array(Uint16Array.of(n).buffer));

/** Two u32 indices and an event index a line; prints whether to notify, after the macros. */
const ORACLE = `#include <stdio.h>
#include <stdint.h>
#include <string.h>
#define mb() __sync_synchronize()
#define rmb() __sync_synchronize()
#define wmb() __sync_synchronize()
#define xen_mb() mb() /* the name in newer headers */
#define xen_rmb() rmb()
#define xen_wmb() wmb()
#include <xen/io/ring.h>
struct tx_req { uint32_t gref; uint16_t offset, flags, id, size; };
struct tx_rsp { uint16_t id; int16_t status; };
DEFINE_RING_TYPES(net, struct tx_req, struct tx_rsp);
static char page[4096] __attribute__((aligned(4096)));
int main(void) {
  unsigned from, to, event, cons;
  net_sring_t *sring = (net_sring_t *)page;
  while (scanf("%u %u %u %u", &from, &to, &event, &cons) == 4) {
    net_front_ring_t front; net_back_ring_t back; int a, b, c, d;
    memset(&front, 0, sizeof front); memset(&back, 0, sizeof back);
    front.sring = sring; back.sring = sring; front.nr_ents = back.nr_ents = RING_SIZE(&front);
    sring->req_prod = from; sring->req_event = event; front.req_prod_pvt = to;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front, a);
    sring->rsp_prod = from; sring->rsp_event = event; back.rsp_prod_pvt = to;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back, b);
    front.rsp_cons = cons;
    RING_FINAL_CHECK_FOR_RESPONSES(&front, d);
    c = sring->rsp_event;
    printf("%d %d %d %d\\n", a, b, !!d, c);
  }
  return 0;
}
`;

function askMacros(rows: readonly (readonly number[])[]): number[][] | undefined {
  const scratch = mkdtempSync(join(tmpdir(), 'netferry-ring-'));
  try {
    writeFileSync(join(scratch, 'ring.c'), ORACLE);
    const program = join(scratch, 'ring');
    const build = spawnSync('gcc', ['-w', '-o', program, join(scratch, 'ring.c')], { encoding: 'utf8' });
    if (build.status !== 0) return undefined;
    const run = spawnSync(program, {
      input: rows.map((row) => row.join(' ')).join('\n'),
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    assert.equal(run.status, 0);
    return run.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

describe('event suppression', () => {
  test('notifies exactly when the C macros do, at every place of the index space', (t) => {
    const random = randomSource(2026);
    const rows = Array.from({ length: 20_000 }, () => {
      const from = pick(random, [
        0,
        1,
        255,
        256,
        0x7fffffff,
        0x80000000,
        0xffffff00,
        0xffffffff,
        random(0x7fffffff) * 2,
      ]);
      const to = (from + random(257)) >>> 0;
      const event = random(3) === 0 ? random(0x7fffffff) * 2 : (from + random(520) - 130) >>> 0;
      return [from, to, event, random(2) === 0 ? to : (to - random(300)) >>> 0];
    });
    const expected = askMacros(rows);
    if (!expected) return t.skip('needs gcc and libxen-dev');
    const arena = Arena.create(1 << 20);
    const loops = instantiateLoops(arena);
    const ring = arena.allocate(4096, 'ring') / 4;
    rows.forEach(([from, to, event], i) => {
      arena.u32.set([from, event, from, event], ring);
      const requests = loops.pushRequests(ring * 4, from, to) ? 1 : 0;
      const responses = loops.pushResponses(ring * 4, from, to) ? 1 : 0;
      assert.deepEqual(
        [requests, responses],
        expected[i].slice(0, 2),
        `from ${from} to ${to}, event ${event}`,
      );
      assert.deepEqual([arena.u32[ring], arena.u32[ring + 2]], [to, to]);
    });
  });

  test('before sleeping an end asks for the next one, and sees what came meanwhile, as the macros do', (t) => {
    const expected = askMacros([
      [0, 5, 1, 5],
      [0, 5, 1, 4],
      [0xfffffffe, 3, 0xffffffff, 3],
    ]);
    if (!expected) return t.skip('needs gcc and libxen-dev');
    assert.deepEqual(
      expected.map((row) => [row[2], row[3] >>> 0]),
      [
        [0, 6],
        [1, 1],
        [0, 4],
      ],
    );
    const machine = new Machine(1 << 28);
    const guest = machine.addBareGuest('a');
    for (let i = 0; i < 5; i++) guest.putPacket(plainFrame(BROADCAST, guest.mac, 60));
    guest.publishTx();
    assert.equal(guest.netback.arm(0), true, 'work is there');
    assert.equal(machine.arena.u32[(guest.txRing + 4) / 4], 1, 'no event is asked for then');
    machine.settle();
    assert.equal(guest.netback.arm(0), false);
    assert.equal(machine.arena.u32[(guest.txRing + 4) / 4], 6);
    machine.close();
  });

  test('a busy pair is notified only when one of them slept', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    const b = machine.addGuest('b');
    for (let i = 0; i < 100; i++) {
      a.send(plainFrame(b.mac, a.mac, 60));
      machine.settle();
      b.receive();
    }
    const busy = countersOf(machine.arena, b.netback).notifications;
    assert.equal(busy, 1, 'the first response crosses the initial rsp_event of 1; nobody armed since');
    b.engine.arm();
    a.send(plainFrame(b.mac, a.mac, 60));
    machine.settle();
    assert.equal(countersOf(machine.arena, b.netback).notifications, busy + 1);
    machine.close();
  });
});

describe('ring entries', () => {
  test('transmit requests: a frame of three slots, and a GSO frame with its extra info', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    const entry = (i: number) => hex(machine.arena.u8.slice(a.txRing + 64 + i * 12, a.txRing + 76 + i * 12));
    // Buffers are taken from the stack's top: the last of the pool, or the first, whatever was pushed last.
    const gref = () => machine.arena.view.getUint32(a.txRing + 64, true);
    a.send(plainFrame(BROADCAST, a.mac, 10_000));
    a.engine.round(1);
    const first = gref();
    assert.ok(first >= GREF_BASE + PAGE_TX_FIRST && first < GREF_BASE + PAGE_TX_FIRST + TX_BUFFERS * 16);
    const ids = [0, 1, 2, 3].map((i) => machine.arena.view.getUint16(a.txRing + 64 + i * 12 + 8, true));
    assert.equal(entry(0), `${le32(first)} 00 00 ${le16(NETTXF_more_data)} ${le16(ids[0])} ${le16(10_000)}`);
    assert.equal(
      entry(1),
      `${le32(first + 1)} 00 00 ${le16(NETTXF_more_data)} ${le16(ids[1])} ${le16(4096)}`,
    );
    assert.equal(entry(2), `${le32(first + 2)} 00 00 00 00 ${le16(ids[2])} ${le16(10_000 - 8192)}`);
    const gso = blankFrame(BROADCAST, a.mac, { family: 6, proto: 6, payload: 5000, gsoSize: 1440 });
    a.send(gso.bytes, gso.vnet);
    a.engine.round(1);
    const flags = NETTXF_csum_blank | NETTXF_data_validated | NETTXF_extra_info | NETTXF_more_data;
    const second = machine.arena.view.getUint32(a.txRing + 64 + 36, true);
    const id = machine.arena.view.getUint16(a.txRing + 64 + 36 + 8, true);
    assert.equal(entry(3), `${le32(second)} 00 00 ${le16(flags)} ${le16(id)} ${le16(gso.bytes.length)}`);
    assert.equal(
      entry(4),
      `01 00 ${le16(1440)} 02 00 00 00 00 00 00 00`,
      'type GSO, no more; size; TCPv6; zeroes',
    );
    assert.equal(machine.arena.u32[a.txRing / 4], 6);
    machine.close();
  });

  test('receive requests: id = slot number, every page once', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    for (let i = 0; i < 256; i++) {
      const bytes = hex(machine.arena.u8.slice(a.rxRing + 64 + i * 8, a.rxRing + 72 + i * 8));
      assert.equal(bytes, `${le16(i)} 00 00 ${le32(GREF_BASE + PAGE_RX_FIRST + i)}`);
    }
    assert.equal(machine.arena.u32[a.rxRing / 4], 256);
    machine.close();
  });

  test('responses: to transmit requests by id, to receive requests in their own slots', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b');
    b.postRx(4, 0);
    a.putTx({ gref: a.txGref(0), size: 6000, flags: NETTXF_more_data, id: 0x1234 });
    a.putTx({ gref: a.txGref(1), size: 3000, id: 0xfffe });
    machine.arena.u8.set(plainFrame(b.mac, a.mac, 3000), a.txPage(0));
    a.publishTx();
    machine.settle();
    const tx = (i: number) => hex(machine.arena.u8.slice(a.txEntry(i), a.txEntry(i) + 4));
    const rx = (i: number) => hex(machine.arena.u8.slice(b.rxEntry(i), b.rxEntry(i) + 8));
    assert.deepEqual([tx(0), tx(1)], ['34 12 00 00', 'fe ff 00 00']);
    assert.deepEqual(
      [rx(0), rx(1)],
      [`00 00 00 00 04 00 ${le16(4096)}`, `01 00 00 00 00 00 ${le16(6000 - 4096)}`],
    );
    assert.deepEqual([a.txAnswered, b.rxAnswered], [2, 2]);
    machine.close();
  });

  for (const transfer of TRANSFER_NAMES) {
    test(`packets wrap around the ring's end in the middle, and indices around 2^32 (${transfer})`, () => {
      const machine = new Machine(1 << 28);
      const a = machine.addBareGuest('a', { transfer });
      const b = machine.addGuest('b', { transfer });
      // A ring that has been in use for long: all indices just below 2^32, and a back end that joins there.
      const start = 0xffffffff - 700;
      machine.arena.u32.set([start, start + 1, start, start + 1], a.txRing / 4);
      a.vif.reattach();
      a.txProd = start >>> 0;
      for (let i = 0; i < 300; i++) {
        const slots = 1 + (i % 7);
        const pieces = Array.from({ length: slots }, (_, k) => 20 + k * 13 + i);
        const total = pieces.reduce((sum, n) => sum + n, 0);
        const frame = plainFrame(b.mac, a.mac, total, i);
        a.putPacket(frame, 0, pieces);
        a.publishTx();
        machine.settle();
        assert.deepEqual(b.receive()?.bytes, frame, `packet ${i}`);
      }
      assert.ok(a.txProd < start, 'the index has wrapped');
      assert.equal(a.txAnswered, a.txProd);
      machine.close();
    });
  }

  test('the receive side wraps in mid-packet, too', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    const b = machine.addGuest('b');
    for (let i = 0; i < 400; i++) {
      const frame = plainFrame(b.mac, a.mac, 4096 * (1 + (i % 5)) + 100, i);
      a.send(frame);
      machine.settle();
      assert.deepEqual(b.receive()?.bytes, frame, `frame ${i}`);
    }
    machine.close();
  });
});
