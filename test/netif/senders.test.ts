/** A vif with addresses may send from them alone: the rules of the hook's programs, row by row, in the user-space datapath. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Loops } from '../../src/arena/loops.js';
import { macBytes } from '../../src/sys/netlink.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { arp, BROADCAST, frame, ipv4, ipv6, ND, option } from '../hook/support/frames.js';
import { senderRows } from '../hook/support/sender_evasions.js';
import { discovery, HOST, MINE, STABLE, THEIRS, V4, V6 } from '../hook/support/senders.js';
import { countersOf, dropsOf } from '../support/drops.js';
import { tellingLane } from '../support/lane.js';
import { type GuestOptions, Machine } from '../support/machine.js';

const VLAN: [number, number] = [0x8100, 7];
/** Of no VLAN: it says a priority alone. */
const PRIORITY: [number, number] = [0x8100, 0xe000];
const QINQ: [number, number] = [0x88a8, 9];
const OLD_QINQ: [number, number] = [0x9100, 9];

/** A guest whose frames to the host are looked at. */
function setUp(options: GuestOptions = {}, wrap?: (loops: Loops) => Loops) {
  const machine = new Machine(1 << 28, wrap);
  const guest = machine.addBareGuest('guest', {
    mac: macBytes(MINE),
    addresses: [V4, V6, STABLE],
    ...options,
  });
  const host = machine.addMemoryPort('host', { mac: macBytes(HOST) });
  /** Why a frame was dropped; undefined: it arrived, whole. Its slot is answered OKAY either way. */
  const fate = (bytes: Uint8Array, pieces?: readonly number[]): string | undefined => {
    const before = dropsOf(machine.arena, guest.netback);
    guest.putPacket(bytes, 0, pieces);
    guest.publishTx();
    machine.settle();
    assert.equal(guest.txAnswered, guest.txProd);
    assert.equal(guest.txResponse(guest.txAnswered - 1).status, 0);
    const after = dropsOf(machine.arena, guest.netback);
    const arrived = host.receive()?.bytes;
    const why = Object.keys(after).find((name) => after[name] !== before[name]);
    assert.equal(arrived === undefined, why !== undefined);
    if (arrived) assert.ok(Buffer.from(arrived).equals(bytes));
    return why;
  };
  return { machine, guest, host, fate };
}

