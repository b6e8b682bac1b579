import assert from 'node:assert/strict';
import { test } from 'node:test';
import { F_FRAGS, F_HDR_LEN, F_LEN, F_NFRAGS, F_VNET, V_FLAGS, V_GSO_TYPE } from '../../assembly/layout.js';
import {
  arena,
  BYTES,
  FRAME,
  frameBytes,
  getVnet,
  OUT,
  placeFrame,
  randomSource,
  surroundings,
  view,
  wasm,
} from './offload_arena.js';
import { goldenFrames, otherFrames } from './offload_golden.js';

const ROUNDS = 50_000;
const frames = [
  ...goldenFrames.map(({ bytes, l4 }) => ({ bytes, l4 })),
  ...otherFrames.map(({ bytes }) => ({ bytes, l4: 34 })),
];
const interesting = [
  0, 1, 4, 5, 6, 8, 17, 20, 40, 43, 44, 51, 60, 0x45, 0x46, 0x60, 0x7f, 0x80, 0x81, 0x88, 0xff,
];

test(`${ROUNDS} mutated headers: no trap, no write outside F_VNET and F_HEADER, every promise kept`, () => {
  const random = randomSource(0x5eed);
  const outcomes = new Map<string, number>();
  const note = (call: string, result: number): void => {
    const key = `${call} ${result < 0 ? result : 'ok'}`;
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const golden = frames[random(frames.length)]!;
    const bytes = new Uint8Array(golden.bytes.length + (random(8) ? 0 : random(64)));
    bytes.set(golden.bytes);
    for (let count = random(9); count > 0; count--) {
      const at = random(8) ? 12 + random(bytes.length - 12) : random(bytes.length);
      bytes[at] = random(2) ? random(256) : interesting[random(interesting.length)]!;
    }
    const header = random(4) ? bytes.length - random(12) : random(bytes.length + 1);
    const rest = bytes.length - header;
    const first = random(rest + 1);
    const pieces = random(2) ? [first, rest - first] : [first, 0, rest - first, 0];
    const grants = random(4) === 0;
    placeFrame({ bytes, header, pieces, granted: () => grants });
    // The peer's virtio_net_hdr: often nearly right.
    view.setUint8(FRAME + V_FLAGS, random(4) ? 1 : random(256));
    view.setUint8(FRAME + V_GSO_TYPE, [0, 0, 0, 0, 1, 4, 0x81, random(256)][random(8)]!);
    view.setUint16(FRAME + F_VNET + 2, random(65536), true);
    view.setUint16(FRAME + F_VNET + 4, [0, 1, 3, 4, 8, 1448, random(65536)][random(7)]!, true);
    view.setUint16(
      FRAME + F_VNET + 6,
      [golden.l4, golden.l4, golden.l4, random(200), random(65536)][random(5)]!,
      true,
    );
    view.setUint16(FRAME + F_VNET + 8, [16, 16, 6, random(40), random(65536)][random(5)]!, true);

    const around = surroundings(FRAME, F_VNET, F_FRAGS);
    const outAround = surroundings(OUT, 0, 640);
    const payloads = arena.slice(BYTES, BYTES + bytes.length + 64);
    const blank = round % 2 === 0;
    const accepted = blank ? wasm.offloadFromBlank(FRAME) : wasm.offloadCheckVnet(FRAME);
    note(blank ? 'blank' : 'vnet', accepted);
    if (accepted === 0) {
      const vnet = getVnet(FRAME);
      const headerLen = view.getUint32(FRAME + F_HDR_LEN, true);
      assert.ok(vnet.hdrLen <= headerLen);
      assert.equal(vnet.flags & ~3, 0);
      if (vnet.flags & 1) {
        assert.ok(vnet.csumStart >= 14 && vnet.csumStart + vnet.csumOffset + 2 <= headerLen);
      }
      if (vnet.gsoType) assert.ok(vnet.flags & 1 && vnet.gsoSize > 0 && wasm.isTcpUdpCsum(FRAME) <= 1);
    }
    wasm.offloadCsumFamily(FRAME);
    const count = wasm.segmentCount(FRAME);
    assert.ok(count <= 8192);
    if (count > 0) {
      let payload = 0;
      for (let index = 0; index < count; index++) {
        const made = wasm.segmentInto(FRAME, index, OUT);
        assert.equal(made, 0);
        payload += view.getUint32(OUT + F_LEN, true) - view.getUint32(OUT + F_HDR_LEN, true);
        assert.equal(frameBytes(OUT).length, view.getUint32(OUT + F_LEN, true));
      }
      assert.equal(payload, bytes.length - view.getUint32(OUT + F_HDR_LEN, true));
      note('segment', 0);
    }
    note('fill', wasm.frameFillCsum(FRAME));
    assert.ok(surroundings(FRAME, F_VNET, F_FRAGS).equals(around), `round ${round}: descriptor intact`);
    assert.ok(surroundings(OUT, 0, 640).equals(outAround), `round ${round}: other memory intact`);
    assert.deepEqual(arena.slice(BYTES, BYTES + bytes.length + 64), payloads);
  }
  for (const path of ['blank ok', 'blank -1', 'blank -2', 'blank -3', 'blank -4', 'blank -5', 'vnet ok']) {
    assert.ok((outcomes.get(path) ?? 0) > 20, `${path} was reached: ${JSON.stringify([...outcomes])}`);
  }
  for (const path of ['vnet -4', 'vnet -5', 'segment ok', 'fill ok', 'fill -4', 'fill -5', 'fill -6']) {
    assert.ok((outcomes.get(path) ?? 0) > 20, `${path} was reached: ${JSON.stringify([...outcomes])}`);
  }
});

test('a descriptor of nonsense is refused without a trap', () => {
  const random = randomSource(99);
  for (let round = 0; round < 2000; round++) {
    placeFrame({ bytes: frames[round % frames.length]!.bytes, header: 0 });
    for (let at = F_VNET; at < F_FRAGS; at++) view.setUint8(FRAME + at, random(256));
    view.setUint32(FRAME + F_HDR_LEN, random(2) ? 0xffffffff : random(1000), true);
    view.setUint32(FRAME + F_LEN, random(2) ? 0xffffffff : random(70000), true);
    view.setUint32(FRAME + F_NFRAGS, 25 + random(1000), true);
    const around = surroundings(FRAME, F_VNET, F_FRAGS);
    wasm.offloadCheckVnet(FRAME);
    wasm.offloadFromBlank(FRAME);
    assert.ok(wasm.frameFillCsum(FRAME) <= 0);
    assert.ok(wasm.segmentInto(FRAME, 0, OUT) < 0);
    assert.ok(surroundings(FRAME, F_VNET, F_FRAGS).equals(around));
  }
});
