/** What programs learn of MACs, and how far a guest gets that makes some up: by the kernel's own test runs. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { BPF_FUNC_map_delete_elem, TC_ACT_REDIRECT, TC_ACT_UNSPEC } from '../../src/abi/bpf_skb.js';
import { Assembler } from '../../src/hook/assembler.js';
import { Learning } from '../../src/hook/learning.js';
import { loadProgram } from '../../src/hook/loader.js';
import { MacTable } from '../../src/hook/mac_table.js';
import { type LearnedEntry, Maps, macKey } from '../../src/hook/maps.js';
import * as piece from '../../src/hook/programs/fragments.js';
import * as layout from '../../src/hook/programs/layout.js';
import { portIngress } from '../../src/hook/programs/port.js';
import { uplinkIngress } from '../../src/hook/programs/uplink.js';
import { programTestRun } from '../../src/sys/bpf.js';
import { SetupError } from '../../src/sys/errors.js';
import { close } from '../../src/sys/libc.js';
import { macBytes, macText } from '../../src/sys/netlink.js';
import { VerifierError } from '../../src/sys/verifier_error.js';
import { lacking } from '../e2e/support/place.js';
import { BROADCAST, frame } from './support/frames.js';

const [A, B] = [layout.SLOT_PORTS, layout.SLOT_PORTS + 1];
const FIXED = { [A]: '02:00:00:00:00:0a', [B]: '02:00:00:00:00:0b' };
const HOST = '02:00:00:00:00:01';
/** Any interface will do: a test run only asks where a frame would go. */
const LOOPBACK = 1;
const EXPERIMENT = 0x88b5;
const other = (number: number) => Uint8Array.of(2, 0, 0, 2, number >> 8, number & 255);
const guest = (number: number) => macText(Uint8Array.of(2, 0, 0, 1, number >> 8, number & 255));

class WatchedMaps extends Maps {
  walks = 0;
  override learned(): LearnedEntry[] {
    this.walks++;
    return super.learned();
  }
}

