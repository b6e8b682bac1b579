// The transmit half of netback, after the fact: requests answered, and private copies for receivers
// that cannot take grants.
import { NETIF_RSP_ERROR, NETIF_RSP_OKAY } from '../src/abi/netif';
import { DROP_BAD_GRANT, DROP_PORT_GONE } from './counters';
import { fragOf } from './frame';
import {
  BOUNCE_STRIDE,
  F_COOKIE,
  F_COOKIE2,
  F_NFRAGS,
  F_QUEUE,
  F_SETTLED,
  F_SLOT,
  F_VERDICT,
  FRAGS_MAX,
  FRAME_SIZE,
  G_ADDR,
  G_COOKIE,
  G_DOM,
  G_GREF,
  G_LEN,
  G_OFF,
  PAGE_SIZE,
  S_STATUS,
  S_TAG,
  VERDICT_DROP,
} from './layout';
import { count } from './memory';
import { answerExtra, txAnswer, txResponse } from './netback_show';
import { refuseTx } from './netback_tx';
import {
  NB_COUNTERS,
  NB_FENCED,
  NB_SEGS,
  NB_SEGS_MAX,
  NB_TX_CONS,
  NB_TX_DONE,
  NB_TX_RING,
} from './netif_layout';
import { armRequests } from './ring';
import { segAt, segFinish, segSource, segTarget } from './segment_list';

/** Refuses a frame later on, when its fragments turn out to be unreadable. */
export function netbackRefuse(frame: u32): void {
  if (load<u32>(frame + F_VERDICT) < <u32>VERDICT_DROP)
    refuseTx(load<u32>(load<u32>(frame + F_QUEUE) + NB_COUNTERS), frame, DROP_BAD_GRANT);
}

/**
 * Answers the settled ones of list[0 … n), each to its queue, one response a slot, extra-info slots included, and moves the descriptors
 * that still wait to the front, in order. Returns how many wait.
 */
export function netbackRelease(list: u32, n: u32, scratch: u32): u32 {
  let kept: u32 = 0;
  let freed: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (!load<u32>(frame + F_SETTLED)) {
      store<u32>(list + (kept++ << 2), frame);
      continue;
    }
    store<u32>(scratch + (freed++ << 2), frame);
    const nb = load<u32>(frame + F_QUEUE);
    const failed = load<u32>(frame + F_COOKIE) != 0;
    // A grant that turned out bad when a receiver's copy was made (netbackCommit) is this guest's fault.
    if (failed && load<u32>(frame + F_VERDICT) < <u32>VERDICT_DROP) {
      count(load<u32>(nb + NB_COUNTERS), DROP_BAD_GRANT, 1);
    }
    const status = failed ? NETIF_RSP_ERROR : NETIF_RSP_OKAY;
    const slots = load<u32>(frame + F_NFRAGS);
    const extras = load<u32>(frame + F_COOKIE2);
    let slot = load<u32>(frame + F_SLOT);
    store<u32>(txAnswer(nb, slot++), txResponse(load<u16>(fragOf(frame, 0), G_COOKIE), status));
    for (let e: u32 = 0; e < extras; e++) answerExtra(nb, slot++);
    for (let s: u32 = 1; s < slots; s++) {
      store<u32>(txAnswer(nb, slot++), txResponse(load<u16>(fragOf(frame, s), G_COOKIE), status));
    }
    store<u32>(nb + NB_TX_DONE, load<u32>(nb + NB_TX_DONE) + slots + extras);
  }
  for (let i: u32 = 0; i < freed; i++) store<u32>(list + ((kept + i) << 2), load<u32>(scratch + (i << 2)));
  return kept;
}

/** Before sleeping: asks for an event at the next TX request. True when there is one already. */
export function netbackArmTx(nb: u32): bool {
  if (load<u32>(nb + NB_FENCED)) return false;
  return armRequests(load<u32>(nb + NB_TX_RING), load<u32>(nb + NB_TX_CONS));
}

/** Settles the frames of a port that goes away, without answering them; they are counted. */
export function settleAll(counters: u32, list: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    store<u32>(frame + F_SETTLED, 1);
    count(counters, DROP_PORT_GONE, 1);
  }
}

/**
 * Segments that bring the rest of the pending frames of list[0 … n) into private memory, for receivers that
 * cannot take grants: frame number k of the port (its place behind `frames`) uses `bounce` + k × BOUNCE_STRIDE, a page
 * a fragment, in which the bytes lie as in the guest's page: so a copy never crosses pages, and Xen does each in one go.
 * Starts at index `from`; returns the next index in the low half and the number of segments in the high half.
 */
export function netbackBounce(nb: u32, list: u32, from: u32, n: u32, frames: u32, bounce: u32): u32 {
  const segs = load<u32>(nb + NB_SEGS);
  const segsMax = load<u32>(nb + NB_SEGS_MAX);
  let nsegs: u32 = 0;
  let i = from;
  for (; i < n && nsegs + <u32>FRAGS_MAX <= segsMax; i++) {
    const frame = load<u32>(list + (i << 2));
    // Not by F_SETTLED: a group frame that went to one receiver has others to go to.
    if (load<u32>(frame + F_VERDICT) >= <u32>VERDICT_DROP) continue;
    const to = bounce + ((frame - frames) / FRAME_SIZE) * BOUNCE_STRIDE;
    const frags = load<u32>(frame + F_NFRAGS);
    for (let k: u32 = 0; k < frags; k++) {
      const frag = fragOf(frame, k);
      const length = <u32>load<u16>(frag, G_LEN);
      if (length == 0 || load<u32>(frag, G_ADDR) != 0) continue;
      const at = to + k * PAGE_SIZE + load<u16>(frag, G_OFF);
      const seg = segAt(segs, nsegs++);
      segSource(seg, 0, load<u32>(frag, G_GREF), load<u16>(frag, G_OFF), load<u16>(frag, G_DOM));
      segTarget(seg, at, 0, 0, 0);
      segFinish(seg, length, frame);
      store<u32>(frag, at, G_ADDR);
    }
  }
  return i | (nsegs << 16);
}

/** After that move: refuses the frames of failed segments. */
export function netbackBounced(nb: u32, nsegs: u32): void {
  const segs = load<u32>(nb + NB_SEGS);
  for (let i: u32 = 0; i < nsegs; i++) {
    const seg = segAt(segs, i);
    if (load<i16>(seg, S_STATUS) != 0) netbackRefuse(load<u32>(seg, S_TAG));
  }
}
