/** Bursts of writes through an io_uring whose rings lie outside the arena. */
import assert from 'node:assert/strict';
import { readFileSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { BURST } from '../../assembly/layout.js';
import { IOV_STRIDE } from '../../assembly/tap_layout.js';
import { Arena } from '../../src/arena/arena.js';
import { close } from '../../src/sys/libc.js';
import { sealedMemory } from '../../src/sys/memory.js';
import { OutsideIo } from '../../src/tap/outside_io.js';

const SIZE = 1 << 20;

/** `n` writes of two pieces each in the arena; what they should leave behind. */
function burst(arena: Arena, iovs: number, data: number, n: number, seed: number): Buffer {
  const expected: Buffer[] = [];
  for (let i = 0; i < n; i++) {
    for (const piece of [0, 1]) {
      const length = 1 + ((seed + i * 7 + piece) % 30);
      const at = data + (i * 2 + piece) * 32;
      arena.u8.fill((seed * 31 + i * 2 + piece) & 0xff, at, at + length);
      const iov = iovs + i * IOV_STRIDE + piece * 16;
      arena.view.setBigUint64(iov, BigInt(arena.base + at), true);
      arena.view.setBigUint64(iov + 8, BigInt(length), true);
      expected.push(Buffer.from(arena.u8.slice(at, at + length)));
    }
  }
  return Buffer.concat(expected);
}

test('bursts of all lengths arrive whole and in order, the ring wrapping many times', (t) => {
  const arena = Arena.create(16 << 20);
  const iovs = arena.allocate(BURST * IOV_STRIDE, 'iovecs');
  const data = arena.allocate(BURST * 64, 'data');
  const results = arena.allocate(BURST * 4, 'results');
  const counts = new Uint8Array(BURST).fill(2);
  const fd = sealedMemory('outside-io', SIZE);
  const io = OutsideIo.open(arena, fd);
  if (!io) {
    close(fd);
    t.skip('no io_uring here');
    return;
  }
  assert.match(readFileSync('/proc/self/maps', 'utf8'), /io_uring/);
  const i32 = new Int32Array(arena.memory.buffer);
  let written = 0;
  const all: Buffer[] = [];
  for (let round = 0; round < 40; round++) {
    const n = [1, 2, BURST, 5, 63][round % 5];
    const expected = burst(arena, iovs, data, n, round);
    io.write(iovs, counts, n, results);
    const sum = i32.subarray(results / 4, results / 4 + n).reduce((a, b) => a + b, 0);
    assert.equal(sum, expected.length);
    written += sum;
    all.push(expected);
  }
  const found = Buffer.alloc(written);
  assert.equal(readSync(fd, found, 0, written, 0), written);
  assert.ok(found.equals(Buffer.concat(all)));
  io.close();
  assert.doesNotMatch(readFileSync('/proc/self/maps', 'utf8'), /io_uring/);
  close(fd);
});

test('each write has its own result', (t) => {
  const arena = Arena.create(16 << 20);
  const iovs = arena.allocate(BURST * IOV_STRIDE, 'iovecs');
  const data = arena.allocate(BURST * 64, 'data');
  const results = arena.allocate(BURST * 4, 'results');
  const fd = sealedMemory('outside-io', SIZE);
  const io = OutsideIo.open(arena, fd);
  if (!io) {
    close(fd);
    t.skip('no io_uring here');
    return;
  }
  burst(arena, iovs, data, 3, 1);
  arena.view.setBigUint64(iovs + IOV_STRIDE, 8n, true); // nothing is mapped there
  io.write(iovs, new Uint8Array(BURST).fill(2), 3, results);
  const [first, second, third] = new Int32Array(arena.memory.buffer, results, 3);
  assert.ok(first > 0 && third > 0, `${first} ${third}`);
  assert.equal(second, -14); // EFAULT
  io.close();
  close(fd);
});
