/** The direct lane and what a front end configured: announced pages take it, hashes close it, requests are served beside it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Loops } from '../../src/arena/loops.js';
import { countersOf, dropped } from '../support/drops.js';
import { tellingLane } from '../support/lane.js';
import { Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';

const SET_FLAGS = 2;
const GET_MAPPING_SIZE = 4;
const SET_ALGORITHM = 7;

function setUp(transfer: 'persistent' | 'static') {
  let passed = 0;
  const count = (loops: Loops): Loops => ({
    ...loops,
    ...tellingLane(loops, (n) => {
      passed += n;
    }),
  });
  const machine = new Machine(1 << 28, count);
  const a = machine.addBareGuest('a', { transfer });
  const b = machine.addBareGuest('b', { transfer });
  const { u8 } = machine.arena;
  /** Frames of these lengths from a to b, out of pages from 0 on; what came. */
  const exchange = (lengths: readonly number[], seed: number) => {
    const frames = lengths.map((n, i) => plainFrame(b.mac, a.mac, n, seed + i));
    const first = b.rxProd;
    b.postRx(frames.length, 0);
    for (const [i, frame] of frames.entries()) a.putPacket(frame, i);
    a.publishTx();
    const before = passed;
    machine.settle();
    for (const [i, frame] of frames.entries()) {
      assert.deepEqual(u8.slice(b.rxPage(i), b.rxPage(i) + frame.length), frame);
      assert.equal(b.rxResponse(first + i).status, frame.length);
    }
    assert.equal(a.txAnswered, a.txProd);
    return passed - before;
  };
  return { machine, a, b, exchange };
}

const SIZES = [16, 60, 64, 255, 256, 1000, 1514, 4096];

describe('the direct lane', () => {
  test('is open between announced pages, and shut where one was not announced', () => {
    const { machine, a, b, exchange } = setUp('static');
    assert.equal(exchange(SIZES, 1), 0, 'nothing is announced yet');
    const pages = [...SIZES.keys()];
    assert.deepEqual(a.control.add(pages.map((n) => ({ reference: a.txGref(n), readOnly: true }))), [0, 0]);
    assert.equal(exchange(SIZES, 20), 0, 'only the sender’s');
    const rx = pages.map((n) => ({ reference: b.rxGref(n), readOnly: false }));
    assert.deepEqual(b.control.add(rx), [0, 0]);
    assert.equal(exchange(SIZES, 40), SIZES.length);
    assert.deepEqual(a.control.delete([a.txGref(3)]).answer, [0, 1]);
    assert.equal(exchange(SIZES, 60) < SIZES.length, true);
    assert.ok(a.grants.end(a.txGref(3)));
    assert.equal(a.grants.end(a.txGref(2)), false);
    assert.equal(dropped(machine.arena, a.netback) + dropped(machine.arena, b.netback), 0);
    machine.close();
  });

  test('does not write a page that was announced for reading', () => {
    const { machine, a, b } = setUp('static');
    assert.deepEqual(a.control.add([{ reference: a.txGref(0), readOnly: true }]), [0, 0]);
    assert.deepEqual(b.control.add([{ reference: b.rxGref(0), readOnly: true }]), [0, 0]);
    machine.arena.u8.fill(0x5a, b.rxPage(0), b.rxPage(1));
    b.postRx(1, 0);
    a.putPacket(plainFrame(b.mac, a.mac, 100));
    a.publishTx();
    machine.settle();
    assert.ok(b.rxResponse(0).status < 0);
    assert.ok(machine.arena.u8.subarray(b.rxPage(0), b.rxPage(1)).every((byte) => byte === 0x5a));
    machine.close();
  });

  for (const transfer of ['persistent', 'static'] as const) {
    test(`is shut towards a guest that wants hashes (${transfer})`, () => {
      const { machine, a, b, exchange } = setUp(transfer);
      const pages = [...SIZES.keys()];
      a.control.add(pages.map((n) => ({ reference: a.txGref(n), readOnly: true })));
      b.control.add(pages.map((n) => ({ reference: b.rxGref(n), readOnly: false })));
      exchange(SIZES, 1); // maps what is not announced
      assert.equal(exchange(SIZES, 20), SIZES.length);
      assert.deepEqual(b.control.ask(SET_ALGORITHM, 1), [0, 0]);
      assert.deepEqual(b.control.ask(SET_FLAGS, 15), [0, 0]);
      assert.equal(exchange(SIZES, 40), 0);
      assert.deepEqual(b.control.ask(SET_ALGORITHM, 0), [0, 0]);
      assert.equal(exchange(SIZES, 60), SIZES.length);
      machine.close();
    });

    test(`never keeps a sender from its control ring (${transfer})`, () => {
      const { machine, a, b } = setUp(transfer);
      const frame = plainFrame(b.mac, a.mac, 60);
      const pages = Array.from({ length: 64 }, (_, n) => n);
      a.control.add(pages.map((n) => ({ reference: a.txGref(n), readOnly: true })));
      b.control.add(pages.map((n) => ({ reference: b.rxGref(n), readOnly: false })));
      a.control.ask(GET_MAPPING_SIZE); // the ring has rested after the list
      const burst = () => {
        b.postRx(64, 0);
        for (const n of pages) a.putPacket(frame, n);
        a.publishTx();
      };
      burst();
      for (let i = 0; i < 3; i++) machine.engine.round(machine.now); // a cache maps some pages a round
      for (let round = 0; round < 50; round++) {
        burst();
        a.control.put(GET_MAPPING_SIZE);
        a.control.publish();
        machine.engine.round(machine.now);
        assert.equal(a.txAnswered, a.txProd);
        assert.equal(a.control.answered, a.control.prod, 'a burst in each round, and a request in each');
      }
      a.control.publish(0x7fffffff);
      machine.settle();
      assert.notEqual(a.netback.fenced, 0);
      assert.ok(countersOf(machine.arena, b.netback).out.frames >= 3200);
      machine.close();
    });
  }
});
