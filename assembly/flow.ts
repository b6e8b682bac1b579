// Which queue of a vif a frame goes to: always the same for the frames of one flow, so that they stay in order.
import { CT_ALGORITHM, CT_MAPPING, CT_MAPPING_SIZE } from './control_layout';
import { KEY_MASK } from './forward';
import { family, l3, l4, parseHeaders, proto } from './headers';
import { BURST, F_HEADER } from './layout';
import { SET_CONTROL, SET_COUNT, SET_LIST_SIZE, SET_LISTS, SET_QUEUES } from './netif_layout';
import { hashFrame, hashValue } from './toeplitz';

const IPV4_ADDRESSES: u32 = 12;
const IPV6_ADDRESSES: u32 = 8;
const GOLDEN: u64 = 0x9e3779b97f4a7c15;

/** Both of the sum and the difference of two ends, whichever comes first: no other pair has the same. */
function pair(a: u32, b: u32): u64 {
  return <u64>(a ^ b) | ((<u64>(a + b)) << 32);
}

function mix(sum: u64, more: u64): u64 {
  const product = (sum ^ more) * GOLDEN;
  return product ^ (product >> 29);
}

/**
 * A hash of the frame's two ends and its protocol, the same in both directions: IP addresses, ports where TCP or UDP has
 * them, MACs of what is not IP. Fragments of one packet go by their addresses alone.
 */
export function flowHash(frame: u32): u32 {
  parseHeaders(frame);
  const header = frame + F_HEADER;
  let sum: u64 = proto;
  if (family == 4) {
    const at = header + l3 + IPV4_ADDRESSES;
    sum = mix(sum, pair(load<u32>(at), load<u32>(at, 4)));
  } else if (family == 6) {
    const at = header + l3 + IPV6_ADDRESSES;
    for (let i: u32 = 0; i < 16; i += 4) sum = mix(sum, pair(load<u32>(at + i), load<u32>(at + i, 16)));
  } else {
    const to = load<u64>(header) & KEY_MASK;
    const from = load<u64>(header, 6) & KEY_MASK;
    return <u32>(mix(to ^ from, to + from) >> 32);
  }
  if (proto != 0) sum = mix(sum, pair(load<u16>(header + l4), load<u16>(header + l4, 2)));
  return <u32>((sum * GOLDEN) >> 32);
}

/** The queue out of `count` that a hash falls to: each gets an equal share of all hashes. */
function share(hash: u32, count: u32): u32 {
  return <u32>((<u64>hash * count) >> 32);
}

/**
 * The number of the queue that receives a frame. By the hash and the mapping that the front end configured, as Linux
 * netback does (xenvif_select_queue; what its hash types do not cover has hash 0); else by the hash of the flow.
 */
export function queueOf(set: u32, frame: u32): u32 {
  const count = load<u32>(set + SET_COUNT);
  const control = load<u32>(set + SET_CONTROL);
  if (load<u32>(control + CT_ALGORITHM) == 0) return share(flowHash(frame), count);
  const hash: u32 = hashFrame(control, frame) != 0 ? hashValue : 0;
  const size = load<u32>(control + CT_MAPPING_SIZE);
  return size == 0 ? hash % count : load<u32>(control + CT_MAPPING + ((hash % size) << 2));
}

/** State of queue number `index`. */
export function queueAt(set: u32, index: u32): u32 {
  return load<u32>(set + SET_QUEUES + (index << 2));
}

/** Puts list[0 … n), at most BURST frames, on the lists of the queues that are to receive them, in order. */
export function netbackSteer(set: u32, list: u32, n: u32): void {
  const count = load<u32>(set + SET_COUNT);
  for (let q: u32 = 0; q < count; q++) store<u32>(set + SET_LISTS + q * SET_LIST_SIZE, 0);
  for (let i: u32 = 0; i < min(n, <u32>BURST); i++) {
    const frame = load<u32>(list + (i << 2));
    const queue = set + SET_LISTS + queueOf(set, frame) * SET_LIST_SIZE;
    const k = load<u32>(queue);
    store<u32>(queue + 4 + (k << 2), frame);
    store<u32>(queue, k + 1);
  }
}
