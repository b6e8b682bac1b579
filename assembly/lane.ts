// The direct lane: a plain frame from one vif to another, both of whose pages are at hand, goes from page to page with
// no descriptor and no list in between. At hand is a page that a mapping cache holds (transfer "persistent"), or one
// that lies in the hypervisor's view of its domain (transfer "grant-copy": check, mark, copy, unmark). It takes frames from the head of the sender's ring for as long as
// they are of that kind. The first one that is not stays where it is, for the general path (netback_tx, forward,
// netback_rx), which knows every case and says why it refuses one.
//
// Trust is as there: each slot is read once (XSA-155); what was looked at (the addresses; all headers, where a checksum
// has to be found) is delivered out of private memory, never read again; a grant is compared with its entry, or marked
// in it, on each use; no byte is written beyond a frame's own.
import {
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  TXREQ_SIZE,
} from '../src/abi/netif';
import { NETIF_RING_SIZE } from '../src/abi/ring';
import { cacheTable, mappedPage } from './cache';
import { CT_ALGORITHM, CT_HEADROOM } from './control_layout';
import {
  C_CACHE_HITS,
  C_COPIED_BYTES,
  C_COPIES,
  C_IN_BYTES,
  C_IN_FRAMES,
  C_OUT_BYTES,
  C_OUT_FRAMES,
} from './counters';
import { pinned, pinnedPage, unpin } from './domains';
import { queueAt, queueOf } from './flow';
import { KEY_MASK, KEY_VALID, macLookup, portOf } from './forward';
import { FWD_SCRATCH, FWD_SHOWN, PORT_DIRECT, PORT_LAST, PORT_MAC } from './forward_layout';
import { CACHE_GRANTS, CACHE_TABLE, CACHE_TICK, DOM_TABLE, DOM_VIEW } from './grant_layout';
import { aheadOfFrames, aheadOfPosted, isFar } from './lane_ahead';
import { BURST, F_HDR_LEN, F_HEADER, F_LEN, PAGE_SIZE, V_GSO_TYPE } from './layout';
import { copyBytes, count } from './memory';
import { available } from './netback_room';
import {
  FE_CSUM4,
  FE_CSUM6,
  HEADER_FETCH,
  NB_CACHE,
  NB_CONTROL,
  NB_COUNTERS,
  NB_DOMAIN,
  NB_FEATURES,
  NB_FENCED,
  NB_FULL_SINCE,
  NB_RX_ANSWERS,
  NB_RX_CONS,
  NB_RX_RING,
  NB_RX_RSP,
  NB_SET,
  NB_STALLED,
  NB_TX_CONS,
  NB_TX_DONE,
  NB_TX_PASSED,
  NB_TX_PUBLISHED,
  NB_TX_RING,
  SET_COUNT,
  SET_TURN,
} from './netif_layout';
import { offloadCsumFamily, offloadFromBlank } from './offload';
import { RING_MASK, reqProd, rxEntry, txEntry } from './ring';

/**
 * Bytes after which a turn ends: those of a burst of full frames. Of small ones a turn takes as many as a ring holds: with
 * many busy ports it costs more to come to a port than to take its frames.
 */
const TURN_BYTES: u32 = BURST * 1500;
/** Bytes moved in this turn. */
let taken: u32 = 0;

/** Frames of all vifs since this one's last turn. */
let since: u32 = 0;
/** TX request up to which frames were read ahead. */
let readAhead: u32 = 0;

/** A frame shorter than the register its addresses are read into is left to the general path. */
const HEAD: u32 = 16;

/**
 * Moves frames from the head of a port's TX rings straight to other vifs. `nb`: its state; `others`: frames
 * that were moved since its last turn, of all ports. Only for a port of which no frame
 * is in flight. Returns how many were moved, at most `max`; their responses are made, not yet shown, and the list at FWD_SHOWN has who
 * received some.
 */
