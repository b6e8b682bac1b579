import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  OFFLOAD_BAD_CSUM,
  OFFLOAD_BAD_GSO,
  OFFLOAD_MALFORMED,
  OFFLOAD_NO_L4,
  OFFLOAD_RUNT,
} from '../../assembly/offload_layout.js';
import {
  FRAME,
  frameBytes,
  getVnet,
  placeFrame,
  setVnet,
  surroundings,
  view,
  wasm,
} from './offload_arena.js';
import { type GoldenFrame, goldenFrames, otherFrames } from './offload_golden.js';

const checkOffset = (golden: GoldenFrame): number => (golden.proto === 6 ? 16 : 6);
const whole = (bytes: Uint8Array): void => placeFrame({ bytes, header: Math.min(bytes.length, 192) });

/** A golden frame with some bytes changed. */
function changed(
  golden: GoldenFrame,
  ...patches: readonly (readonly [at: number, ...bytes: number[]])[]
): void {
  const bytes = golden.bytes.slice();
  for (const [at, ...patch] of patches) bytes.set(patch, at);
  whole(bytes);
}

describe('offloadFromBlank', () => {
  test('describes the checksum of every golden frame', () => {
    for (const golden of goldenFrames) {
      placeFrame({ bytes: golden.bytes, header: golden.payload });
      assert.equal(wasm.offloadFromBlank(FRAME), 0, golden.name);
      assert.deepEqual(getVnet(FRAME), {
        flags: 1, // NEEDS_CSUM
        gsoType: 0,
        hdrLen: golden.payload,
        gsoSize: 0,
        csumStart: golden.l4,
        csumOffset: checkOffset(golden),
      });
      assert.deepEqual(frameBytes(FRAME), golden.bytes);
      assert.equal(wasm.offloadCsumFamily(FRAME), golden.family, golden.name);
      assert.equal(wasm.isTcpUdpCsum(FRAME), golden.family ? 1 : 0, golden.name);
    }
  });

  test('rewrites the pseudo-header sum of a GSO frame, whatever the frontend put there', () => {
    for (const golden of goldenFrames.filter((each) => each.proto === 6)) {
      changed(golden, [golden.l4 + 16, 0xde, 0xad]);
      setVnet(FRAME, { gsoType: golden.bytes[golden.l3]! >> 4 === 4 ? 1 : 4, gsoSize: 4 });
      assert.equal(wasm.offloadFromBlank(FRAME), 0, golden.name);
      assert.deepEqual(frameBytes(FRAME), golden.bytes, golden.name);
      const { flags, gsoSize, hdrLen } = getVnet(FRAME);
      assert.deepEqual([flags, gsoSize, hdrLen], [1, 4, golden.payload]);
    }
  });

  test('a GSO frame that fits one segment becomes an ordinary one', () => {
    whole(goldenFrames[0]!.bytes);
    setVnet(FRAME, { gsoType: 1, gsoSize: 11 });
    assert.equal(wasm.offloadFromBlank(FRAME), 0);
    assert.deepEqual([getVnet(FRAME).gsoType, getVnet(FRAME).gsoSize], [0, 0]);
  });

  test('refuses GSO that the headers deny', () => {
    const [tcp4, udp4, , tcp6] = goldenFrames as [GoldenFrame, GoldenFrame, GoldenFrame, GoldenFrame];
    const cases: readonly (readonly [GoldenFrame, number, number])[] = [
      [tcp4, 4, 4], // TCPv6 over IPv4
      [tcp6, 1, 4], // TCPv4 over IPv6
      [udp4, 1, 4], // TCPv4 over UDP
      [udp4, 3, 4], // UDP fragmentation is not offered
      [udp4, 5, 4],
      [tcp4, 1, 0], // segments of nothing
      [tcp4, 0x80, 4], // ECN of nothing
    ];
    for (const [golden, gsoType, gsoSize] of cases) {
      whole(golden.bytes);
      setVnet(FRAME, { gsoType, gsoSize });
      assert.equal(wasm.offloadFromBlank(FRAME), OFFLOAD_BAD_GSO, `${golden.name} as ${gsoType}`);
    }
  });

  test('refuses frames without TCP or UDP', () => {
    for (const { name, bytes } of otherFrames) {
      whole(bytes);
      assert.equal(wasm.offloadFromBlank(FRAME), OFFLOAD_NO_L4, name);
    }
  });

  test('refuses headers that contradict themselves or the frame', () => {
    const [tcp4, udp4, udp6, tcp6] = goldenFrames as [GoldenFrame, GoldenFrame, GoldenFrame, GoldenFrame];
    const cases: readonly (readonly [string, GoldenFrame, readonly [number, ...number[]], number])[] = [
      ['IPv4 with version 6', tcp4, [14, 0x65], OFFLOAD_MALFORMED],
      ['IHL 4', tcp4, [14, 0x44], OFFLOAD_MALFORMED],
      ['IHL 15 over the end of TCP', tcp4, [14, 0x4f], OFFLOAD_MALFORMED],
      ['total length below the header', tcp4, [16, 0, 19], OFFLOAD_MALFORMED],
      ['total length beyond the frame', tcp4, [16, 0, 52], OFFLOAD_MALFORMED],
      ['total length cuts TCP', tcp4, [16, 0, 39], OFFLOAD_MALFORMED],
      ['data after the packet', tcp4, [16, 0, 50], OFFLOAD_BAD_CSUM],
      ['TCP data offset 4', tcp4, [46, 0x40], OFFLOAD_MALFORMED],
      ['TCP data offset beyond the packet', tcp4, [46, 0xf0], OFFLOAD_MALFORMED],
      ['total length cuts UDP', udp4, [16, 0, 27], OFFLOAD_MALFORMED],
      ['IPv6 with version 4', udp6, [14, 0x40], OFFLOAD_MALFORMED],
      ['payload length beyond the frame', udp6, [18, 0, 20], OFFLOAD_MALFORMED],
      ['payload length cuts UDP', udp6, [18, 0, 7], OFFLOAD_MALFORMED],
      ['hop-by-hop runs beyond the packet', tcp6, [55, 255], OFFLOAD_MALFORMED],
      ['routing header runs into UDP that is not there', tcp6, [83, 5], OFFLOAD_MALFORMED],
    ];
    for (const [name, golden, patch, code] of cases) {
      changed(golden, patch);
      assert.equal(wasm.offloadFromBlank(FRAME), code, name);
    }
  });

  test('forgives padding to the Ethernet minimum', () => {
    const bytes = new Uint8Array(60);
    bytes.set(goldenFrames[1]!.bytes);
    whole(bytes);
    assert.equal(wasm.offloadFromBlank(FRAME), 0);
    assert.equal(wasm.frameFillCsum(FRAME), 0);
    assert.equal(view.getUint16(FRAME + 64 + 40), goldenFrames[1]!.complete);
  });
});

