/** What programs learn of MACs, and how far a guest gets that makes some up: by the kernel's own test runs. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { TC_ACT_REDIRECT, TC_ACT_UNSPEC } from '../../src/abi/bpf_skb.js';
import { forget, learnedMacs } from '../../src/hook/learning.js';
import { loadProgram } from '../../src/hook/loader.js';
import { MacTable } from '../../src/hook/mac_table.js';
import { Maps } from '../../src/hook/maps.js';
import * as layout from '../../src/hook/programs/layout.js';
import { portIngress } from '../../src/hook/programs/port.js';
import { uplinkIngress } from '../../src/hook/programs/uplink.js';
import { programTestRun } from '../../src/sys/bpf.js';
import { SetupError } from '../../src/sys/errors.js';
import { close } from '../../src/sys/libc.js';
import { macBytes, macText } from '../../src/sys/netlink.js';
import { lacking } from '../e2e/support/place.js';
import { BROADCAST, frame } from './support/frames.js';

const [A, B] = [layout.SLOT_PORTS, layout.SLOT_PORTS + 1];
const FIXED = { [A]: '02:00:00:00:00:0a', [B]: '02:00:00:00:00:0b' };
const HOST = '02:00:00:00:00:01';
/** Any interface will do: a test run only asks where a frame would go. */
const LOOPBACK = 1;
const EXPERIMENT = 0x88b5;
const guest = (number: number) => macText(Uint8Array.of(2, 0, 0, 1, number >> 8, number & 255));

