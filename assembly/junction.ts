// Frames from one datapath thread to another: one thread copies them into a ring (push, publish), the other takes them out
// as frames of its own (pull, release). The words that both look at are atomic; each sleeps only after it has said
// so and looked once more.
import {
  C_IN_BYTES,
  C_IN_FRAMES,
  C_IN_GSO,
  C_OUT_BYTES,
  C_OUT_FRAMES,
  C_OUT_GSO,
  C_OUT_WAITS,
  DROP_OVERSIZE,
  DROP_RX_FULL,
} from './counters';
import { fragOf, frameClear, frameFromLinear, frameLinearize } from './frame';
import {
  ENTRY_ALIGN,
  ENTRY_BYTES,
  ENTRY_LENGTH,
  ENTRY_VNET,
  J_ARMED,
  J_CONSUMED,
  J_LAID,
  J_PRODUCED,
  J_PULLED,
  J_RING,
  J_SEEN,
  J_SEEN_FOR,
  J_STARVED,
  JUNCTION_BYTES,
  SEVERAL,
} from './junction_layout';
import {
  F_COOKIE2,
  F_HDR_LEN,
  F_HEADER,
  F_NFRAGS,
  F_SETTLED,
  F_SINCE,
  F_VERDICT,
  F_VNET,
  G_LEN,
  V_GSO_TYPE,
  VERDICT_DROP,
  VERDICT_GROUP,
} from './layout';
import { count } from './memory';
import { dropGroups } from './netback_room';
import { HEADER_FETCH } from './netif_layout';

const PLACE: u32 = JUNCTION_BYTES - 1;
/** A fragment's length has 16 bits. */
const LENGTH_MOST: u32 = 65535;

function entrySize(length: u32): u32 {
  return (ENTRY_BYTES + length + ENTRY_ALIGN - 1) & ~(ENTRY_ALIGN - 1);
}

function lengthOf(frame: u32): u32 {
  let length = load<u32>(frame + F_HDR_LEN);
  const n = load<u32>(frame + F_NFRAGS);
  for (let i: u32 = 0; i < n; i++) length += <u32>load<u16>(fragOf(frame, i), G_LEN);
  return length;
}

/** A receiver's name: what tells one guest's MAC from another's, of the frame whose first byte lies at `bytes`. Never 0, nor SEVERAL. */
function nameAt(bytes: u32): u32 {
  return load<u32>(bytes + 2) | 1;
}

/** Frames of list[from … n) wait for room: their receivers are noted, for those who make some. */
function starve(junction: u32, list: u32, from: u32, n: u32): void {
  let whose = atomic.load<u32>(junction + J_STARVED);
  for (let i = from; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_VERDICT) >= <u32>VERDICT_GROUP) continue;
    const name = nameAt(frame + F_HEADER);
    whose = whose == 0 || whose == name ? name : SEVERAL;
  }
  if (whose != 0) atomic.store<u32>(junction + J_STARVED, whose);
}

/**
 * Copies list[0 … n), all of whose bytes are readable here, until the ring is full: what is copied is settled, and the rest
 * waits, group frames excepted. Shown by junctionPublish. `now`: a wrapping clock in ms, never 0.
 */
export function junctionPush(junction: u32, counters: u32, list: u32, n: u32, now: u32): void {
  const ring = junction + J_RING;
  let consumed = atomic.load<u32>(junction + J_CONSUMED);
  let at = load<u32>(junction, J_LAID);
  let frames: u32 = 0;
  let bytes: u64 = 0;
  let gso: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_VERDICT) >= <u32>VERDICT_DROP) continue; // refused since it was dispatched
    const length = lengthOf(frame);
    if (length > LENGTH_MOST) {
      store<u32>(frame + F_SETTLED, 1);
      count(counters, DROP_OVERSIZE, 1);
      continue;
    }
    const left: u32 = JUNCTION_BYTES - (at & PLACE);
    const size = entrySize(length);
    const skipped: u32 = left < size ? left : 0;
    const end = at + skipped + size;
    if (end - consumed > <u32>JUNCTION_BYTES) {
      starve(junction, list, i, n);
      consumed = atomic.load<u32>(junction + J_CONSUMED);
    }
    if (end - consumed > <u32>JUNCTION_BYTES) {
      if (load<u32>(frame + F_VERDICT) == <u32>VERDICT_GROUP) {
        count(counters, DROP_RX_FULL, 1);
        continue;
      }
      if (load<u32>(frame + F_SINCE) == 0) {
        store<u32>(frame + F_SINCE, now);
        count(counters, C_OUT_WAITS, 1);
      }
      dropGroups(counters, list, i + 1, n);
      break;
    }
    if (skipped != 0) store<u32>(ring + (at & PLACE), 0, ENTRY_LENGTH);
    const entry = ring + ((at + skipped) & PLACE);
    store<u32>(entry, length, ENTRY_LENGTH);
    store<u32>(entry, load<u32>(frame, F_VNET), ENTRY_VNET);
    store<u64>(entry, load<u64>(frame, F_VNET + 4), ENTRY_VNET + 4);
    frameLinearize(frame, entry + ENTRY_BYTES);
    store<u32>(frame + F_SETTLED, 1);
    at = end;
    frames++;
    bytes += length;
    if (load<u8>(frame, V_GSO_TYPE) != 0) gso++;
  }
  store<u32>(junction, at, J_LAID);
  if (frames == 0) return;
  count(counters, C_OUT_FRAMES, frames);
  count(counters, C_OUT_BYTES, bytes);
  if (gso != 0) count(counters, C_OUT_GSO, gso);
}