export function laneRun(fwd: u32, port: u32, nb: u32, max: u32, others: u32): u32 {
  taken = 0;
  since = others;
  store<u32>(load<u32>(fwd + FWD_SHOWN), 0);
  const set = load<u32>(nb + NB_SET);
  if (set == 0) return laneQueue(fwd, port, nb, max);
  // Its queues in turn, each time another one first.
  const queues = load<u32>(set + SET_COUNT);
  let turn = load<u32>(set + SET_TURN);
  store<u32>(set + SET_TURN, turn + 1 < queues ? turn + 1 : 0);
  let moved: u32 = 0;
  for (let i: u32 = 0; i < queues && moved < max && taken < TURN_BYTES; i++) {
    moved += laneQueue(fwd, port, queueAt(set, turn), max - moved);
    turn = turn + 1 < queues ? turn + 1 : 0;
  }
  return moved;
}

/** The same of one queue. */
function laneQueue(fwd: u32, port: u32, nb: u32, max: u32): u32 {
  if (load<u32>(nb + NB_FENCED)) return 0;
  const first = load<u32>(nb + NB_TX_CONS);
  if (first != load<u32>(nb + NB_TX_PUBLISHED)) return 0;
  const queued = reqProd(load<u32>(nb + NB_TX_RING)) - first;
  if (queued > <u32>NETIF_RING_SIZE) return 0; // XSA-39: the general path ends the dialogue
  const end = first + min(queued, max);
  let cons = first;
  readAhead = first;
  while (cons != end && taken < TURN_BYTES) {
    const next = laneTo(fwd, port, nb, cons, cons + min(end - cons, <u32>BURST));
    if (next == cons) break;
    cons = next;
  }
  store<u32>(nb + NB_TX_CONS, cons);
  store<u32>(nb + NB_TX_DONE, cons - first);
  store<u16>(nb + NB_TX_PASSED, <u16>(cons - first));
  return cons - first;
}

/**
 * Moves the frames from `cons` on that go to the same receiver as the first, where they all go to the same queue.
 * Returns the index behind them.
 */
