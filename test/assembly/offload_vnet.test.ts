import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OFFLOAD_BAD_CSUM, OFFLOAD_BAD_GSO } from '../../assembly/offload_layout.js';
import { FRAME, frameBytes, getVnet, placeFrame, setVnet, wasm } from './offload_arena.js';
import { goldenFrames, otherFrames } from './offload_golden.js';

const whole = (bytes: Uint8Array): void => placeFrame({ bytes, header: Math.min(bytes.length, 192) });

describe('offloadCheckVnet', () => {
  const tcp4 = goldenFrames[0]!;

  test('accepts what is right, and finds hdr_len itself', () => {
    for (const golden of goldenFrames) {
      whole(golden.bytes);
      setVnet(FRAME, {
        flags: 0xff,
        hdrLen: 9999,
        csumStart: golden.l4,
        csumOffset: golden.proto === 6 ? 16 : 6,
      });
      assert.equal(wasm.offloadCheckVnet(FRAME), 0, golden.name);
      const { flags, hdrLen, csumStart } = getVnet(FRAME);
      assert.deepEqual([flags, hdrLen, csumStart], [1, golden.payload, golden.l4]);
      assert.equal(wasm.offloadCsumFamily(FRAME), golden.family);
    }
  });

  test('clears checksum fields that nobody asked for, keeps DATA_VALID', () => {
    for (const { bytes } of otherFrames) {
      whole(bytes);
      setVnet(FRAME, { flags: 2, hdrLen: 77, csumStart: 60000, csumOffset: 60000, gsoSize: 8 });
      assert.equal(wasm.offloadCheckVnet(FRAME), 0);
      assert.deepEqual(getVnet(FRAME), {
        flags: 2,
        gsoType: 0,
        hdrLen: 0,
        gsoSize: 0,
        csumStart: 0,
        csumOffset: 0,
      });
    }
  });

  test('CVE-2024-11614: a checksum outside the header copy, or over what was looked at', () => {
    const places: readonly (readonly [start: number, offset: number])[] = [
      [65535, 65535],
      [34, 65535],
      [65535, 16],
      [34, tcp4.bytes.length - 34 - 1],
      [tcp4.bytes.length, 0],
      [0, 0], // the destination MAC
      [0, 50],
      [14, 12], // the source address
      [33, 17],
    ];
    for (const [csumStart, csumOffset] of places) {
      whole(tcp4.bytes);
      setVnet(FRAME, { flags: 1, csumStart, csumOffset });
      assert.equal(wasm.offloadCheckVnet(FRAME), OFFLOAD_BAD_CSUM, `${csumStart} + ${csumOffset}`);
      assert.deepEqual(frameBytes(FRAME), tcp4.bytes);
    }
    placeFrame({ bytes: tcp4.bytes, header: 51 }); // the field's second byte lies in a fragment
    setVnet(FRAME, { flags: 1, csumStart: 34, csumOffset: 16 });
    assert.equal(wasm.offloadCheckVnet(FRAME), OFFLOAD_BAD_CSUM);
  });

  test('a checksum of something else inside the frame passes, but not as TCP or UDP', () => {
    whole(tcp4.bytes);
    setVnet(FRAME, { flags: 1, csumStart: 54, csumOffset: 4 });
    assert.equal(wasm.offloadCheckVnet(FRAME), 0);
    assert.equal(getVnet(FRAME).hdrLen, 60);
    assert.equal(wasm.isTcpUdpCsum(FRAME), 0);
  });

  test('accepts sound GSO with the ECN bit beside it', () => {
    whole(tcp4.bytes);
    setVnet(FRAME, { flags: 1, gsoType: 0x81, gsoSize: 4, hdrLen: 1, csumStart: 34, csumOffset: 16 });
    assert.equal(wasm.offloadCheckVnet(FRAME), 0);
    assert.equal(getVnet(FRAME).hdrLen, 54);
    assert.equal(wasm.offloadGsoKind(FRAME), 1);
  });

  test('refuses GSO that contradicts the headers or the checksum request', () => {
    const sound = { flags: 1, gsoType: 1, gsoSize: 4, csumStart: 34, csumOffset: 16 };
    const wrong = [
      { ...sound, flags: 0 },
      { ...sound, gsoType: 4 },
      { ...sound, gsoType: 3 },
      { ...sound, gsoType: 5 },
      { ...sound, gsoType: 0x80 },
      { ...sound, gsoType: 0x7f },
      { ...sound, gsoSize: 0 },
      { ...sound, csumStart: 35 },
      { ...sound, csumOffset: 6 },
    ];
    for (const vnet of wrong) {
      whole(tcp4.bytes);
      setVnet(FRAME, vnet);
      assert.equal(wasm.offloadCheckVnet(FRAME), OFFLOAD_BAD_GSO, JSON.stringify(vnet));
    }
    for (const { name, bytes } of otherFrames) {
      whole(bytes);
      setVnet(FRAME, { ...sound, csumStart: 34, csumOffset: 0 });
      assert.ok(wasm.offloadCheckVnet(FRAME) < 0, name);
    }
    const padded = new Uint8Array(tcp4.bytes.length + 1);
    padded.set(tcp4.bytes);
    whole(padded);
    setVnet(FRAME, sound);
    assert.equal(wasm.offloadCheckVnet(FRAME), OFFLOAD_BAD_GSO, 'a byte after the packet');
    const long = new Uint8Array(54 + 8193);
    long.set(tcp4.bytes.subarray(0, 54));
    new DataView(long.buffer).setUint16(16, long.length - 14);
    whole(long);
    setVnet(FRAME, { ...sound, gsoSize: 1 });
    assert.equal(wasm.offloadCheckVnet(FRAME), OFFLOAD_BAD_GSO, 'more than 8192 segments');
  });
});
