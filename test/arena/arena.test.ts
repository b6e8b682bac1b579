/** The arena: foreign memory comes and goes at fixed addresses, and never leaves a hole. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { SetupError } from '../../src/sys/errors.js';
import { sealedMemory } from '../../src/sys/memory.js';

const PAGE = 4096;

describe('arena', () => {
  const arena = Arena.create(1 << 24);
  const loops = instantiateLoops(arena);
  const fd = sealedMemory('netferry:test', 4 * PAGE);
  after(() => closeSync(fd));

  test('allocations are zeroed, page-aligned and never at an address below 64 KiB', () => {
    const address = arena.allocate(1, 'one byte');
    assert.equal(address % PAGE, 0);
    assert.ok(address >= 65536);
    arena.u8.fill(7, address, address + PAGE);
    arena.free(address, 1);
    const again = arena.allocate(PAGE, 'the same page');
    assert.equal(again, address);
    assert.ok(arena.u8.subarray(again, again + PAGE).every((byte) => byte === 0));
    arena.free(again, PAGE);
  });

  test('states of many begin at lines apart, and are whole pages all the same', () => {
    const before = arena.freePages;
    const all = Array.from({ length: 63 }, () => arena.allocate(PAGE, 'a state', true));
    assert.equal(arena.freePages, before - 2 * 63, 'one page more than they are long');
    const lines = all.map((address) => (address % PAGE) / 64);
    assert.deepEqual(
      lines.toSorted((a, b) => a - b),
      Array.from({ length: 63 }, (_, i) => i + 1),
    );
    for (const [i, address] of all.entries()) arena.u8.fill(i + 1, address, address + PAGE);
    assert.ok(
      all.every((address, i) => arena.u8[address] === i + 1 && arena.u8[address + PAGE - 1] === i + 1),
    );
    for (const address of all) arena.free(address, PAGE);
    assert.equal(arena.freePages, before);
    const again = arena.allocate(2 * PAGE, 'what they left');
    assert.ok(arena.u8.subarray(again, again + 2 * PAGE).every((byte) => byte === 0));
    arena.free(again, 2 * PAGE);
  });

  test('a mapped file is the same bytes for JavaScript, WebAssembly and the file', () => {
    const address = arena.allocate(2 * PAGE, 'a mapping');
    arena.map(address, 2 * PAGE, fd, PAGE, true);
    writeSync(fd, 'written by another', PAGE + 10);
    assert.equal(Buffer.from(arena.u8.slice(address + 10, address + 28)).toString(), 'written by another');
    loops.copyBytes(address + PAGE, address + 10, 18);
    const bytes = Buffer.alloc(18);
    readSync(fd, bytes, 0, 18, 2 * PAGE);
    assert.equal(bytes.toString(), 'written by another');
    arena.free(address, 2 * PAGE);
  });

  test('unmapping leaves zeroes that can be read and written, not a hole, and the file as it was', () => {
    const address = arena.allocate(2 * PAGE, 'a mapping');
    arena.map(address, 2 * PAGE, fd, 0, true);
    arena.u8.fill(0x77, address, address + 2 * PAGE);
    arena.unmap(address, 2 * PAGE);
    assert.ok(arena.u8.subarray(address, address + 2 * PAGE).every((byte) => byte === 0));
    loops.copyBytes(address, address + PAGE, 100);
    arena.u8.fill(0x11, address, address + 2 * PAGE);
    const bytes = Buffer.alloc(2 * PAGE);
    readSync(fd, bytes, 0, 2 * PAGE, 0);
    assert.ok(bytes.every((byte) => byte === 0x77));
    arena.free(address, 2 * PAGE);
  });

  test('nobody can change the size of a sealed file under a mapping', () => {
    assert.throws(() => ftruncateSync(fd, 0), { code: 'EPERM' });
    assert.throws(() => ftruncateSync(fd, 8 * PAGE), { code: 'EPERM' });
  });

  test('exhaustion is a SetupError that says for what, and gives way when something is freed', () => {
    const small = Arena.create(1 << 20);
    const free = small.freePages;
    const all = small.allocate(free * PAGE, 'everything');
    assert.throws(
      () => small.allocate(1, 'the straw'),
      (error: unknown) => error instanceof SetupError && /the straw/.test(error.message),
    );
    small.free(all, free * PAGE);
    assert.equal(small.freePages, free);
    assert.throws(() => small.free(all, PAGE), RangeError);
  });

  test('mappings outside the arena are refused', () => {
    for (const [address, bytes] of [
      [0, PAGE],
      [65536 - PAGE, PAGE],
      [65537, PAGE],
      [(1 << 24) - PAGE, 2 * PAGE],
      [1 << 24, PAGE],
    ]) {
      assert.throws(() => arena.map(address, bytes, fd, 0, true), RangeError);
      assert.throws(() => arena.unmap(address, bytes), RangeError);
    }
  });

  test('a file that cannot be mapped is a typed error, and the memory there stays usable', () => {
    const address = arena.allocate(PAGE, 'a mapping');
    assert.throws(() => arena.map(address, PAGE, 9999, 0, true), { code: 'EBADF' });
    arena.u8[address] = 1;
    assert.equal(arena.u8[address], 1);
    arena.free(address, PAGE);
  });

  test('another thread sees the same bytes but does not allocate', () => {
    const other = Arena.attach(arena.memory);
    const address = arena.allocate(PAGE, 'shared');
    other.u8[address] = 42;
    assert.equal(arena.u8[address], 42);
    assert.throws(() => other.allocate(PAGE, 'not here'), /only the thread/);
    arena.free(address, PAGE);
  });

  test('copies write their bytes and not one more, at every length and alignment', () => {
    const address = arena.allocate(4 * PAGE, 'copies');
    const source = address + 2 * PAGE;
    for (let i = 0; i < PAGE; i++) arena.u8[source + i] = (i * 31 + 7) & 0xff;
    for (let length = 0; length <= 300; length++) {
      for (const [from, to] of [
        [0, 64],
        [1, 67],
        [15, 80],
      ]) {
        arena.u8.fill(0xee, address, address + 512);
        loops.copyBytes(address + to, source + from, length);
        for (let i = 0; i < 512; i++) {
          const inside = i >= to && i < to + length;
          const expected = inside ? arena.u8[source + from + i - to] : 0xee;
          if (arena.u8[address + i] !== expected)
            assert.fail(`${length} bytes from ${from} to ${to}: byte ${i}`);
        }
      }
    }
    arena.free(address, 4 * PAGE);
  });
});

test('where there is no room for the size that was asked for, the arena is smaller, down to a least', () => {
  const most = 2 ** 32; // a WebAssembly memory has no more
  assert.throws(() => Arena.create(2 * most), /no address space for an arena of 8589934592 bytes/);
  assert.throws(() => Arena.create(4 * most, 2 * most), SetupError);
  const arena = Arena.create(2 * most, 2 ** 20);
  assert.ok(arena.u8.length >= 2 ** 20 && arena.u8.length <= most);
  assert.equal(Math.log2(arena.u8.length) % 1, 0);
});
