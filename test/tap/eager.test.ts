/** A tap port that looks for the stack's answer after each write, and one that waits to be told. */
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { test } from 'node:test';
import { F_LEN, F_SETTLED, FRAME_SIZE, VNET_SIZE } from '../../assembly/layout.js';
import { HEADER_READ } from '../../assembly/tap_layout.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { close } from '../../src/sys/libc.js';
import { unixPair } from '../../src/sys/unix.js';
import { fillBuffers, stackSize, TAP_MEMORY, TapPort } from '../../src/tap/tap_port.js';
import { setNonBlocking } from '../support/full_eventfd.js';

for (const eager of [false, true]) {
  test(`the answer to a frame is read ${eager ? 'with the next round' : 'when the wait tells'}`, () => {
    const arena = Arena.create(16 << 20);
    const loops = instantiateLoops(arena);
    const [fd, stack] = unixPair();
    setNonBlocking(fd);
    const buffers = arena.allocate(stackSize(4), 'stack');
    fillBuffers(arena, buffers, arena.allocate(4 * 65536, 'buffers'), 4);
    const block = arena.allocate(PORT_BLOCK, 'block');
    const memory = arena.allocate(TAP_MEMORY, 'tap');
    const options = {
      id: 1,
      name: 'tap',
      fd,
      block,
      memory,
      buffers,
      header: HEADER_READ,
      uring: false,
      eager,
    };
    const port = new TapPort(arena, loops, options);
    assert.equal(port.pull(0), 0, 'nothing is there');
    assert.equal(port.arm(0), false);

    const list = arena.allocate(4, 'list');
    const frame = arena.allocate(FRAME_SIZE, 'frame');
    const bytes = arena.allocate(100, 'bytes');
    arena.u32[list / 4] = frame;
    loops.frameFromLinear(frame, bytes, 100, HEADER_READ);
    writeSync(stack, new Uint8Array(VNET_SIZE + 60)); // what the stack says to it, at once
    port.push(list, 1, 1);
    assert.equal(arena.u32[(frame + F_SETTLED) / 4], 1);
    assert.equal(port.arm(0), eager, 'an eager one does not sleep before it has looked');
    if (!eager) {
      assert.equal(port.pull(0), 0);
      port.wake();
    }
    assert.equal(port.pull(0), 1);
    assert.equal(arena.u32[(arena.u32[port.list / 4] + F_LEN) / 4], 60);
    assert.equal(port.pull(1), 1, 'and no more');
    assert.equal(port.arm(1), false);
    port.close();
    close(fd);
    close(stack);
  });
}