describe('senders above the MAC', () => {
  for (const transfer of TRANSFER_NAMES)
    for (const tags of [[], [VLAN], [PRIORITY], [QINQ, VLAN], [QINQ, OLD_QINQ, PRIORITY]])
      test(`behind ${tags.map(([type]) => type.toString(16)).join(' ') || 'no tag'} (${transfer})`, () => {
        const { machine, fate } = setUp({ transfer });
        for (const [name, type, payload, why] of senderRows)
          assert.equal(fate(frame(HOST, MINE, type, payload, tags)), why, name);
        machine.close();
      });

  test('a fourth tag cannot be followed', () => {
    const { machine, fate } = setUp();
    const tags = [QINQ, VLAN, VLAN, VLAN];
    assert.equal(fate(frame(HOST, MINE, 0x0800, ipv4(V4, V4), tags)), 'spoofed-ip');
    machine.close();
  });

  test('headers in as many pieces as there are octets (XSA-423)', () => {
    const { machine, fate } = setUp();
    for (const [name, type, payload, why] of senderRows.slice(0, 40)) {
      const bytes = frame(HOST, MINE, type, payload);
      const pieces = Array.from({ length: 17 }, (_, i) => (i < 16 ? 3 : bytes.length - 48));
      assert.equal(fate(bytes, pieces), why, name);
    }
    machine.close();
  });

  test('the MAC comes first, and broadcasts are looked at too', () => {
    const { machine, fate } = setUp();
    assert.equal(fate(frame(HOST, THEIRS, 0x0800, ipv4('10.9.9.9', V4))), 'spoofed-source');
    assert.equal(fate(frame(BROADCAST, MINE, 0x0806, arp(1, MINE, '10.0.0.1', V4))), 'spoofed-arp');
    assert.equal(fate(frame(BROADCAST, MINE, 0x0806, arp(1, MINE, V4, '10.0.0.1'))), undefined);
    machine.close();
  });

  test('without addresses nobody looks above the MAC', () => {
    const { machine, fate } = setUp({ addresses: [] });
    for (const [name, type, payload] of senderRows)
      assert.equal(fate(frame(HOST, MINE, type, payload)), undefined, name);
    machine.close();
  });

  test('networks: every address of them', () => {
    const { machine, fate } = setUp({
      addresses: ['10.1.0.0/16', 'fd00:5::/33', '0.0.0.0/32', '192.168.1.128/25'],
    });
    const v4 = (from: string) => fate(frame(HOST, MINE, 0x0800, ipv4(from, '10.0.0.1')));
    const v6 = (from: string) =>
      fate(frame(HOST, MINE, 0x86dd, ipv6(from, 'fd00::1', 17, new Uint8Array(8))));
    for (const from of ['10.1.0.0', '10.1.255.255', '192.168.1.128', '192.168.1.255'])
      assert.equal(v4(from), undefined, from);
    for (const from of ['10.0.255.255', '10.2.0.0', '192.168.1.127', '192.168.2.200', '255.255.255.255'])
      assert.equal(v4(from), 'spoofed-ip', from);
    for (const from of ['fd00:5::', 'fd00:5:7fff::1', 'fe80::ff:fe00:a'])
      assert.equal(v6(from), undefined, from);
    for (const from of ['fd00:5:8000::', 'fd00:4::1', 'fe80::ff:fe00:b'])
      assert.equal(v6(from), 'spoofed-ip', from);
    assert.equal(
      fate(frame(HOST, MINE, 0x86dd, discovery(ND.advert, 'fd00:5::77', option(2, MINE)))),
      undefined,
    );
    machine.close();
  });

  test('link-local addresses that are not made of the MAC: listed one by one, or all', () => {
    const from = (address: string) =>
      frame(HOST, MINE, 0x86dd, ipv6(address, 'ff02::1', 17, new Uint8Array(8)));
    for (const [addresses, fates] of [
      [[V6], ['spoofed-ip', 'spoofed-ip']],
      [
        [V6, STABLE],
        [undefined, 'spoofed-ip'],
      ],
      [
        [V6, 'fe80::/64'],
        [undefined, undefined],
      ],
      [
        [V4, STABLE],
        [undefined, 'spoofed-ip'],
      ],
    ] as const) {
      const { machine, fate } = setUp({ addresses });
      assert.deepEqual([fate(from(STABLE)), fate(from('fe80::1'))], fates, addresses.join(' '));
      machine.close();
    }
  });

  test('IPv6 alone of no address: its link is closed too', () => {
    const { machine, fate } = setUp({ addresses: [V4] });
    assert.equal(
      fate(frame(HOST, MINE, 0x86dd, ipv6('fe80::ff:fe00:a', 'fd00::1', 17, new Uint8Array(8)))),
      'spoofed-ip',
    );
    machine.close();
  });

  test('truncated headers are dropped, never read past', () => {
    const { machine, fate } = setUp();
    const cut = (data: Uint8Array, length: number) => data.subarray(0, length);
    const data = frame(HOST, MINE, 0x86dd, ipv6(V6, 'fd00::1', 17, new Uint8Array(8)), [VLAN]);
    for (const length of [14, 15, 17, 19, 24, 37, 41])
      assert.equal(fate(cut(data, length)), 'spoofed-ip', `${length}`);
    const request = frame(HOST, MINE, 0x0806, arp(1, MINE, V4, V4));
    for (const length of [14, 24, 41]) assert.equal(fate(cut(request, length)), 'spoofed-arp', `${length}`);
    const advert = frame(HOST, MINE, 0x86dd, discovery(ND.advert, V6, option(2, MINE)), [VLAN]);
    for (const length of [58, 64, 81, 85]) assert.equal(fate(cut(advert, length)), 'spoofed-nd', `${length}`);
    assert.equal(fate(cut(advert, 82)), undefined, 'no option at all');
    machine.close();
  });

  test('a checked vif receives by the direct lane, and never sends by it', () => {
    let passed = 0;
    const count = (loops: Loops): Loops => ({
      ...loops,
      ...tellingLane(loops, (n) => {
        passed += n;
      }),
    });
    const { machine, guest } = setUp({}, count);
    const other = machine.addBareGuest('other', { mac: macBytes(THEIRS) });
    const pair = [
      [other, guest, frame(MINE, THEIRS, 0x0800, ipv4('10.3.3.3', V4))],
      [guest, other, frame(THEIRS, MINE, 0x0800, ipv4(V4, '10.3.3.3'))],
    ] as const;
    for (const [from, to, bytes] of pair) {
      to.postRx(20, 0, () => to.rxGref(0));
      for (let i = 0; i < 10; i++) {
        from.putPacket(bytes);
        from.publishTx();
        machine.settle();
      }
      assert.equal(to.rxAnswered, 10);
      if (from === other) assert.equal(passed, 9, 'all but the first, which maps the pages');
    }
    assert.equal(passed, 9);
    assert.equal(countersOf(machine.arena, guest.netback).in.frames, 10);
    machine.close();
  });
});
