import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  F_FRAGS,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  F_SRC,
  F_VERDICT,
  FRAG_SIZE,
  FRAGS_MAX,
  G_ADDR,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
} from '../../assembly/layout.js';
import {
  OFFLOAD_BAD_GSO,
  OFFLOAD_MALFORMED,
  OFFLOAD_TOO_MANY,
  OFFLOAD_UNREADABLE,
} from '../../assembly/offload_layout.js';
import {
  arena,
  FRAME,
  frameBytes,
  getVnet,
  OUT,
  placeFrame,
  randomSource,
  setVnet,
  view,
  wasm,
} from './offload_arena.js';
import { type GoldenFrame, goldenFrames } from './offload_golden.js';
import { completed, pseudoHeader, referenceSegments, referenceSum } from './offload_reference.js';

const tcpFrames = goldenFrames.filter((golden) => golden.proto === 6);
type Random = (below: number) => number;

/** A golden frame's headers before `length` random payload bytes, its IP length put right. */
function grown(golden: GoldenFrame, length: number, random: Random): Uint8Array {
  const bytes = new Uint8Array(golden.payload + length);
  bytes.set(golden.bytes.subarray(0, golden.payload));
  for (let at = golden.payload; at < bytes.length; at++) bytes[at] = random(256);
  const ip = new DataView(bytes.buffer, golden.l3);
  if (bytes[golden.l3]! >> 4 === 4) ip.setUint16(2, bytes.length - golden.l3);
  else ip.setUint16(4, bytes.length - golden.l3 - 40);
  return bytes;
}

function requestGso(golden: GoldenFrame, gsoSize: number): void {
  const gsoType = golden.bytes[golden.l3]! >> 4 === 4 ? 1 : 4;
  setVnet(FRAME, { flags: 1, gsoType, gsoSize, csumStart: golden.l4, csumOffset: 16 });
}

/** Every segment of the frame at FRAME against the reference: blank first, then completed in software. */
function compareSegments(golden: GoldenFrame, bytes: Uint8Array, gsoSize: number): number {
  const expected = referenceSegments(bytes, golden.l3, golden.l4, gsoSize);
  assert.equal(wasm.segmentCount(FRAME), expected.length);
  const source = arena.slice(FRAME, FRAME + 640);
  expected.forEach((segment, index) => {
    assert.equal(wasm.segmentInto(FRAME, index, OUT), 0);
    const blank = frameBytes(OUT);
    const field = golden.l4 + 16;
    const pseudo = referenceSum(pseudoHeader(segment, golden.l3, golden.l4, 6));
    assert.equal((blank[field]! << 8) | blank[field + 1]!, pseudo);
    assert.equal(view.getUint32(OUT + F_LEN, true), segment.length);
    assert.deepEqual(getVnet(OUT), {
      flags: 1,
      gsoType: 0,
      hdrLen: golden.payload,
      gsoSize: 0,
      csumStart: golden.l4,
      csumOffset: 16,
    });
    const filled = wasm.frameFillCsum(OUT);
    if (filled === 0) assert.deepEqual(frameBytes(OUT), segment);
    else assert.equal(filled, OFFLOAD_UNREADABLE);
    assert.deepEqual(completed(blank, golden.l3, golden.l4, 6), segment);
  });
  assert.deepEqual(arena.slice(FRAME, FRAME + 640), source, 'the source descriptor is only read');
  return expected.length;
}

test('one golden frame in three segments, field by field', () => {
  const golden = goldenFrames[0]!;
  placeFrame({ bytes: golden.bytes, header: golden.payload + 3 });
  requestGso(golden, 4);
  assert.equal(wasm.segmentCount(FRAME), 3);
  const seen = [0, 1, 2].map((index) => {
    assert.equal(wasm.segmentInto(FRAME, index, OUT), 0);
    const bytes = frameBytes(OUT);
    const fields = new DataView(bytes.buffer);
    return {
      totalLength: fields.getUint16(16),
      id: fields.getUint16(18),
      headerSum: referenceSum(bytes.subarray(14, 34)),
      sequence: fields.getUint32(38),
      flags: fields.getUint8(47),
      payload: Buffer.from(bytes.subarray(54)).toString(),
      fragments: view.getUint32(OUT + F_NFRAGS, true),
    };
  });
  const sound = { headerSum: 0xffff };
  assert.deepEqual(seen, [
    {
      ...sound,
      totalLength: 44,
      id: 0xfffe,
      sequence: 0xffffff00,
      flags: 0x90,
      payload: 'hell',
      fragments: 2,
    },
    {
      ...sound,
      totalLength: 44,
      id: 0xffff,
      sequence: 0xffffff04,
      flags: 0x10,
      payload: 'o wo',
      fragments: 1,
    },
    {
      ...sound,
      totalLength: 43,
      id: 0x0000,
      sequence: 0xffffff08,
      flags: 0x19,
      payload: 'rld',
      fragments: 1,
    },
  ]);
  assert.equal(view.getUint32(OUT + F_SRC, true), 7);
  assert.equal(view.getUint32(OUT + F_VERDICT, true), 9);
  assert.equal(view.getUint32(OUT + F_SETTLED, true), 0);
  assert.equal(view.getUint32(OUT + F_FRAGS + G_ADDR, true) >= 0x30000, true, 'a sub-range, not a copy');
});

