import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  OFFLOAD_BAD_CSUM,
  OFFLOAD_BAD_GSO,
  OFFLOAD_MALFORMED,
  OFFLOAD_UNREADABLE,
} from '../../assembly/offload_layout.js';
import {
  arena,
  BYTES,
  FRAME,
  frameBytes,
  getVnet,
  placeFrame,
  randomSource,
  setVnet,
  wasm,
} from './offload_arena.js';
import { goldenFrames } from './offload_golden.js';
import { completed, pseudoHeader, referenceSum } from './offload_reference.js';

const bigEndian = (sum: number): number => ((sum & 0xff) << 8) | (sum >>> 8);
/** The folded sum as the reference counts it. */
const folded = (sum: number): number => 0xffff - bigEndian(wasm.csumFold(sum) & 0xffff);

test('csumPartial agrees with the reference at every alignment and length', () => {
  const random = randomSource(1);
  for (let length = 0; length < 330; length++) {
    for (let align = 0; align < 8; align++) {
      const at = BYTES + align;
      arena.fill(0xff, at - 16, at + length + 16); // whoever reads beyond sums these
      for (let i = 0; i < length; i++) arena[at + i] = random(256);
      const expected = referenceSum(arena.slice(at, at + length));
      assert.equal(folded(wasm.csumPartial(at, length, 0)), expected, `${length} bytes at ${align}`);
    }
  }
});

test('csumPartial carries: all ones, all zeros, 64 KiB, and a full starting sum', () => {
  for (const fill of [0, 0xff]) {
    for (const length of [0, 1, 2, 63, 64, 65, 1500, 65535, 65536]) {
      arena.fill(fill, BYTES, BYTES + length);
      const bytes = arena.slice(BYTES, BYTES + length);
      assert.equal(folded(wasm.csumPartial(BYTES, length, 0)), referenceSum(bytes), `${length} of ${fill}`);
      assert.equal(folded(wasm.csumPartial(BYTES, length, 0xffffffff)), referenceSum(bytes) || 0xffff);
    }
  }
});

test('golden frames: the blank field is the pseudo-header sum, the complete one the known checksum', () => {
  for (const golden of goldenFrames) {
    const field = golden.l4 + (golden.proto === 6 ? 16 : 6);
    const blank = (golden.bytes[field]! << 8) | golden.bytes[field + 1]!;
    placeFrame({ bytes: golden.bytes, header: golden.payload });
    assert.equal(referenceSum(pseudoHeader(golden.bytes, golden.l3, golden.l4, golden.proto)), blank);
    assert.equal(wasm.offloadFromBlank(FRAME), 0);
    assert.equal(wasm.frameFillCsum(FRAME), 0);
    const bytes = frameBytes(FRAME);
    assert.equal((bytes[field]! << 8) | bytes[field + 1]!, golden.complete, golden.name);
    assert.deepEqual(bytes, completed(golden.bytes, golden.l3, golden.l4, golden.proto));
    assert.deepEqual(getVnet(FRAME), {
      flags: 2, // DATA_VALID
      gsoType: 0,
      hdrLen: golden.payload,
      gsoSize: 0,
      csumStart: 0,
      csumOffset: 0,
    });
  }
});

/** Lengths that add up to `total`; some zero, many odd. */
function randomPieces(total: number, count: number, random: (below: number) => number): number[] {
  const cuts = Array.from({ length: count - 1 }, () => random(total + 1)).sort((a, b) => a - b);
  return [...cuts, total].map((cut, index) => cut - (index === 0 ? 0 : cuts[index - 1]!));
}

