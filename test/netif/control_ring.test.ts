/** The control ring as netif.h defines it, message by message: golden bytes, statuses, what each message changes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CT_ALGORITHM,
  CT_HASH_FLAGS,
  CT_KEY,
  CT_MAPPING,
  CT_MAPPING_SIZE,
} from '../../assembly/control_layout.js';
import { NB_CONTROL } from '../../assembly/netif_layout.js';
import { GTF_reading, GTF_writing } from '../../src/abi/grant_table.js';
import { NETIF_CTRL_RING_SIZE, RING_RSP_EVENT } from '../../src/abi/ring.js';
import { ControlFront } from '../../src/netif/control_front.js';
import { pagesToAnnounce } from '../../src/netif/netfront_memory.js';
import { STATIC_PAGES } from '../../src/transfer/static.js';
import { TRANSFER_NAMES, type TransferName } from '../../src/transfer/transfer.js';
import { LIST_GREF } from '../support/control_side.js';
import { countersOf } from '../support/drops.js';
import { type HostileGuest, Machine } from '../support/machine.js';

const SUCCESS = 0;
const NOT_SUPPORTED = 1;
const INVALID_PARAMETER = 2;
const BUFFER_OVERFLOW = 3;
// Message types by their numbers in netif.h.
const GET_FLAGS = 1;
const SET_FLAGS = 2;
const SET_KEY = 3;
const GET_MAPPING_SIZE = 4;
const SET_MAPPING_SIZE = 5;
const SET_MAPPING = 6;
const SET_ALGORITHM = 7;
const GET_GREF_SIZE = 8;
const ADD_GREF = 9;
const DEL_GREF = 10;
const TOEPLITZ = 1;

function setUp(transfer: TransferName = 'persistent'): { machine: Machine; guest: HostileGuest } {
  const machine = new Machine(1 << 28);
  return { machine, guest: machine.addBareGuest('guest', { transfer }) };
}

/** u32 of what the vif was configured with. */
function configured(machine: Machine, guest: HostileGuest, field: number): number {
  const { u32 } = machine.arena;
  return u32[(u32[(guest.vif.memory + NB_CONTROL) / 4] + field) / 4];
}