describe('learning', { skip: lacking() }, () => {
  let maps: WatchedMaps;
  let table: MacTable;
  let learning: Learning;
  const programs = new Map<number | 'wire', number>();
  before(() => {
    maps = new WatchedMaps();
    table = new MacTable(maps, (slot) => `slot ${slot}`);
    learning = new Learning(maps, (key) => table.has(key));
    for (const slot of [A, B]) programs.set(slot, loadProgram(portIngress(slot), maps.descriptors));
    programs.set('wire', loadProgram(uplinkIngress(), maps.descriptors));
    for (const slot of [A, B]) {
      maps.setPort(slot, { ifindex: LOOPBACK, flags: layout.PORT_LEARN, mac: macBytes(FIXED[slot]) });
      table.give(macBytes(FIXED[slot]), slot, 'fixed');
    }
    table.give(macBytes(HOST), layout.SLOT_HOST, 'the host');
    configure(layout.PORT_LEARN);
  });
  afterEach(() => {
    for (const slot of [A, B]) learning.end(slot);
  });
  after(() => {
    for (const fd of programs.values()) close(fd);
    maps.close();
  });

  const configure = (flags: number) => maps.setConfig({ uplink: LOOPBACK, fallback: 0, groups: 0, flags });
  const may = (a: number, b: number) => {
    learning.begin(A, a);
    learning.begin(B, b);
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

  const listed = () => learning.list().map(({ mac, port }) => [mac, port] as const);
  const slotOf = (mac: string) => new Map(listed()).get(mac);

  test('new MACs up to the limit, never the table’s', () => {
    may(2, 0);
    assert.equal(send(A, guest(1)), '');
    const [entry] = maps.learned();
    assert.deepEqual([entry.key, entry.slot], [macKey(macBytes(guest(1))), A]);
    assert.equal(send(A, guest(1)), '');
    assert.ok(maps.learned()[0].seen > entry.seen, 'seen again');
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
    assert.equal(slotOf(FIXED[A]), undefined, 'what the table says does not move');
  });

  test('a port that has learned what it may takes none from another', () => {
    may(1, 1);
    assert.deepEqual([send(A, guest(1)), send(B, guest(2))], ['', '']);
    assert.equal(send(B, guest(1)), 'dropLearnFull');
    assert.equal(slotOf(guest(1)), A);
    assert.equal(send(A, guest(1)), '', 'its owner goes on');
  });

  test('a flood of made-up MACs behind many ports has an end, and takes no room from the table', () => {
    may(layout.MACS_MAX, layout.MACS_MAX);
    for (let number = 0; number < layout.LEARNED_MOST; number++) {
      assert.equal(send(number & 1 ? A : B, guest(number)), '');
    }
    const next = layout.LEARNED_MOST;
    assert.equal(send(A, guest(next)), 'dropLearnFull');
    assert.equal(learning.list().length, layout.LEARNED_MOST);
    assert.equal(send(A, guest(1)), '', 'those learned go on');
    assert.equal(send(B, guest(1)), '', 'and move');
    for (let number = 0; number < 5000; number++) table.give(other(number), A, 'a');
    for (let number = 0; number < 5000; number++) table.take(other(number));
    arrives(guest(0), BROADCAST);
    assert.deepEqual([send(A, guest(next)), send(A, guest(next + 1))], ['', 'dropLearnFull']);
    learning.forget((port) => port === A);
    assert.ok(listed().every(([, port]) => port === B));
    assert.equal(send(A, guest(next + 1)), '');
  });

  test('what is learned and forgotten while the ports’ MACs are counted is not lost', () => {
    may(3, 8);
    assert.deepEqual([send(A, guest(1)), send(A, guest(2)), send(B, guest(11))], ['', '', '']);
    // Programs run on while the owner looks at what there is: as if between its reading of two MACs.
    const meanwhile = (act: () => void) => {
      let once = true;
      learning.forget(() => {
        if (once) act();
        once = false;
        return false;
      });
    };
    meanwhile(() => assert.equal(send(A, guest(3)), ''));
    assert.equal(send(A, guest(4)), 'dropLearnFull');
    meanwhile(() => arrives(guest(3), BROADCAST));
    learning.forget(() => false);
    assert.deepEqual([send(A, guest(4)), send(A, guest(5))], ['', 'dropLearnFull']);
    // The owner wants to forget what the wire's program has forgotten already.
    learning.forget((port) => {
      if (port === B) arrives(guest(11), BROADCAST);
      return port === B;
    });
    const room = Array.from({ length: 9 }, (_, i) => send(B, guest(20 + i)));
    assert.deepEqual(room, [...Array.from({ length: 8 }, () => ''), 'dropLearnFull']);
  });

  test('more forgotten than was counted: the port goes on learning', () => {
    may(2, 0);
    assert.equal(send(A, guest(1)), '');
    maps.setLimit(A, maps.learns(A) + 2); // as if it had none
    arrives(guest(1), BROADCAST);
    assert.deepEqual(
      [1, 2, 3].map((number) => send(A, guest(number))),
      ['', '', ''],
    );
    learning.forget(() => false);
    assert.equal(send(A, guest(4)), 'dropLearnFull', 'counted again');
  });

  test('what the table’s owner enters stays, whatever a program does that was under way meanwhile', () => {
    may(2, 2);
    const wanted = macBytes(guest(1));
    assert.equal(send(A, guest(1)), '');
    table.give(wanted, B, 'b'); // and A's program has only now written down what it found before
    assert.equal(send(A, guest(1)), 'dropSpoofedMac');
    assert.equal(send(B, guest(1)), '');
    for (let round = 0; round < 2; round++) {
      assert.equal(send(B, FIXED[B], guest(1)), 'dropEcho', 'it is behind B');
      assert.equal(table.slotOf(wanted), B);
      assert.deepEqual(listed(), []);
      arrives(guest(1), HOST);
    }
    table.take(wanted);
    assert.equal(send(A, guest(1)), '', 'it is nobody’s');
    table.give(wanted, B, 'b');
    learning.forget(() => false);
    table.take(wanted);
    assert.deepEqual(listed(), [], 'what was found before is out of date');
    assert.deepEqual(
      [2, 3, 4].map((number) => send(A, guest(number))),
      ['', '', 'dropLearnFull'],
    );
  });

  test('no program can write what the owner entered: the verifier refuses it', () => {
    const a = new Assembler('writes');
    a.store('u64', 'r10', piece.STACK_SOURCE, 0);
    a.loadMap('r1', 'macs');
    piece.stackAddress(a, 'r2', piece.STACK_SOURCE);
    a.call(BPF_FUNC_map_delete_elem);
    piece.verdict(a, TC_ACT_UNSPEC);
    assert.throws(() => loadProgram(a.assemble(), maps.descriptors), VerifierError);
    close(loadProgram(a.assemble(), { macs: maps.descriptors.learned }));
  });

  test('a port that is gone: what a program learned too late for it is forgotten', () => {
    may(2, 2);
    assert.equal(send(A, guest(1)), '');
    learning.end(A);
    assert.equal(send(A, guest(2)), 'dropLearnFull');
    maps.setLimit(A, maps.learns(A) + 1); // a program that read the limit before
    assert.equal(send(A, guest(2)), '');
    assert.deepEqual(listed(), []);
    assert.equal(maps.learned().length, 1);
    learning.forget(() => false);
    assert.equal(maps.learned().length, 0);
  });

  test('ports that nobody is behind any more: one walk for all, and none if nothing was learned there', () => {
    may(2, 2);
    const taken = (act: () => void) => {
      maps.walks = 0;
      act();
      return maps.walks;
    };
    assert.equal(send(A, guest(1)), '');
    assert.equal(
      taken(() => learning.forgetBehind([B, B + 1])),
      0,
    );
    assert.equal(send(B, guest(2)), '');
    assert.equal(
      taken(() => learning.forgetBehind([B])),
      1,
    );
    assert.deepEqual(listed(), [[guest(1), A]]);
    assert.equal(send(B, guest(2)), '');
    assert.equal(
      taken(() => learning.forgetBehind([A, B, B + 1])),
      1,
    );
    assert.deepEqual(listed(), []);
    assert.equal(
      taken(() => learning.forgetBehind([A, B])),
      0,
    );
    arrives(guest(1), BROADCAST);
    assert.equal(send(A, guest(1)), '');
    arrives(guest(1), BROADCAST);
    assert.equal(
      taken(() => learning.forgetBehind([A, B])),
      0,
      'it went to the wire',
    );
  });

  test('MACs that nobody has: all zeros and groups', () => {
    const NOBODY = '00:00:00:00:00:00';
    may(2, 2);
    assert.equal(send(A, NOBODY), 'dropSpoofedMac');
    // Nor is it that of a port without one.
    maps.setPort(B, { ifindex: LOOPBACK, flags: layout.PORT_LEARN, mac: undefined });
    for (const from of [NOBODY, BROADCAST, '01:00:5e:00:00:01'])
      assert.equal(send(B, from), 'dropSpoofedMac');
    maps.setPort(B, { ifindex: LOOPBACK, flags: 0, mac: undefined });
    assert.equal(send(B, NOBODY), 'dropSpoofedMac');
    maps.setPort(B, { ifindex: LOOPBACK, flags: layout.PORT_LEARN, mac: macBytes(FIXED[B]) });
    assert.deepEqual(listed(), []);
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
    assert.equal(send(B, FIXED[A]), 'dropSpoofedMac', 'what the table says stays');
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
      for (let number = 0; number < layout.MACS_MAX; number++) table.give(other(number), A, 'a');
      assert.throws(
        () => table.give(other(layout.MACS_MAX), A, 'a'),
        (error: unknown) =>
          error instanceof SetupError &&
          error.message === `there is no room for 02:00:00:02:40:00: ${layout.MACS_MAX} MACs are the most`,
      );
      assert.equal(table.slotOf(other(layout.MACS_MAX)), undefined);
      table.take(other(0));
      table.give(other(layout.MACS_MAX), A, 'a');
    } finally {
      full.close();
    }
  });
});