test('every truncation is refused, and no byte beyond the header copy matters', () => {
  const cases = [
    ...goldenFrames.map(({ name, bytes, payload }) => ({ name, bytes, sound: payload })),
    ...otherFrames.map(({ name, bytes }) => ({ name, bytes, sound: Number.POSITIVE_INFINITY })),
  ];
  for (const { name, bytes: full, sound } of cases) {
    for (let header = 0; header <= Math.min(full.length, sound); header++) {
      for (const bytes of [full, full.slice(0, header)]) {
        const results = [0, 0xff, 0x06].map((poison) => {
          placeFrame({ bytes, header, poison });
          const around = surroundings(FRAME, 52, 256);
          const blank = wasm.offloadFromBlank(FRAME);
          const found = getVnet(FRAME);
          setVnet(FRAME, { flags: 1, gsoType: 1, gsoSize: 4, csumStart: 34, csumOffset: 16 });
          const checked = wasm.offloadCheckVnet(FRAME);
          const state = [blank, found, checked, getVnet(FRAME), wasm.offloadCsumFamily(FRAME)];
          assert.deepEqual(surroundings(FRAME, 52, 256), around, `${name} at ${header}`);
          return [...state, frameBytes(FRAME)];
        });
        const expected = bytes === full && header === sound;
        assert.equal(results[0]![0] === 0, expected, `${name}: ${header} of ${bytes.length} bytes`);
        if (bytes === full && header < sound && sound < 192) assert.equal(results[0]![0], OFFLOAD_RUNT);
        assert.deepEqual(results[0], results[1]);
        assert.deepEqual(results[0], results[2]);
      }
    }
  }
});