/** The guest's own word for a grant: the flags. */
function flagsOf(machine: Machine, guest: HostileGuest, reference: number): number {
  return machine.arena.view.getUint16(guest.domain.table + reference * 8, true);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').replace(/../g, '$& ').trim();

/** xen_netif_ctrl_request: id, type, data[3]; xen_netif_ctrl_response: id, type, status, data; the rest of the slot. */
// biome-ignore format: one message a row
const GOLDEN: readonly (readonly [what: string, request: string, response: string])[] = [
  ['GET_HASH_FLAGS, no algorithm', '34 12 01 00 00 00 00 00 00 00 00 00 00 00 00 00', '34 12 01 00 01 00 00 00 00 00 00 00 00 00 00 00'],
  ['SET_HASH_ALGORITHM Toeplitz', 'ff ff 07 00 01 00 00 00 00 00 00 00 00 00 00 00', 'ff ff 07 00 00 00 00 00 00 00 00 00 00 00 00 00'],
  ['GET_HASH_FLAGS', '00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00', '00 00 01 00 00 00 00 00 0f 00 00 00 00 00 00 00'],
  ['SET_HASH_FLAGS IPv4 | IPv6_TCP', '01 00 02 00 09 00 00 00 00 00 00 00 00 00 00 00', '01 00 02 00 00 00 00 00 00 00 00 00 00 00 00 00'],
  ['SET_HASH_FLAGS beyond', '01 00 02 00 10 00 00 00 00 00 00 00 00 00 00 00', '01 00 02 00 02 00 00 00 00 00 00 00 00 00 00 00'],
  ['GET_HASH_MAPPING_SIZE', '02 00 04 00 00 00 00 00 00 00 00 00 00 00 00 00', '02 00 04 00 00 00 00 00 80 00 00 00 00 00 00 00'],
  ['SET_HASH_KEY of 41 octets', '03 00 03 00 0c 00 00 00 29 00 00 00 00 00 00 00', '03 00 03 00 03 00 00 00 00 00 00 00 00 00 00 00'],
  ['GET_GREF_MAPPING_SIZE of a vif that keeps none', '04 00 08 00 00 00 00 00 a5 a5 a5 a5 a5 a5 a5 a5', '04 00 08 00 00 00 00 00 00 00 00 00 00 00 00 00'],
  ['a type that nobody knows', '05 00 0b 00 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5', '05 00 0b 00 01 00 00 00 00 00 00 00 00 00 00 00'],
  ['type 0', '05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00', '05 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00'],
];

describe('the ring', () => {
  test('golden bytes, request by request', () => {
    const { machine, guest } = setUp();
    const { control } = guest;
    for (const [what, request, response] of GOLDEN) {
      const at = control.entry(control.prod);
      machine.arena.u8.set(Buffer.from(request.replaceAll(' ', ''), 'hex'), at);
      control.prod++;
      control.publish();
      machine.engine.round(machine.now);
      assert.equal(control.answered, control.prod, what);
      assert.equal(hex(machine.arena.u8.slice(at, at + 16)), response, what);
    }
    const { control: counted } = countersOf(machine.arena, guest.netback);
    assert.deepEqual(counted, { requests: GOLDEN.length, refused: 5, multicast: 0 });
    machine.close();
  });

  test('where other threads have queues of the vif, it is refused a hash, and may name each of its queues', () => {
    const machine = new Machine(1 << 28);
    const { control } = machine.addBareGuest('guest', { queuesInAll: 4 });
    assert.deepEqual(control.ask(SET_ALGORITHM, TOEPLITZ), [NOT_SUPPORTED, 0]);
    assert.deepEqual(control.ask(SET_ALGORITHM, 0), [SUCCESS, 0]);
    assert.deepEqual(control.ask(GET_GREF_SIZE, 3), [SUCCESS, 0]);
    assert.deepEqual(control.ask(GET_GREF_SIZE, 4), [INVALID_PARAMETER, 0]);
    machine.close();
  });

  test('three times round, in lots of every size, each answered once and in order', () => {
    const { machine, guest } = setUp();
    const { control } = guest;
    for (let lot = 1; control.prod < 3 * NETIF_CTRL_RING_SIZE; lot = (lot % 40) + 1) {
      const first = control.prod;
      for (let i = 0; i < lot; i++) control.put(GET_MAPPING_SIZE);
      control.publish();
      for (let round = 0; control.answered !== control.prod; round++) {
        assert.ok(round < 10, 'a few rounds are enough');
        assert.ok(machine.engine.arm() || round === 0, 'it does not sleep on requests');
        machine.engine.round(machine.now);
      }
      for (let i = first; i < control.prod; i++) assert.equal(control.response(i).id, i & 0xffff);
    }
    assert.equal(machine.engine.arm(), false);
    machine.close();
  });

  test('the front end is woken when it asked for that, and only then', () => {
    const { machine, guest } = setUp();
    const front = new ControlFront(machine.arena, machine.loops, guest.control.ring, () =>
      guest.netback.wakeControl(),
    );
    for (let i = 0; i < 21; i++) {
      const wanted = i % 3 === 0 ? i + 1 : i + 50;
      Atomics.store(machine.arena.u32, (guest.control.ring + RING_RSP_EVENT) / 4, wanted);
      const before = countersOf(machine.arena, guest.netback).notifications;
      front.send([GET_MAPPING_SIZE]);
      machine.engine.round(machine.now);
      assert.deepEqual(front.take(), { id: i, type: GET_MAPPING_SIZE, status: SUCCESS, data: 128 });
      const woken = countersOf(machine.arena, guest.netback).notifications - before;
      assert.equal(woken, i % 3 === 0 ? 1 : 0, `request ${i}`);
    }
    assert.equal(front.take(), undefined);
    machine.close();
  });

  test('a request without an event waits for the next one', () => {
    const { machine, guest } = setUp();
    const { control } = guest;
    control.ask(GET_MAPPING_SIZE);
    control.put(GET_MAPPING_SIZE);
    Atomics.store(machine.arena.u32, control.ring / 4, control.prod);
    machine.engine.round(machine.now);
    assert.equal(control.answered, 1);
    guest.netback.wakeControl();
    machine.engine.round(machine.now);
    assert.equal(control.answered, 2);
    machine.close();
  });
});

for (const transfer of TRANSFER_NAMES) {
  describe(`hash configuration, ${transfer}`, () => {
    test('algorithm, then flags', () => {
      const { machine, guest } = setUp(transfer);
      const { control } = guest;
      assert.deepEqual(control.ask(GET_FLAGS), [NOT_SUPPORTED, 0]);
      assert.deepEqual(control.ask(SET_FLAGS, 1), [INVALID_PARAMETER, 0]);
      assert.deepEqual(control.ask(SET_ALGORITHM, 2), [INVALID_PARAMETER, 0]);
      assert.deepEqual(control.ask(SET_ALGORITHM, TOEPLITZ), [SUCCESS, 0]);
      assert.deepEqual(control.ask(GET_FLAGS), [SUCCESS, 15]);
      for (const flags of [0, 1, 2, 4, 8, 15]) {
        assert.deepEqual(control.ask(SET_FLAGS, flags), [SUCCESS, 0]);
        assert.equal(configured(machine, guest, CT_HASH_FLAGS), flags);
      }
      for (const flags of [16, 0x80000000, 0xffffffff]) {
        assert.deepEqual(control.ask(SET_FLAGS, flags), [INVALID_PARAMETER, 0]);
        assert.equal(configured(machine, guest, CT_HASH_FLAGS), 15);
      }
      assert.deepEqual(control.ask(SET_ALGORITHM, 0), [SUCCESS, 0]);
      assert.equal(configured(machine, guest, CT_ALGORITHM), 0);
      assert.deepEqual(control.ask(GET_FLAGS), [NOT_SUPPORTED, 0]);
      machine.close();
    });

    test('the key: shorter ones are filled up with zeroes, none clears it', () => {
      const { machine, guest } = setUp(transfer);
      const { control } = guest;
      const { u8, u32 } = machine.arena;
      const key = () => {
        const at = u32[(guest.vif.memory + NB_CONTROL) / 4] + CT_KEY;
        return [...u8.slice(at, at + 40)];
      };
      u8.fill(0xab, control.list, control.list + 4096);
      for (const length of [40, 1, 39, 0, 16]) {
        assert.deepEqual(control.ask(SET_KEY, LIST_GREF, length), [SUCCESS, 0]);
        assert.deepEqual(
          key(),
          Array.from({ length: 40 }, (_, i) => (i < length ? 0xab : 0)),
        );
      }
      const kept = key();
      for (const length of [41, 4096, 0xffffffff])
        assert.deepEqual(control.ask(SET_KEY, LIST_GREF, length), [BUFFER_OVERFLOW, 0]);
      for (const gref of [0, 1, 8191, 8192, 0xffffffff])
        assert.deepEqual(control.ask(SET_KEY, gref, 40), [INVALID_PARAMETER, 0], `gref ${gref}`);
      assert.deepEqual(key(), kept, 'what was refused changed nothing');
      assert.deepEqual(control.ask(SET_KEY, guest.txGref(0), 40), [SUCCESS, 0], 'a read-only grant will do');
      machine.close();
    });

    test('the mapping: sizes, parts of it, and queues that there are', () => {
      const { machine, guest } = setUp(transfer);
      const { control } = guest;
      const { u32 } = machine.arena;
      assert.deepEqual(control.ask(GET_MAPPING_SIZE), [SUCCESS, 128]);
      assert.deepEqual(control.ask(SET_MAPPING_SIZE, 129), [INVALID_PARAMETER, 0]);
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 1, 0), [INVALID_PARAMETER, 0], 'no table yet');
      for (const size of [128, 0, 1, 64]) {
        assert.deepEqual(control.ask(SET_MAPPING_SIZE, size), [SUCCESS, 0]);
        assert.equal(configured(machine, guest, CT_MAPPING_SIZE), size);
      }
      u32.fill(0, control.list / 4, control.list / 4 + 1024);
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 64, 0), [SUCCESS, 0]);
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 14, 50), [SUCCESS, 0]);
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 15, 50), [INVALID_PARAMETER, 0]);
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 0, 64), [SUCCESS, 0]);
      for (const [n, offset] of [
        [129, 0],
        [1, 128],
        [0xffffffff, 1],
        [1, 0xffffffff],
        [1024, 0],
      ])
        assert.deepEqual(
          control.ask(SET_MAPPING, LIST_GREF, n, offset),
          [BUFFER_OVERFLOW, 0],
          `${n} at ${offset}`,
        );
      // One queue: only 0 is below it. Nothing of a table with a wrong entry is taken.
      u32[control.list / 4 + 7] = 1;
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 8, 0), [INVALID_PARAMETER, 0]);
      u32[control.list / 4 + 7] = 0xffffffff;
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 8, 0), [INVALID_PARAMETER, 0]);
      assert.deepEqual(control.ask(SET_MAPPING, LIST_GREF, 7, 0), [SUCCESS, 0]);
      assert.deepEqual(control.ask(SET_MAPPING, 0, 7, 0), [INVALID_PARAMETER, 0], 'no such grant');
      for (let i = 0; i < 128; i++) assert.equal(configured(machine, guest, CT_MAPPING + i * 4), 0);
      machine.close();
    });
  });
}