describe('learning', { skip: lacking() }, () => {
  let maps: Maps;
  const programs = new Map<number | 'wire', number>();
  before(() => {
    maps = new Maps();
    for (const slot of [A, B]) programs.set(slot, loadProgram(portIngress(slot), maps.descriptors));
    programs.set('wire', loadProgram(uplinkIngress(), maps.descriptors));
    for (const slot of [A, B]) {
      maps.setPort(slot, { ifindex: LOOPBACK, flags: layout.PORT_LEARN, mac: macBytes(FIXED[slot]) });
      maps.setMac(macBytes(FIXED[slot]), slot, true);
    }
    maps.setMac(macBytes(HOST), layout.SLOT_HOST, true);
    configure(layout.PORT_LEARN);
  });
  afterEach(() => forget(maps, [], () => true));
  after(() => {
    for (const fd of programs.values()) close(fd);
    maps.close();
  });

  const configure = (flags: number) => maps.setConfig({ uplink: LOOPBACK, fallback: 0, groups: 0, flags });
  const may = (a: number, b: number, all = layout.LEARNED_MOST) => {
    maps.setLearned(A, 0, a);
    maps.setLearned(B, 0, b);
    maps.setLearned(layout.LEARNED_ALL, 0, all);
  };

  /** The drop counters of a port that rose as it sent one frame to the host; '' when it was carried. */
  function send(slot: number, from: string, to = HOST): string {
    const before = maps.counters(slot);
    const { verdict } = programTestRun(programs.get(slot)!, frame(to, from, EXPERIMENT));
    const now = maps.counters(slot);
    const drops = layout.COUNTERS.filter((name) => name.startsWith('drop') && now[name] > before[name]);
    assert.equal(drops.length === 0, verdict === TC_ACT_REDIRECT);
    return drops.join();
  }

  /** A frame comes in from the wire, and is not a port's. */
  function arrives(from: string, to: string): void {
    assert.equal(
      programTestRun(programs.get('wire')!, frame(to, from, EXPERIMENT)).verdict | 0,
      TC_ACT_UNSPEC,
    );
  }

  const slotOf = (mac: string) => maps.mac(macBytes(mac))?.slot;

  test('new MACs up to the limit, never the table’s', () => {
    may(2, 0);
    assert.equal(send(A, guest(1)), '');
    const entry = maps.mac(macBytes(guest(1)));
    assert.equal(entry?.slot, A);
    assert.equal(entry.learned, true);
    assert.equal(send(A, guest(1)), '');
    const later = maps.mac(macBytes(guest(1)));
    assert.ok(later && later.seen > entry.seen, 'seen again');
    assert.equal(send(A, guest(2)), '');
    assert.equal(send(A, guest(3)), 'dropLearnFull');
    assert.equal(slotOf(guest(3)), undefined);
    for (const from of [FIXED[B], HOST, BROADCAST]) assert.equal(send(A, from), 'dropSpoofedMac', from);
    assert.equal(send(A, guest(2), guest(1)), 'dropEcho', 'both behind this port');
  });

  test('a machine moves from port to port, and makes room where it was', () => {
    may(2, 2);
    assert.deepEqual([send(A, guest(1)), send(A, guest(2)), send(B, guest(1))], ['', '', '']);
    assert.equal(slotOf(guest(1)), B);
    assert.equal(send(A, guest(3)), '', 'there is room again');
    assert.equal(send(B, FIXED[A]), 'dropSpoofedMac');
    assert.equal(slotOf(FIXED[A]), A, 'what the table says does not move');
  });

  test('a port that has learned what it may takes none from another', () => {
    may(1, 1);
    assert.deepEqual([send(A, guest(1)), send(B, guest(2))], ['', '']);
    assert.equal(send(B, guest(1)), 'dropLearnFull');
    assert.equal(slotOf(guest(1)), A);
    assert.equal(send(A, guest(1)), '', 'its owner goes on');
  });

  test('a flood of made-up MACs behind many ports leaves room for those that the table enters', () => {
    may(layout.MACS_MAX, layout.MACS_MAX, 100);
    for (let number = 0; number < 200; number++) send(number & 1 ? A : B, guest(number));
    assert.equal(learnedMacs(maps).length, 100);
    assert.equal(send(A, guest(500)), 'dropLearnFull');
    assert.equal(send(A, guest(1)), '', 'those learned go on');
    const ports = [A, B].map((id) => ({ id, learn: layout.MACS_MAX }));
    forget(maps, ports, ({ mac }) => mac === guest(0));
    maps.setLearned(layout.LEARNED_ALL, learnedMacs(maps).length, 100);
    assert.deepEqual([send(A, guest(501)), send(A, guest(502))], ['', 'dropLearnFull']);
    assert.ok(layout.LEARNED_MOST < layout.MACS_MAX);
  });

  test('who is seen on the wire is behind no port any more', () => {
    may(1, 1);
    for (const to of [BROADCAST, '33:33:00:00:00:01', '02:00:00:00:00:77']) {
      assert.equal(send(A, guest(1)), '');
      arrives(guest(1), to);
      assert.equal(slotOf(guest(1)), undefined, to);
      assert.equal(send(A, guest(2)), '', 'there is room again');
      arrives(guest(2), to);
    }
    // A guest that borrows its router's MAC has it until the router's next frame.
    const router = '02:00:00:00:00:fe';
    assert.equal(send(A, router), '');
    arrives(router, HOST);
    assert.equal(slotOf(router), undefined);
    arrives(FIXED[A], BROADCAST);
    assert.equal(slotOf(FIXED[A]), A, 'what the table says stays');
    arrives(guest(9), BROADCAST);
    assert.equal(slotOf(guest(9)), undefined, 'the wire learns nothing');
  });

  test('while no port learns, the wire’s sources are not looked at', () => {
    may(1, 1);
    assert.equal(send(A, guest(1)), '');
    configure(0);
    arrives(guest(1), BROADCAST);
    assert.equal(slotOf(guest(1)), A);
    configure(layout.PORT_LEARN);
  });

  test('a table without room says so', () => {
    const full = new Maps();
    try {
      const table = new MacTable(full, () => 'somebody');
      const nth = (number: number) => macBytes(macText(Uint8Array.of(2, 0, 0, 2, number >> 8, number & 255)));
      for (let number = 0; number < layout.MACS_MAX; number++) table.give(nth(number), A, 'a');
      assert.throws(
        () => table.give(nth(layout.MACS_MAX), A, 'a'),
        (error: unknown) =>
          error instanceof SetupError &&
          error.message === `there is no room for 02:00:00:02:40:00: ${layout.MACS_MAX} MACs are the most`,
      );
      assert.equal(table.slotOf(nth(layout.MACS_MAX)), undefined);
      table.take(nth(0));
      table.give(nth(layout.MACS_MAX), A, 'a');
    } finally {
      full.close();
    }
  });
});
