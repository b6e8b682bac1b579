/** Frames for the tests: plain ones with recognizable bytes, and TCP and UDP whose checksum is left blank. */

import { VNET_SIZE } from '../../assembly/layout.js';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_FLAGS,
  VNET_GSO_SIZE,
  VNET_GSO_TYPE,
  VNET_HDR_LEN,
} from '../../src/abi/virtio_net.js';
import { completed, pseudoHeader, referenceSum } from '../assembly/offload_reference.js';

export { macOf } from '../../src/lab/machine/machine.js';
export const BROADCAST = new Uint8Array(6).fill(0xff);

/** `length` bytes that differ at every place and from seed to seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A frame of `length` bytes (14 at least) of ethertype 0x88b5, local experiments. */
export function plainFrame(to: Uint8Array, from: Uint8Array, length: number, seed = length): Uint8Array {
  const bytes = pattern(length, seed);
  bytes.set(to, 0);
  bytes.set(from, 6);
  bytes.set([0x88, 0xb5], 12);
  return bytes;
}

export interface Transport {
  readonly family: 4 | 6;
  readonly proto: 6 | 17;
  readonly payload: number;
  /** An 802.1Q tag in front. */
  readonly vlan?: boolean;
  /** Payload bytes a segment; absent = no segmentation. */
  readonly gsoSize?: number;
  readonly seed?: number;
}

export interface BlankFrame {
  readonly bytes: Uint8Array;
  /** virtio_net_hdr that says what is left to do. */
  readonly vnet: Uint8Array;
  readonly l3: number;
  readonly l4: number;
  readonly proto: 6 | 17;
}

/** A TCP or UDP frame with the pseudo-header sum in its checksum field. */
export function blankFrame(to: Uint8Array, from: Uint8Array, shape: Transport): BlankFrame {
  const tag = shape.vlan ? [0x81, 0, 0, 7] : [];
  const l3 = 14 + tag.length;
  const l4 = l3 + (shape.family === 4 ? 20 : 40);
  const l4Length = (shape.proto === 6 ? 20 : 8) + shape.payload;
  const bytes = new Uint8Array(l4 + l4Length);
  const view = new DataView(bytes.buffer);
  bytes.set([...to, ...from, ...tag, ...(shape.family === 4 ? [0x08, 0x00] : [0x86, 0xdd])]);
  if (shape.family === 4) {
    bytes.set([0x45, 0, 0, 0, 0xab, 0xcd, 0x40, 0, 64, shape.proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], l3);
    view.setUint16(l3 + 2, l4 - l3 + l4Length);
    view.setUint16(l3 + 10, 0xffff - referenceSum(bytes.subarray(l3, l4)));
  } else {
    bytes.set([0x60, 0, 0, 0, 0, 0, shape.proto, 64, 0xfd], l3);
    bytes[l3 + 23] = 1;
    bytes[l3 + 24] = 0xfd;
    bytes[l3 + 39] = 2;
    view.setUint16(l3 + 4, l4Length);
  }
  if (shape.proto === 6) {
    bytes.set([0xc0, 0, 0x14, 0x51, 0xff, 0xff, 0xff, 0, 0, 0, 0x10, 0, 0x50, 0x19, 0x10, 0], l4);
  } else {
    bytes.set([0x00, 0x35, 0xc0, 0x01], l4);
    view.setUint16(l4 + 4, l4Length);
  }
  bytes.set(pattern(shape.payload, shape.seed ?? shape.payload), bytes.length - shape.payload);
  const field = shape.proto === 6 ? 16 : 6;
  view.setUint16(l4 + field, referenceSum(pseudoHeader(bytes, l3, l4, shape.proto)));
  const vnet = new Uint8Array(VNET_SIZE);
  const header = new DataView(vnet.buffer);
  const kind = shape.family === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  vnet[VNET_FLAGS] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  vnet[VNET_GSO_TYPE] = shape.gsoSize === undefined ? VIRTIO_NET_HDR_GSO_NONE : kind;
  header.setUint16(VNET_HDR_LEN, bytes.length - shape.payload, true);
  header.setUint16(VNET_GSO_SIZE, shape.gsoSize ?? 0, true);
  header.setUint16(VNET_CSUM_START, l4, true);
  header.setUint16(VNET_CSUM_OFFSET, field, true);
  return { bytes, vnet, l3, l4, proto: shape.proto };
}

/** What the frame looks like with its checksum whole. */
export function whole(frame: BlankFrame): Uint8Array {
  return completed(frame.bytes, frame.l3, frame.l4, frame.proto);
}