describe('static grants', () => {
  test('a vif of another transfer keeps none', () => {
    for (const transfer of TRANSFER_NAMES) {
      if (transfer === 'static') continue;
      const { machine, guest } = setUp(transfer);
      assert.deepEqual(guest.control.ask(GET_GREF_SIZE, 0), [SUCCESS, 0]);
      assert.deepEqual(guest.control.ask(GET_GREF_SIZE, 1), [INVALID_PARAMETER, 0], 'no such queue');
      assert.deepEqual(guest.control.ask(ADD_GREF, 0, LIST_GREF, 1), [NOT_SUPPORTED, 0]);
      assert.deepEqual(guest.control.ask(DEL_GREF, 0, LIST_GREF, 1), [NOT_SUPPORTED, 0]);
      machine.close();
    }
  });

  test('added pages are pinned, deleted ones are not, and each deletion has its status', () => {
    const { machine, guest } = setUp('static');
    const { control } = guest;
    const busy = GTF_reading | GTF_writing;
    assert.deepEqual(control.ask(GET_GREF_SIZE, 0), [SUCCESS, STATIC_PAGES]);
    const pages = [0, 1, 2].flatMap((n) => [
      { reference: guest.rxGref(n), readOnly: false },
      { reference: guest.txGref(n), readOnly: true },
    ]);
    assert.deepEqual(control.add(pages), [SUCCESS, 0]);
    for (const { reference, readOnly } of pages) {
      assert.equal(flagsOf(machine, guest, reference) & busy, readOnly ? GTF_reading : busy);
      assert.equal(guest.grants.end(reference), false, 'the guest cannot end it');
    }
    const deleted = control.delete([guest.rxGref(0), guest.rxGref(9), guest.txGref(2), guest.rxGref(0)]);
    assert.deepEqual(deleted.answer, [SUCCESS, 2]);
    assert.deepEqual(deleted.statuses, [SUCCESS, INVALID_PARAMETER, SUCCESS, INVALID_PARAMETER]);
    assert.equal(guest.grants.end(guest.rxGref(0)), true);
    assert.equal(guest.grants.end(guest.txGref(2)), true);
    assert.equal(guest.grants.end(guest.rxGref(1)), false);
    machine.engine.detach(guest.vif.id);
    for (const { reference } of pages) assert.equal(flagsOf(machine, guest, reference) & busy, 0);
    machine.close();
  });

  test('one entry that cannot be added, and none is', () => {
    const { machine, guest } = setUp('static');
    const { control } = guest;
    const good = [5, 6, 7].map((n) => ({ reference: guest.rxGref(n), readOnly: false }));
    for (const reference of [0, 1, 7, 8191, 8192, 0xffffffff, guest.txGref(0), guest.rxGref(5)]) {
      const answer = control.add([...good, { reference, readOnly: false }]);
      assert.deepEqual(answer, [INVALID_PARAMETER, 0], `reference ${reference}`);
      for (const { reference: ok } of good)
        assert.equal(flagsOf(machine, guest, ok) & (GTF_reading | GTF_writing), 0);
    }
    machine.arena.view.setUint16(control.list + 4, 2, true); // a flag that there is not
    assert.deepEqual(control.ask(ADD_GREF, 0, LIST_GREF, 1), [INVALID_PARAMETER, 0]);
    assert.deepEqual(control.add(good), [SUCCESS, 0]);
    assert.deepEqual(control.add(good.slice(1, 2)), [INVALID_PARAMETER, 0], 'it is there already');
    assert.equal(guest.grants.end(guest.rxGref(6)), false, 'and stays');
    machine.close();
  });

  test('no more than it keeps, and places are used again', () => {
    const machine = new Machine(1 << 28);
    const guest = machine.addBareGuest('guest', { transfer: 'static', cachePages: 8 });
    const { control } = guest;
    const pages = (from: number, n: number) =>
      Array.from({ length: n }, (_, i) => ({ reference: guest.rxGref(from + i), readOnly: false }));
    assert.deepEqual(control.ask(GET_GREF_SIZE, 0), [SUCCESS, 8]);
    assert.deepEqual(control.add(pages(0, 9)), [INVALID_PARAMETER, 0]);
    for (let turn = 0; turn < 50; turn++) {
      assert.deepEqual(control.add(pages(turn, 8)), [SUCCESS, 0]);
      assert.deepEqual(control.add(pages(turn + 8, 1)), [INVALID_PARAMETER, 0]);
      const references = pages(turn, 8).map((page) => page.reference);
      assert.deepEqual(control.delete(references).answer, [SUCCESS, 8]);
    }
    assert.deepEqual(control.add([]), [SUCCESS, 0]);
    assert.deepEqual(control.delete([]).answer, [SUCCESS, 0]);
    machine.close();
  });

  test('a netfront announces what fits, the most useful pages first', () => {
    for (const cachePages of [1, 512, 700, 3072, STATIC_PAGES]) {
      const machine = new Machine(1 << 28);
      const guest = machine.addGuest('guest', { transfer: 'static', cachePages });
      const wanted = pagesToAnnounce(cachePages);
      assert.equal(wanted.length, Math.min(cachePages, 512 + 320 * 16));
      assert.equal(new Set(wanted.map((page) => page.reference)).size, wanted.length);
      for (const { reference } of wanted) assert.equal(guest.grants.end(reference), false);
      const { control } = countersOf(machine.arena, guest.netback);
      assert.deepEqual(control, { requests: 1 + Math.ceil(wanted.length / 512), refused: 0, multicast: 0 });
      machine.close();
    }
  });
});
