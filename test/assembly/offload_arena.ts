// An arena for the tests of the offload code: the real WebAssembly over a memory of its own, frames laid
// out in it byte by byte, and canaries around everything that must not be touched.
import { readFileSync } from 'node:fs';
import {
  F_FRAGS,
  F_HDR_LEN,
  F_HEADER,
  F_LEN,
  F_NFRAGS,
  F_SRC,
  F_VERDICT,
  F_VNET,
  FRAG_SIZE,
  FRAME_SIZE,
  G_ADDR,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
  V_CSUM_OFFSET,
  V_CSUM_START,
  V_FLAGS,
  V_GSO_SIZE,
  V_GSO_TYPE,
  V_HDR_LEN,
} from '../../assembly/layout.js';

interface OffloadExports {
  csumPartial(addr: number, len: number, sum: number): number;
  csumFold(sum: number): number;
  offloadFromBlank(frame: number): number;
  offloadCheckVnet(frame: number): number;
  offloadGsoKind(frame: number): number;
  offloadCsumFamily(frame: number): number;
  isTcpUdpCsum(frame: number): number;
  frameFillCsum(frame: number): number;
  segmentCount(frame: number): number;
  segmentInto(frame: number, index: number, out: number): number;
}

const memory = new WebAssembly.Memory({ initial: 16384, maximum: 16384, shared: true });
const module = new WebAssembly.Module(readFileSync(new URL('../../netferry.wasm', import.meta.url)));

/** The offload code calls nobody: every function that other parts import traps here. */
function imports(): WebAssembly.Imports {
  const found: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const group = found[from] ?? {};
    found[from] = group;
    if (kind === 'memory') group[name] = memory;
    if (kind === 'function') {
      group[name] = () => {
        throw new Error(`unexpected call of ${from}.${name}`);
      };
    }
  }
  return found;
}

export const wasm = new WebAssembly.Instance(module, imports()).exports as unknown as OffloadExports;
export const arena = new Uint8Array(memory.buffer);
export const view = new DataView(memory.buffer);

/** Addresses of two descriptors and of the bytes of fragments, far from each other and from static data. */
export const FRAME = 0x20000;
export const OUT = 0x21000;
export const BYTES = 0x30000;
const CANARY = 0xa5;
/** A granted page of the tests: known to JavaScript only, as a page that was never mapped. */
const grants = new Map<number, Uint8Array>();

export interface FrameShape {
  /** The whole frame. */
  readonly bytes: Uint8Array;
  /** How many leading bytes go to F_HEADER; the rest to fragments. */
  readonly header: number;
  /** Lengths of the fragments, together the rest of the frame; one fragment when absent. */
  readonly pieces?: readonly number[];
  /** Which fragments are granted pages instead of arena bytes. */
  readonly granted?: (piece: number) => boolean;
  /** What lies in F_HEADER beyond the header bytes, and around fragments. */
  readonly poison?: number;
}

/** Fills both descriptors and their surroundings with canaries, then lays out the frame at FRAME. */
export function placeFrame(shape: FrameShape): void {
  const poison = shape.poison ?? CANARY;
  arena.fill(CANARY, FRAME - 256, FRAME + FRAME_SIZE + 256);
  arena.fill(CANARY, OUT - 256, OUT + FRAME_SIZE + 256);
  arena.fill(poison, FRAME + F_HEADER, FRAME + F_FRAGS);
  arena.fill(0, FRAME + F_VNET, FRAME + F_HEADER);
  arena.set(shape.bytes.subarray(0, shape.header), FRAME + F_HEADER);
  const rest = shape.bytes.length - shape.header;
  const pieces = shape.pieces ?? (rest > 0 ? [rest] : []);
  view.setUint32(FRAME + F_LEN, shape.bytes.length, true);
  view.setUint32(FRAME + F_HDR_LEN, shape.header, true);
  view.setUint32(FRAME + F_NFRAGS, pieces.length, true);
  view.setUint32(FRAME + F_SRC, 7, true);
  view.setUint32(FRAME + F_VERDICT, 9, true);
  grants.clear();
  let from = shape.header;
  let to = BYTES;
  pieces.forEach((length, index) => {
    const fragment = FRAME + F_FRAGS + index * FRAG_SIZE;
    const bytes = shape.bytes.subarray(from, from + length);
    from += length;
    view.setUint16(fragment + G_LEN, length, true);
    if (shape.granted?.(index)) {
      const page = new Uint8Array(0x10000).fill(poison);
      const offset = 100 + index;
      page.set(bytes, offset);
      grants.set(1000 + index, page);
      view.setUint32(fragment + G_ADDR, 0, true);
      view.setUint32(fragment + G_GREF, 1000 + index, true);
      view.setUint16(fragment + G_OFF, offset, true);
      view.setUint16(fragment + G_DOM, 3, true);
    } else {
      arena.fill(poison, to, to + 3);
      to += 3; // every fragment at another alignment
      arena.set(bytes, to);
      view.setUint32(fragment + G_ADDR, to, true);
      to += length;
      arena.fill(poison, to, to + 16);
    }
  });
}

/** All bytes that a descriptor describes, in order. */
export function frameBytes(frame: number): Uint8Array {
  const header = view.getUint32(frame + F_HDR_LEN, true);
  const parts = [arena.slice(frame + F_HEADER, frame + F_HEADER + header)];
  for (let index = 0; index < view.getUint32(frame + F_NFRAGS, true); index++) {
    const fragment = frame + F_FRAGS + index * FRAG_SIZE;
    const length = view.getUint16(fragment + G_LEN, true);
    const addr = view.getUint32(fragment + G_ADDR, true);
    if (addr !== 0) {
      parts.push(arena.slice(addr, addr + length));
      continue;
    }
    const page = grants.get(view.getUint32(fragment + G_GREF, true))!;
    const offset = view.getUint16(fragment + G_OFF, true);
    parts.push(page.slice(offset, offset + length));
  }
  return new Uint8Array(Buffer.concat(parts));
}

export interface Vnet {
  flags: number;
  gsoType: number;
  hdrLen: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
}

export function setVnet(frame: number, vnet: Partial<Vnet>): void {
  view.setUint8(frame + V_FLAGS, vnet.flags ?? 0);
  view.setUint8(frame + V_GSO_TYPE, vnet.gsoType ?? 0);
  view.setUint16(frame + V_HDR_LEN, vnet.hdrLen ?? 0, true);
  view.setUint16(frame + V_GSO_SIZE, vnet.gsoSize ?? 0, true);
  view.setUint16(frame + V_CSUM_START, vnet.csumStart ?? 0, true);
  view.setUint16(frame + V_CSUM_OFFSET, vnet.csumOffset ?? 0, true);
}

export function getVnet(frame: number): Vnet {
  return {
    flags: view.getUint8(frame + V_FLAGS),
    gsoType: view.getUint8(frame + V_GSO_TYPE),
    hdrLen: view.getUint16(frame + V_HDR_LEN, true),
    gsoSize: view.getUint16(frame + V_GSO_SIZE, true),
    csumStart: view.getUint16(frame + V_CSUM_START, true),
    csumOffset: view.getUint16(frame + V_CSUM_OFFSET, true),
  };
}

/** The memory around and in a descriptor, except [from, to) of it: equal before and after, or written to. */
export function surroundings(frame: number, from: number, to: number): Buffer {
  const bytes = Buffer.from(arena.slice(frame - 256, frame + FRAME_SIZE + 256));
  return bytes.fill(0, 256 + from, 256 + to);
}

/** Seeded random numbers (mulberry32): `random(n)` is 0 … n - 1. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