/** Shows what was pushed. True when the consumer has to be woken. */
export function junctionPublish(junction: u32): bool {
  const laid = load<u32>(junction, J_LAID);
  if (atomic.load<u32>(junction + J_PRODUCED) == laid) return false;
  atomic.store<u32>(junction + J_PRODUCED, laid);
  return atomic.load<u32>(junction + J_ARMED) != 0 && atomic.xchg<u32>(junction + J_ARMED, 0) != 0;
}

/** Reads at most `max` frames into the descriptors at `list`, as port `port`'s; returns how many. Their bytes stay in the ring. */
export function junctionPull(junction: u32, port: u32, counters: u32, list: u32, max: u32): u32 {
  const produced = atomic.load<u32>(junction + J_PRODUCED);
  let at = load<u32>(junction, J_PULLED);
  let n: u32 = 0;
  let bytes: u64 = 0;
  let gso: u32 = 0;
  while (n < max && at != produced) {
    const entry = junction + J_RING + (at & PLACE);
    const length = load<u32>(entry, ENTRY_LENGTH);
    if (length == 0) {
      at += JUNCTION_BYTES - (at & PLACE);
      continue;
    }
    const frame = load<u32>(list + (n << 2));
    frameClear(frame, port);
    store<u32>(frame, load<u32>(entry, ENTRY_VNET), F_VNET);
    store<u64>(frame, load<u64>(entry, ENTRY_VNET + 4), F_VNET + 4);
    frameFromLinear(frame, entry + ENTRY_BYTES, length, HEADER_FETCH);
    store<u32>(frame, at, F_COOKIE2); // F_COOKIE stays 0: there is no buffer that a netfront could take over
    if (load<u8>(frame, V_GSO_TYPE) != 0) gso++;
    bytes += length;
    at += entrySize(length);
    n++;
  }
  store<u32>(junction, at, J_PULLED);
  if (n == 0) return 0;
  count(counters, C_IN_FRAMES, n);
  count(counters, C_IN_BYTES, bytes);
  if (gso != 0) count(counters, C_IN_GSO, gso);
  return n;
}

/**
 * Gives back the settled ones of the `n` frames in flight; returns how many wait, now in front of the list. The ring's bytes are
 * free up to the oldest of those.
 */
export function junctionRelease(junction: u32, list: u32, n: u32): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    store<u32>(list + (i << 2), load<u32>(list + (kept << 2)));
    store<u32>(list + (kept << 2), frame);
    kept++;
  }
  const oldest = kept == 0 ? load<u32>(junction, J_PULLED) : load<u32>(load<u32>(list), F_COOKIE2);
  atomic.store<u32>(junction + J_CONSUMED, oldest);
  return kept;
}

/** True while the producer waits for room. */
export function junctionCramped(junction: u32): bool {
  return atomic.load<u32>(junction + J_STARVED) != 0;
}

/**
 * Do the frames list[0 … n), which wait, hold up any for others? The port that most of them are for if so, else 0: what is
 * behind them, in the ring and on the other thread, is for that one, too. Unread bytes are looked through once.
 */
export function junctionCrowder(junction: u32, list: u32, n: u32): u32 {
  const frame = ofMost(list, n);
  const name = nameAt(frame + F_HEADER);
  const starved = atomic.load<u32>(junction + J_STARVED);
  const port = load<u32>(frame + F_VERDICT);
  if (starved != 0 && starved != name) return port;
  const produced = atomic.load<u32>(junction + J_PRODUCED);
  let at = load<u32>(junction, J_PULLED);
  const seen = load<u32>(junction, J_SEEN);
  if (load<u32>(junction, J_SEEN_FOR) == name && seen - at <= produced - at) at = seen;
  while (at != produced) {
    const entry = junction + J_RING + (at & PLACE);
    const length = load<u32>(entry, ENTRY_LENGTH);
    if (length != 0 && nameAt(entry + ENTRY_BYTES) != name) return port;
    at += length == 0 ? JUNCTION_BYTES - (at & PLACE) : entrySize(length);
  }
  store<u32>(junction, at, J_SEEN);
  store<u32>(junction, name, J_SEEN_FOR);
  return 0;
}

/** One of those frames of list[0 … n) whose receiver has most of them. */
function ofMost(list: u32, n: u32): u32 {
  let found = load<u32>(list);
  let most: u32 = 0;
  for (let i: u32 = 0; i < n && n - i > most; i++) {
    const frame = load<u32>(list + (i << 2));
    const port = load<u32>(frame + F_VERDICT);
    let same: u32 = 0;
    for (let k = i; k < n; k++) if (load<u32>(load<u32>(list + (k << 2)) + F_VERDICT) == port) same++;
    if (same <= most) continue;
    most = same;
    found = frame;
  }
  return found;
}

/** True when the producer waits for room, and there is much again: it has to be woken. */
export function junctionRelieved(junction: u32): bool {
  if (atomic.load<u32>(junction + J_STARVED) == 0) return false;
  const used = atomic.load<u32>(junction + J_PRODUCED) - load<u32>(junction, J_CONSUMED);
  return used <= <u32>(JUNCTION_BYTES / 2) && atomic.xchg<u32>(junction + J_STARVED, 0) != 0;
}

/** Before its consumer sleeps: asks to be woken. True when there is something already. */
export function junctionArm(junction: u32): bool {
  atomic.store<u32>(junction + J_ARMED, 1);
  if (atomic.load<u32>(junction + J_PRODUCED) == load<u32>(junction, J_PULLED)) return false;
  atomic.store<u32>(junction + J_ARMED, 0);
  return true;
}