test('frameFillCsum over random fragment splits (XSA-423, XSA-448, 24 fragments)', () => {
  const random = randomSource(3);
  for (let round = 0; round < 3000; round++) {
    const golden = goldenFrames[round % 2]!; // over IPv4: the length fields are not summed twice
    const payload = random(3000);
    const bytes = new Uint8Array(golden.payload + payload);
    bytes.set(golden.bytes.subarray(0, golden.payload));
    for (let at = golden.payload; at < bytes.length; at++) bytes[at] = random(256);
    const header = golden.payload + random(Math.min(payload, 192 - golden.payload) + 1);
    const rest = bytes.length - header;
    let pieces = randomPieces(rest, 1 + random(24), random);
    if (round % 5 === 0 && rest > 1) pieces = [1, ...randomPieces(rest - 1, 23, random)];
    if (round % 5 === 1) pieces = [0, rest, ...new Array<number>(22).fill(0)];
    placeFrame({ bytes, header, pieces, poison: round % 2 ? 0xff : 0x5a });
    const offset = golden.proto === 6 ? 16 : 6;
    setVnet(FRAME, { flags: 1, csumStart: golden.l4, csumOffset: offset });
    assert.equal(wasm.frameFillCsum(FRAME), 0);
    const field = golden.l4 + offset;
    const blank = (golden.bytes[field]! << 8) | golden.bytes[field + 1]!;
    const zeroed = bytes.slice(golden.l4);
    zeroed[offset] = 0;
    zeroed[offset + 1] = 0;
    const expected = 0xffff - referenceSum(zeroed, blank) || 0xffff;
    const got = frameBytes(FRAME);
    assert.equal((got[field]! << 8) | got[field + 1]!, expected, `round ${round}`);
    got.set(bytes.subarray(field, field + 2), field);
    assert.deepEqual(got, bytes, 'nothing but the checksum changed');
  }
});

test('a checksum of zero is written as 0xffff', () => {
  const golden = goldenFrames[1]!;
  const bytes = completed(golden.bytes, golden.l3, golden.l4, 17);
  // Put what the checksum was into the payload's first word: now everything else sums to 0xffff.
  const sumOf = (golden.complete + ((bytes[42]! << 8) | bytes[43]!)) % 0xffff;
  bytes[42] = sumOf >> 8;
  bytes[43] = sumOf & 255;
  bytes.set(golden.bytes.subarray(40, 42), 40);
  placeFrame({ bytes, header: bytes.length });
  assert.equal(wasm.offloadFromBlank(FRAME), 0);
  assert.equal(wasm.frameFillCsum(FRAME), 0);
  assert.deepEqual([...frameBytes(FRAME).subarray(40, 42)], [0xff, 0xff]);
});

test('frameFillCsum refuses what it cannot sum, and leaves complete frames alone', () => {
  const golden = goldenFrames[0]!;
  const shape = { bytes: golden.bytes, header: golden.payload };
  placeFrame(shape);
  assert.equal(wasm.frameFillCsum(FRAME), 0, 'no NEEDS_CSUM');
  assert.deepEqual(frameBytes(FRAME), golden.bytes);

  placeFrame({ ...shape, granted: () => true });
  assert.equal(wasm.offloadFromBlank(FRAME), 0);
  assert.equal(wasm.frameFillCsum(FRAME), OFFLOAD_UNREADABLE);

  placeFrame(shape);
  setVnet(FRAME, { flags: 1, csumStart: 34, csumOffset: 19 });
  assert.equal(wasm.frameFillCsum(FRAME), OFFLOAD_BAD_CSUM, 'field beyond the header copy');
  setVnet(FRAME, { flags: 1, csumStart: 65535, csumOffset: 65535 });
  assert.equal(wasm.frameFillCsum(FRAME), OFFLOAD_BAD_CSUM);
  setVnet(FRAME, { flags: 1, csumStart: 34, csumOffset: 16, gsoType: 1, gsoSize: 4 });
  assert.equal(wasm.frameFillCsum(FRAME), OFFLOAD_BAD_GSO);

  placeFrame({ ...shape, pieces: [4] });
  setVnet(FRAME, { flags: 1, csumStart: 34, csumOffset: 16 });
  assert.equal(wasm.frameFillCsum(FRAME), OFFLOAD_MALFORMED, 'fragments shorter than the frame');
});