function laneTo(fwd: u32, port: u32, nb: u32, cons: u32, end: u32): u32 {
  const from = portOf(fwd, port);
  const ring = load<u32>(nb + NB_TX_RING);
  const cache = load<u32>(nb + NB_CACHE);
  const domain = cache == 0 ? viewedDomain(nb) : 0;
  const table = cache == 0 ? 0 : cacheTable(cache);
  if (table == 0 && domain == 0) return cons;
  const grants: u32 = table == 0 ? 0 : load<u32>(cache + CACHE_GRANTS);
  const known: u32 = table == 0 ? 0 : load<u32>(cache + CACHE_TABLE);
  const tick: u32 = table == 0 ? 0 : load<u32>(cache + CACHE_TICK);

  const far = isFar(table, known, grants, txEntry(ring, cons), tick, since);
  if (far && cons == readAhead) readAhead = aheadOfFrames(fwd, ring, cons, end, known, grants, domain);

  // Whom the first frame is for. It is read again below, and goes there only if it still says so.
  const peek = txEntry(ring, cons);
  const word = load<u64>(peek);
  const place = <u32>(word >> 32) & 0xffff;
  if (place + HEAD > <u32>PAGE_SIZE) return cons;
  const page =
    domain == 0
      ? mappedPage(table, known, grants, <u32>word, false, tick)
      : pinnedPage(domain, <u32>word, false);
  if (page == 0) return cons;
  const to = (load<u64>(page + place) & KEY_MASK) | KEY_VALID;
  const target = to & 1 ? 0 : macLookup(fwd, to); // a group is no port's
  const scratch = load<u32>(fwd + FWD_SCRATCH);
  let other = target == 0 ? 0 : load<u32>(portOf(fwd, target), PORT_DIRECT);
  const set = other == 0 ? 0 : load<u32>(other + NB_SET);
  if (set != 0) {
    const size = <u32>load<u16>(peek, TXREQ_SIZE);
    if (size < HEAD || place + size > <u32>PAGE_SIZE) other = 0;
    else {
      takeHeader(scratch, page + place, size);
      other = queueAt(set, queueOf(set, scratch));
    }
  }
  if (domain != 0) unpin(domain, <u32>word, pinned());
  if (target == port) return cons;
  if (other == 0 || load<u32>(other + NB_STALLED) || load<u32>(other + NB_FULL_SINCE)) return cons;
  if (load<u32>(other + NB_FENCED)) return cons;
  const control = load<u32>(other + NB_CONTROL);
  if (load<u32>(control + CT_ALGORITHM) || load<u32>(control + CT_HEADROOM)) return cons; // its frames carry extra infos

  const toRing = load<u32>(other + NB_RX_RING);
  const toCache = load<u32>(other + NB_CACHE);
  const toDomain = toCache == 0 ? viewedDomain(other) : 0;
  const toTable = toCache == 0 ? 0 : cacheTable(toCache);
  if (toTable == 0 && toDomain == 0) return cons;
  const toGrants: u32 = toTable == 0 ? 0 : load<u32>(toCache + CACHE_GRANTS);
  const toKnown: u32 = toTable == 0 ? 0 : load<u32>(toCache + CACHE_TABLE);
  const toTick: u32 = toTable == 0 ? 0 : load<u32>(toCache + CACHE_TICK);
  const begin = load<u32>(other + NB_RX_CONS);
  if (begin != load<u32>(other + NB_RX_RSP)) return cons;
  const room = available(other);
  if (load<u32>(other + NB_FENCED)) toBeShown(fwd, other); // it lied about its room: the engine hears of it
  // The next one may be of another flow. (A guest that changes one meanwhile changes the order of its own frames.)
  const most = set == 0 ? end - cons : 1;
  const last = begin + min(room, most);
  const sender = load<u64>(from, PORT_MAC);

  const toAnswers = load<u32>(other + NB_RX_ANSWERS);
  let slot = begin;
  let postedAhead = begin;
  let bytes: u64 = 0;
  // Marks on the grants of the frame at hand, and whose they are.
  let marks: u32 = 0;
  let toMarks: u32 = 0;
  let gref: u32 = 0;
  let toGref: u32 = 0;
  while (slot != last) {
    if (far) {
      if (cons == readAhead) readAhead = aheadOfFrames(fwd, ring, cons, end, known, grants, domain);
      if (slot == postedAhead)
        postedAhead = aheadOfPosted(fwd, toRing, slot, last, toKnown, toGrants, toDomain);
    }
    const request = txEntry(ring, cons);
    const where = load<u64>(request); // u32 gref, u16 offset, u16 flags: once
    const size = <u32>load<u16>(request, TXREQ_SIZE); // once; of the id nothing depends but the answer
    const flags = <u32>(where >> 48);
    const offset = <u32>(where >> 32) & 0xffff;
    if (flags & ~(<u32>(NETTXF_csum_blank | NETTXF_data_validated))) break;
    if (size < HEAD || offset + size > <u32>PAGE_SIZE) break;
    gref = <u32>where;
    let source: u32;
    if (domain == 0) source = mappedPage(table, known, grants, gref, false, tick);
    else {
      source = pinnedPage(domain, gref, false);
      if (source != 0) marks = pinned();
    }
    if (source == 0) break;
    const posted = rxEntry(toRing, slot);
    const buffer = load<u64>(posted); // u16 id, u16 pad, u32 gref: once
    toGref = <u32>(buffer >> 32);
    let destination: u32;
    if (toDomain == 0) destination = mappedPage(toTable, toKnown, toGrants, toGref, true, toTick);
    else {
      destination = pinnedPage(toDomain, toGref, true);
      if (destination != 0) toMarks = pinned();
    }
    if (destination == 0) break;

    const address = source + offset;
    const head = v128.load(address);
    const low = i64x2.extract_lane(head, 0);
    if (((low & KEY_MASK) | KEY_VALID) != to) break;
    const source48 = (<u64>low >> 48) | ((i64x2.extract_lane(head, 1) & 0xffffffff) << 16);
    if ((source48 | KEY_VALID) != sender) break; // spoofed, or of a port with several addresses
    let given: u32 = HEAD;
    let rxFlags: u32 = flags & NETTXF_data_validated ? NETRXF_data_validated : 0;
    if (flags & NETTXF_csum_blank) {
      given = takeHeader(scratch, address, size);
      v128.store(scratch + F_HEADER, head); // as it was looked at
      if (!blankFits(scratch, load<u32>(other + NB_FEATURES))) break;
      copyBytes(destination, scratch + F_HEADER, given);
      rxFlags = NETRXF_csum_blank | NETRXF_data_validated;
    } else {
      v128.store(destination, head);
    }
    if (size != given) copyBytes(destination + given, address + given, size - given);
    if (marks != 0) unpin(domain, gref, marks);
    if (toMarks != 0) unpin(toDomain, toGref, toMarks);
    marks = 0;
    toMarks = 0;
    // struct netif_rx_response: u16 id, u16 offset 0, u16 flags, s16 bytes. No octet keeps what was there (XSA-216).
    store<u64>(
      toAnswers + ((slot & RING_MASK) << 3),
      (buffer & 0xffff) | ((<u64>rxFlags) << 32) | ((<u64>size) << 48),
    );
    bytes += size;
    cons++;
    slot++;
  }

  if (marks != 0) unpin(domain, gref, marks);
  if (toMarks != 0) unpin(toDomain, toGref, toMarks);

  const frames: u64 = slot - begin;
  if (frames == 0) return cons;
  taken += <u32>bytes;
  toBeShown(fwd, other);
  store<u32>(from, target, PORT_LAST);
  store<u32>(other + NB_RX_CONS, slot);
  store<u32>(other + NB_RX_RSP, slot);
  const counters = load<u32>(nb + NB_COUNTERS);
  count(counters, C_IN_FRAMES, frames);
  count(counters, C_IN_BYTES, bytes);
  if (domain == 0) count(counters, C_CACHE_HITS, frames);
  const theirs = load<u32>(other + NB_COUNTERS);
  count(theirs, C_OUT_FRAMES, frames);
  count(theirs, C_OUT_BYTES, bytes);
  count(theirs, C_COPIES, frames);
  count(theirs, C_COPIED_BYTES, bytes);
  if (toDomain == 0) count(theirs, C_CACHE_HITS, frames);
  return cons;
}