test('segments equal the reference for random splits, sizes and grants', () => {
  const random = randomSource(11);
  let segments = 0;
  for (let round = 0; round < 600; round++) {
    const golden = tcpFrames[round % tcpFrames.length]!;
    const gsoSize = [8, 100, 536, 1447, 1448][random(5)]!;
    const bytes = grown(golden, gsoSize + 1 + random(gsoSize * 12), random);
    const room = Math.min(192, bytes.length) - golden.payload;
    const header = golden.payload + (round % 3 ? random(room + 1) : 0);
    const rest = bytes.length - header;
    const count = 1 + random(FRAGS_MAX);
    const cuts = Array.from({ length: count - 1 }, () => random(rest + 1)).sort((a, b) => a - b);
    let pieces = [...cuts, rest].map((cut, index) => cut - (cuts[index - 1] ?? 0));
    if (round % 7 === 0) pieces = [1, ...new Array<number>(22).fill(0), rest - 1]; // XSA-423, XSA-448
    if (pieces.some((length) => length < 0)) continue;
    const every = random(4);
    placeFrame({ bytes, header, pieces, granted: (piece) => every > 1 && piece % every === 0 });
    requestGso(golden, gsoSize);
    segments += compareSegments(golden, bytes, gsoSize);
  }
  assert.ok(segments > 3000, `${segments} segments compared`);
});

test('64 KiB in segments of eight bytes, and of 1448', () => {
  const random = randomSource(12);
  for (const golden of tcpFrames) {
    const bytes = grown(golden, 65535 - 40 - golden.payload, random);
    const half = (bytes.length - golden.payload) >> 1;
    placeFrame({ bytes, header: golden.payload, pieces: [half, bytes.length - golden.payload - half] });
    for (const size of [8, 1448]) {
      requestGso(golden, size);
      assert.equal(compareSegments(golden, bytes, size), Math.ceil((bytes.length - golden.payload) / size));
    }
  }
});

test('a mapped grant keeps address and grant in step', () => {
  const golden = goldenFrames[0]!;
  const bytes = grown(golden, 3000, randomSource(14));
  placeFrame({ bytes, header: golden.payload });
  requestGso(golden, 1000);
  const from = FRAME + F_FRAGS;
  view.setUint32(from + G_GREF, 77, true);
  view.setUint16(from + G_OFF, 96, true);
  view.setUint16(from + G_DOM, 5, true);
  assert.equal(wasm.segmentInto(FRAME, 2, OUT), 0);
  const to = OUT + F_FRAGS;
  assert.equal(view.getUint32(to + G_ADDR, true), view.getUint32(from + G_ADDR, true) + 2000);
  assert.equal(view.getUint32(to + G_GREF, true), 77);
  assert.equal(view.getUint16(to + G_OFF, true), 2096);
  assert.equal(view.getUint16(to + G_DOM, true), 5);
});

test('what cannot be segmented is refused', () => {
  const golden = goldenFrames[0]!;
  const random = randomSource(13);
  const bytes = grown(golden, 9000, random);
  const header = golden.payload;
  const refused = (why: string): void => {
    assert.equal(wasm.segmentCount(FRAME), 0, why);
    assert.equal(wasm.segmentInto(FRAME, 0, OUT), OFFLOAD_BAD_GSO, why);
  };
  placeFrame({ bytes, header });
  refused('no GSO');
  requestGso(golden, 1);
  refused('9,000 segments');
  requestGso(golden, 0);
  refused('no size');
  setVnet(FRAME, { gsoType: 4, gsoSize: 1000 });
  refused('the other family');
  requestGso(golden, 1000);
  assert.equal(wasm.segmentCount(FRAME), 9);
  assert.equal(wasm.segmentInto(FRAME, 9, OUT), OFFLOAD_BAD_GSO, 'one too many');
  assert.equal(wasm.segmentInto(FRAME, 0xffffffff, OUT), OFFLOAD_BAD_GSO);
  view.setUint32(FRAME + F_NFRAGS, FRAGS_MAX + 1, true);
  assert.equal(wasm.segmentInto(FRAME, 0, OUT), OFFLOAD_MALFORMED);
  placeFrame({ bytes, header: header - 1 });
  requestGso(golden, 1000);
  refused('headers not wholly in the copy');
  placeFrame({ bytes, header, pieces: [500] });
  requestGso(golden, 1000);
  assert.equal(wasm.segmentInto(FRAME, 0, OUT), OFFLOAD_MALFORMED, 'fragments end early');

  const small = grown(golden, 10 + FRAGS_MAX, random);
  placeFrame({ bytes: small, header: header + 10, pieces: new Array<number>(FRAGS_MAX).fill(1) });
  requestGso(golden, small.length);
  assert.equal(wasm.segmentInto(FRAME, 0, OUT), OFFLOAD_TOO_MANY, '25 pieces in one segment');
  requestGso(golden, small.length - header - 1);
  assert.equal(wasm.segmentInto(FRAME, 0, OUT), 0);
  const last = OUT + F_FRAGS + (FRAGS_MAX - 1) * FRAG_SIZE;
  assert.equal(view.getUint16(last + G_LEN, true), 1, 'the last fragment of a full descriptor');
});
