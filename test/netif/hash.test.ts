/** The Toeplitz hash, against Microsoft's verification suite and Xen's own C, and what of it a guest is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CT_KEY, CT_SIZE } from '../../assembly/control_layout.js';
import { VNET_GSO_SIZE } from '../../src/abi/virtio_net.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { TRANSFER_NAMES, type TransferName } from '../../src/transfer/transfer.js';
import { LIST_GREF } from '../support/control_side.js';
import { countersOf, dropped } from '../support/drops.js';
import { ALL_FEATURES, type HostileGuest, Machine } from '../support/machine.js';
import { blankFrame, plainFrame } from '../support/packets.js';
import { randomSource } from '../support/random.js';

const SET_FLAGS = 2;
const SET_KEY = 3;
const SET_ALGORITHM = 7;
const IPV4 = 1;
const IPV4_TCP = 2;
const IPV6 = 4;
const IPV6_TCP = 8;

/** "Verifying the RSS Hash Calculation", Windows driver documentation: key, then rows of source, destination, hashes. */
const KEY = Buffer.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
  'hex',
);
// biome-ignore format: the suite's own table
const SUITE: readonly (readonly [family: 4 | 6, source: string, sport: number, destination: string, dport: number, ip: number, tcp: number])[] = [
  [4, '66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
  [4, '199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
  [4, '24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
  [4, '38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
  [4, '153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
  [6, '3ffe:2501:0200:1fff:0000:0000:0000:0007', 2794, '3ffe:2501:0200:0003:0000:0000:0000:0001', 1766, 0x2cc18cd5, 0x40207d3d],
  [6, '3ffe:0501:0008:0000:0260:97ff:fe40:efab', 14230, 'ff02:0000:0000:0000:0000:0000:0000:0001', 4739, 0x0f0c461c, 0xdde51bbf],
  [6, '3ffe:1900:4545:0003:0200:f8ff:fe21:67cf', 44251, 'fe80:0000:0000:0000:0200:f8ff:fe21:67cf', 38024, 0x4b61e985, 0x02d1feef],
];

function octets(address: string): number[] {
  if (address.includes('.')) return address.split('.').map(Number);
  return address
    .split(':')
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
}

interface Flow {
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  readonly sport: number;
  readonly dport: number;
}

/** A packet of a flow. `proto`: 6 = TCP, 17 = UDP; `fragment`: not the last fragment of one; `vlan`: in a VLAN. */
function packet(
  to: Uint8Array,
  from: Uint8Array,
  flow: Flow,
  { proto = 6, fragment = false, vlan = false } = {},
): Uint8Array {
  const { family } = flow;
  const shape = { family, proto: proto === 6 ? 6 : 17, payload: 40, vlan } as const;
  const { bytes, l3, l4 } = blankFrame(to, from, shape);
  const at = l3 + (family === 4 ? 12 : 8);
  bytes.set([...octets(flow.source), ...octets(flow.destination)], at);
  bytes.set([flow.sport >> 8, flow.sport & 0xff, flow.dport >> 8, flow.dport & 0xff], l4);
  if (fragment) bytes[l3 + 6] |= 0x20;
  return bytes;
}

function hashingGuest(transfer: TransferName, flags: number, features = ALL_FEATURES) {
  const machine = new Machine(1 << 28);
  const guest = machine.addBareGuest('guest', { transfer, features });
  const host = machine.addMemoryPort('host', { anySource: true });
  machine.arena.u8.set(KEY, guest.control.list);
  assert.equal(guest.control.ask(SET_ALGORITHM, 1)[0], 0);
  assert.equal(guest.control.ask(SET_KEY, LIST_GREF, 40)[0], 0);
  assert.equal(guest.control.ask(SET_FLAGS, flags)[0], 0);
  return { machine, guest, host };
}

/** Sends a frame to the guest; what came in its ring, slot by slot, as octets. */
function delivered(machine: Machine, guest: HostileGuest, send: () => void, posted = 4): number[][] {
  const first = guest.rxProd;
  guest.postRx(posted, 0);
  send();
  machine.settle();
  const slots = [];
  for (let i = first; i !== guest.rxAnswered; i++)
    slots.push([...machine.arena.u8.slice(guest.rxEntry(i), guest.rxEntry(i) + 8)]);
  // What was posted and not used goes unused: the next frame begins there.
  return slots;
}

const le = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

describe('Toeplitz', () => {
  const arena = Arena.create(1 << 22);
  const loops = instantiateLoops(arena);
  const control = arena.allocate(CT_SIZE, 'control');
  const data = arena.allocate(64, 'data');
  const hash = (key: Uint8Array, input: readonly number[]) => {
    arena.u8.fill(0, control + CT_KEY, control + CT_KEY + 40);
    arena.u8.set(key, control + CT_KEY);
    loops.toeplitzPrepare(control);
    arena.u8.set(input, data);
    return loops.toeplitz(control, data, input.length, 0) >>> 0;
  };

  test('Microsoft’s RSS verification suite', () => {
    for (const [, source, sport, destination, dport, ip, tcp] of SUITE) {
      const addresses = [...octets(source), ...octets(destination)];
      assert.equal(hash(KEY, addresses), ip, source);
      assert.equal(hash(KEY, [...addresses, sport >> 8, sport & 255, dport >> 8, dport & 255]), tcp, source);
    }
  });

  test('an empty key hashes everything to 0', () => {
    assert.equal(hash(new Uint8Array(), octets(SUITE[5][1])), 0);
  });

  test('as xen_netif_toeplitz_hash of the installed netif.h, for keys and inputs of every length', (t) => {
    const scratch = mkdtempSync(join(tmpdir(), 'netferry-toeplitz-'));
    t.after(() => rmSync(scratch, { recursive: true, force: true }));
    writeFileSync(
      join(scratch, 'oracle.c'),
      `#include <stdint.h>
#include <stdio.h>
#define XEN_NETIF_DEFINE_TOEPLITZ
#define xen_mb() __sync_synchronize()
#define xen_rmb() xen_mb()
#define xen_wmb() xen_mb()
#include <string.h>
#include <xen/io/netif.h>
int main(void) {
  static uint8_t key[40], data[36]; unsigned k, n, i, b;
  while (scanf("%u %u", &k, &n) == 2) {
    for (i = 0; i < k; i++) { scanf("%u", &b); key[i] = b; }
    for (i = 0; i < n; i++) { scanf("%u", &b); data[i] = b; }
    printf("%u\\n", xen_netif_toeplitz_hash(key, k, data, n));
  }
  return 0;
}
`,
    );
    const build = spawnSync('gcc', ['-w', '-o', join(scratch, 'oracle'), join(scratch, 'oracle.c')], {
      encoding: 'utf8',
    });
    if (build.status !== 0) {
      t.skip(`needs gcc and libxen-dev: ${build.error?.message ?? build.stderr.split('\n')[0]}`);
      return;
    }
    const random = randomSource(12);
    const bytes = (n: number) => Array.from({ length: n }, () => random(256));
    const rows = Array.from({ length: 400 }, (_, i) => ({ key: bytes(i % 41), input: bytes(i % 37) }));
    const said = spawnSync(join(scratch, 'oracle'), {
      input: rows.map(({ key, input }) => [key.length, input.length, ...key, ...input].join(' ')).join('\n'),
      encoding: 'utf8',
    });
    const expected = said.stdout.trim().split('\n').map(Number);
    assert.deepEqual(
      rows.map(({ key, input }) => hash(Uint8Array.from(key), input)),
      expected,
    );
  });
});

for (const transfer of TRANSFER_NAMES) {
  describe(`hashes for a guest, ${transfer}`, () => {
    test('every frame of the suite carries its hash behind the first slot', () => {
      const { machine, guest, host } = hashingGuest(transfer, 15);
      for (const [family, source, sport, destination, dport, ip, tcp] of SUITE) {
        const flow = { family, source, destination, sport, dport };
        for (const proto of [6, 17]) {
          const bytes = packet(guest.mac, Uint8Array.of(2, 0, 0, 0, 9, 9), flow, { proto });
          const slots = delivered(machine, guest, () => host.send(bytes), 2);
          const type = (family === 4 ? 0 : 2) + (proto === 6 ? 1 : 0);
          assert.equal(slots.length, 2);
          assert.equal(slots[0][4], 8, 'extra_info');
          // struct netif_extra_info: type HASH, no flags, the type of hash by its number, Toeplitz, value.
          assert.deepEqual(slots[1], [4, 0, type, 1, ...le(proto === 6 ? tcp : ip)]);
        }
      }
      assert.equal(countersOf(machine.arena, guest.netback).hashed, SUITE.length * 2);
      machine.close();
    });

    test('the fullest type that was asked for; none fits, none is sent', () => {
      const [family, source, sport, destination, dport, ip, tcp] = SUITE[0];
      const v4 = { family, source, destination, sport, dport };
      const six = SUITE[6];
      const v6 = { family: six[0], source: six[1], sport: six[2], destination: six[3], dport: six[4] };
      // biome-ignore format: one case a row
      const cases: readonly [flags: number, flow: Flow, options: object, type: number | undefined, value?: number][] = [
        [IPV4 | IPV4_TCP, v4, {}, 1, tcp],
        [IPV4, v4, {}, 0, ip],
        [IPV4_TCP, v4, {}, 1, tcp],
        [IPV4_TCP, v4, { proto: 17 }, undefined],
        [IPV4 | IPV4_TCP, v4, { proto: 17 }, 0, ip],
        [IPV4 | IPV4_TCP, v4, { fragment: true }, 0, ip], // no port is hashed of a fragment
        [IPV4_TCP, v4, { fragment: true }, undefined],
        [IPV6 | IPV6_TCP, v4, {}, undefined],
        [15, v4, { vlan: true }, undefined],
        [0, v4, {}, undefined],
        [IPV6, v6, {}, 2, six[5]],
        [IPV6_TCP, v6, {}, 3, six[6]],
        [IPV6_TCP, v6, { proto: 17 }, undefined],
        [IPV4 | IPV4_TCP, v6, {}, undefined],
      ];
      for (const [flags, flow, options, type, value] of cases) {
        const { machine, guest, host } = hashingGuest(transfer, flags);
        const bytes = packet(guest.mac, Uint8Array.of(2, 0, 0, 0, 9, 9), flow, options);
        const slots = delivered(machine, guest, () => host.send(bytes));
        const name = `flags ${flags}, ${JSON.stringify(options)}, IPv${flow.family}`;
        assert.equal(slots[0][4] & 8, type === undefined ? 0 : 8, name);
        assert.deepEqual(slots[1], type === undefined ? undefined : [4, 0, type, 1, ...le(value!)], name);
        machine.close();
      }
    });

    test('neither ARP, nor runts, nor broken headers are hashed', () => {
      const { machine, guest, host } = hashingGuest(transfer, 15);
      const from = Uint8Array.of(2, 0, 0, 0, 9, 9);
      for (const length of [14, 20, 33, 60]) {
        const frame = plainFrame(guest.mac, from, length);
        for (const type of [0x0806, 0x0800, 0x86dd]) {
          frame.set([type >> 8, type & 255], 12);
          frame[14] = 0x11; // no IP version that there is
          assert.equal(delivered(machine, guest, () => host.send(frame), 1).length, 1);
        }
      }
      assert.equal(countersOf(machine.arena, guest.netback).hashed, 0);
      machine.close();
    });

    test('behind a GSO extra info, chained by MORE; an extra slot is asked for', () => {
      const { machine, guest, host } = hashingGuest(transfer, 15);
      const gso = blankFrame(guest.mac, Uint8Array.of(2, 0, 0, 0, 9, 9), {
        family: 4,
        proto: 6,
        payload: 9000,
        gsoSize: 1448,
      });
      const slots = delivered(machine, guest, () => host.send(gso.bytes, gso.vnet), 5);
      assert.equal(slots.length, 5);
      assert.deepEqual(slots[1], [1, 1, 1448 & 0xff, 1448 >> 8, 1, 0, 0, 0]);
      assert.deepEqual(slots[2].slice(0, 4), [4, 0, 1, 1]);
      assert.deepEqual([slots[0][4] & 12, slots[3][4], slots[4][4]], [12, 4, 0], 'more data behind both');
      const status = (slot: number[]) => slot[6] | (slot[7] << 8);
      assert.equal(status(slots[0]) + status(slots[3]) + status(slots[4]), gso.bytes.length);
      // With room for the data and one extra info only, it waits.
      guest.postRx(4, 0);
      host.send(gso.bytes, gso.vnet);
      machine.settle();
      assert.equal(guest.rxAnswered, 5);
      guest.postRx(1, 4);
      machine.settle();
      assert.equal(guest.rxAnswered, 10);
      assert.equal(dropped(machine.arena, guest.netback), 0);
      machine.close();
    });

    test('segments cut in software carry it, each in a slot of its own, and none is lost for room', () => {
      const { machine, guest, host } = hashingGuest(transfer, 15, 0);
      const gso = blankFrame(guest.mac, Uint8Array.of(2, 0, 0, 0, 9, 9), {
        family: 4,
        proto: 6,
        payload: 20_000,
        gsoSize: 1000,
      });
      guest.postRx(39, 0);
      host.send(gso.bytes, gso.vnet);
      machine.settle();
      assert.equal(guest.rxAnswered, 0, '20 segments and 20 hashes do not fit');
      guest.postRx(1, 39);
      machine.settle();
      assert.equal(guest.rxAnswered, 40);
      for (let i = 1; i < 40; i += 2)
        assert.deepEqual([...machine.arena.u8.slice(guest.rxEntry(i), guest.rxEntry(i) + 4)], [4, 0, 1, 1]);
      assert.equal(dropped(machine.arena, guest.netback), 0);
      machine.close();
    });

    test('our netfront takes frames with hashes, with GSO and without', () => {
      const machine = new Machine(1 << 28);
      const a = machine.addGuest('a', { transfer });
      const b = machine.addGuest('b', { transfer });
      machine.arena.u8.set(KEY, b.ram + 4 * 4096);
      machine.ask(b, [SET_ALGORITHM, 1]);
      machine.ask(b, [SET_KEY, LIST_GREF, 40]);
      assert.equal(machine.ask(b, [SET_FLAGS, 15]).status, 0);
      for (const family of [4, 6] as const) {
        for (const [payload, gsoSize] of [
          [100, undefined],
          [1000, undefined],
          [30_000, 1448],
          [65_000, 1448],
        ] as const) {
          const sent = blankFrame(b.mac, a.mac, { family, proto: 6, payload, ...(gsoSize && { gsoSize }) });
          assert.ok(a.send(sent.bytes, sent.vnet));
          machine.settle();
          const got = b.receive();
          assert.ok(got && Buffer.from(sent.bytes).equals(got.bytes), `IPv${family}, ${payload} bytes`);
          const size = new DataView(got.vnet.buffer).getUint16(VNET_GSO_SIZE, true);
          assert.equal(size, gsoSize ?? 0);
        }
      }
      assert.equal(countersOf(machine.arena, b.netfront).hashed, 8);
      assert.equal(countersOf(machine.arena, b.netback).hashed, 8);
      assert.equal(countersOf(machine.arena, a.netfront).hashed, 0);
      machine.close();
    });
  });
}