/** A queue has something new to show to its guest. */
function toBeShown(fwd: u32, nb: u32): void {
  const shown = load<u32>(fwd + FWD_SHOWN);
  const n = load<u32>(shown);
  if (n != 0 && load<u32>(shown + (n << 2)) == nb) return;
  store<u32>(shown, n + 1);
  store<u32>(shown + 4 + (n << 2), nb);
}

/** The record of a vif's domain, when the hypervisor has a view of it; else 0. */
function viewedDomain(nb: u32): u32 {
  const dom = load<u32>(nb + NB_DOMAIN);
  return dom == 0 || load<u32>(dom, DOM_TABLE) == 0 || load<u32>(dom, DOM_VIEW) == 0 ? 0 : dom;
}

/** Copies the first bytes of a frame into the descriptor that is nobody's. Returns how many. */
function takeHeader(scratch: u32, address: u32, size: u32): u32 {
  const given = min(size, <u32>HEADER_FETCH);
  copyBytes(scratch + F_HEADER, address, given);
  store<u32>(scratch + F_LEN, size);
  store<u32>(scratch + F_HDR_LEN, given);
  store<u8>(scratch, 0, V_GSO_TYPE);
  return given;
}

/** Is the blank checksum of the frame whose first bytes are in `scratch` sound, and can the receiver take it? */
function blankFits(scratch: u32, features: u32): bool {
  if (offloadFromBlank(scratch) != 0) return false;
  const family = offloadCsumFamily(scratch);
  return (family == 4 && (features & FE_CSUM4) != 0) || (family == 6 && (features & FE_CSUM6) != 0);
}
