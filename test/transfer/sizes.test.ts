/** Every mechanism carries every size of frame there is, and finds its bytes at every offset of a page. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MEMORY_SLOTS } from '../../src/datapath/memory_port.js';
import { dropped } from '../support/drops.js';
import { Machine } from '../support/machine.js';
import { pattern, plainFrame } from '../support/packets.js';
import { STRATEGIES } from './transfer.suite.js';

const SMALLEST = 14;
const LARGEST = 65_535;
/** A ring's worth of receive pages less one frame's. */
const PAGES = 240;

/** Random bytes, of which each frame takes a run of its own: that a frame is another's is seen. */
const bytes = Buffer.from(pattern(2 * LARGEST, 1));

for (const strategy of STRATEGIES) {
  describe(`all sizes, ${strategy}`, () => {
    test('every size from 14 to 65535 arrives as it was sent', () => {
      const machine = new Machine();
      const a = machine.addGuest('a', { transfer: strategy });
      const b = machine.addGuest('b', { transfer: strategy });
      const frame = Buffer.alloc(LARGEST);
      const frameOf = (length: number) => {
        bytes.copy(frame, 0, length, 2 * length);
        frame.set(b.mac, 0);
        frame.set(a.mac, 6);
        return frame.subarray(0, length);
      };
      for (let first = SMALLEST; first <= LARGEST; ) {
        const most = Math.min(MEMORY_SLOTS, Math.floor(PAGES / Math.ceil((first + MEMORY_SLOTS) / 4096)));
        const end = Math.min(LARGEST + 1, first + most);
        for (let length = first; length < end; length++) assert.ok(a.send(frameOf(length)));
        machine.settle();
        for (let length = first; length < end; length++) {
          const got = b.receive();
          assert.ok(got, `${length} bytes did not arrive`);
          assert.ok(frameOf(length).equals(got.bytes), `${length} bytes arrived changed`);
        }
        assert.equal(b.receive(), undefined);
        first = end;
      }
      assert.equal(dropped(machine.arena, a.netback) + dropped(machine.arena, b.netback), 0);
      machine.close();
    });

    test('a frame at every offset of a page, up to its end', () => {
      const machine = new Machine();
      const bare = machine.addBareGuest('bare', { transfer: strategy });
      const b = machine.addGuest('b', { transfer: strategy });
      for (let first = 0; first < 4096; first += MEMORY_SLOTS) {
        const frames = Array.from({ length: MEMORY_SLOTS }, (_, i) => {
          const offset = first + i;
          const room = 4096 - offset;
          const head = Math.min(room, 14 + (offset % 300));
          const total = head + (head < 14 || offset % 3 === 0 ? 200 : 0);
          const sent = plainFrame(b.mac, bare.mac, total, offset);
          machine.arena.u8.set(sent.subarray(0, head), bare.txPage(2 * i) + offset);
          const more = total > head;
          bare.putTx({ gref: bare.txGref(2 * i), offset, flags: more ? 4 : 0, size: total });
          if (more) {
            machine.arena.u8.set(sent.subarray(head), bare.txPage(2 * i + 1));
            bare.putTx({ gref: bare.txGref(2 * i + 1), size: total - head });
          }
          return sent;
        });
        bare.publishTx();
        machine.settle();
        frames.forEach((frame, i) => {
          const got = b.receive();
          assert.ok(got && Buffer.from(frame).equals(got.bytes), `offset ${first + i}`);
        });
      }
      machine.close();
    });
  });
}
