// The Toeplitz hash of netif.h ("Hash algorithms"): for each bit of the input that is 1, the 32 bits of the key that
// begin at that bit's place are XORed into the result.
//
// The hash is linear, so what four bits add to it can be looked up: a table of 16 words for each half octet, made
// when the key is set, takes 24 look-ups for IPv4 with TCP in place of 96 shifts.

import { IPPROTO_TCP } from '../src/abi/inet';
import {
  XEN_NETIF_CTRL_HASH_TYPE_IPV4,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
} from '../src/abi/netif_ctrl';
import { CT_HASH_FLAGS, CT_KEY, CT_TOEPLITZ, HASH_INPUT_MAX } from './control_layout';
import { family, l3, l4, parseHeaders, proto, vlanTags } from './headers';
import { F_HEADER } from './layout';

const IPV4_ADDRESSES: u32 = 12;
const IPV6_ADDRESSES: u32 = 8;

/** Makes the table of the key at CT_KEY. */
export function toeplitzPrepare(control: u32): void {
  const key = control + CT_KEY;
  const table = control + CT_TOEPLITZ;
  for (let half: u32 = 0; half < <u32>HASH_INPUT_MAX * 2; half++) {
    for (let value: u32 = 0; value < 16; value++) {
      let sum: u32 = 0;
      for (let bit: u32 = 0; bit < 4; bit++) {
        if (value & (8 >> bit)) sum ^= keyBits(key, half * 4 + bit);
      }
      store<u32>(table + ((half * 16 + value) << 2), sum);
    }
  }
}

/** 32 bits of the key from bit `first` on, the leftmost bit being bit 0. */
function keyBits(key: u32, first: u32): u32 {
  const at = key + (first >> 3);
  const high = bswap<u32>(load<u32>(at));
  const shift = first & 7;
  return shift == 0 ? high : (high << shift) | (<u32>load<u8>(at, 4) >> (8 - shift));
}

/** What `length` octets at `data` add to the hash when they stand at octet `position` of the input. */
export function toeplitz(control: u32, data: u32, length: u32, position: u32): u32 {
  let row = control + CT_TOEPLITZ + position * 128;
  let sum: u32 = 0;
  for (let i: u32 = 0; i < length; i++) {
    const octet = <u32>load<u8>(data + i);
    sum ^= load<u32>(row + ((octet >> 4) << 2)) ^ load<u32>(row + 64 + ((octet & 15) << 2));
    row += 128;
  }
  return sum;
}

/** The hash that `hashFrame` found. */
export let hashValue: u32 = 0;

/**
 * Hashes a frame as its receiver asked for: the fullest of the types it set. Returns the type's number + 1, or 0 when
 * none fits: then the frame goes without a hash. Linux (xenvif_set_skb_hash) hashes no frame with a VLAN tag either.
 * (Linux does this when it chooses a queue, and so not at all for a vif with one queue; netif.h knows no such gap.)
 */
export function hashFrame(control: u32, frame: u32): u32 {
  parseHeaders(frame); // whatever it says of the headers behind IP, an IP header that is there can be hashed
  if (vlanTags != 0 || family == 0) return 0;
  const flags = load<u32>(control + CT_HASH_FLAGS);
  const v4 = family == 4;
  const tcp = <u32>(v4 ? XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP : XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);
  const ip = <u32>(v4 ? XEN_NETIF_CTRL_HASH_TYPE_IPV4 : XEN_NETIF_CTRL_HASH_TYPE_IPV6);
  const withPorts = proto == IPPROTO_TCP && (flags & tcp) != 0;
  if (!withPorts && !(flags & ip)) return 0;
  const header = frame + F_HEADER;
  const length: u32 = v4 ? 8 : 32;
  let sum = toeplitz(control, header + l3 + (v4 ? IPV4_ADDRESSES : IPV6_ADDRESSES), length, 0);
  if (withPorts) sum ^= toeplitz(control, header + l4, 4, length);
  hashValue = sum;
  return ctz<u32>(withPorts ? tcp : ip) + 1;
}
