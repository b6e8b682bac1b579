// Room in a guest's receive ring: how much there is, who waits for it and how long, and what happens to the frames of a
// guest that does not drain (XSA-392).
import { NETIF_RING_SIZE } from '../src/abi/ring';
import { C_OUT_WAITS, DROP_RX_FULL, DROP_RX_STALLED, FENCE_RING_OVERFLOW } from './counters';
import { F_SETTLED, F_SINCE, F_VERDICT, VERDICT_GROUP } from './layout';
import { count } from './memory';
import {
  NB_COUNTERS,
  NB_FENCED,
  NB_FULL_AT,
  NB_FULL_SINCE,
  NB_PATIENCE,
  NB_RX_CONS,
  NB_RX_PUBLISHED,
  NB_RX_RING,
  NB_RX_WANTED,
  NB_STALLED,
  NB_STALLED_AT,
  PATIENCE_LEAST,
  PATIENCE_MOST,
  PROGRESS_SLOTS,
  UNSTALL_SLOTS,
} from './netif_layout';
import { armMoreRequests, reqProd } from './ring';

/** RX requests the guest has posted and we have not used. Fences a guest that claims more than the ring holds, or takes some back. */
export function available(nb: u32): u32 {
  const cons = load<u32>(nb + NB_RX_CONS);
  const free = reqProd(load<u32>(nb + NB_RX_RING)) - cons;
  if (free > <u32>NETIF_RING_SIZE - (cons - load<u32>(nb + NB_RX_PUBLISHED))) {
    if (!load<u32>(nb + NB_FENCED)) store<u32>(nb + NB_FENCED, FENCE_RING_OVERFLOW); // the first reason stays
    return 0;
  }
  return free;
}

/**
 * There is no room for `need` slots. True: the frame will not wait (a group frame, a stalled guest, or its
 * time is up) and is counted; false: it stays pending, and netbackArmRx asks for an event.
 */
export function netbackWait(nb: u32, frame: u32, need: u32, now: u32): bool {
  const counters = load<u32>(nb + NB_COUNTERS);
  if (load<u32>(frame + F_VERDICT) == VERDICT_GROUP) {
    count(counters, DROP_RX_FULL, 1);
    return true;
  }
  if (load<u32>(nb + NB_STALLED) || outOfPatience(nb, now)) {
    if (!load<u32>(nb + NB_STALLED)) stall(nb, now);
    dropRx(counters, frame, DROP_RX_STALLED);
    return true;
  }
  if (load<u32>(frame + F_SINCE) == 0) {
    store<u32>(frame + F_SINCE, now);
    count(counters, C_OUT_WAITS, 1);
  }
  store<u32>(nb + NB_RX_WANTED, need);
  return false;
}

/**
 * The clock is the receiver's: it runs from the first frame that found no room, and starts anew only when it has
 * shown slots enough meanwhile, or much room at once. A guest that trickles one slot at a time is stalled, too.
 */
function outOfPatience(nb: u32, now: u32): bool {
  const since = load<u32>(nb + NB_FULL_SINCE);
  const used = load<u32>(nb + NB_RX_CONS);
  if (since != 0 && now - since <= load<u32>(nb + NB_PATIENCE)) return false;
  const enough = since != 0 && used - load<u32>(nb + NB_FULL_AT) >= <u32>PROGRESS_SLOTS;
  if (since != 0 && !enough) return true;
  store<u32>(nb + NB_FULL_SINCE, now);
  store<u32>(nb + NB_FULL_AT, used);
  return false;
}

/** list[from … n) stays behind a frame that waits: the group frames among it are lost to this receiver, counted. */
export function dropGroups(counters: u32, list: u32, from: u32, n: u32): void {
  for (let i = from; i < n; i++) {
    if (load<u32>(load<u32>(list + (i << 2)) + F_VERDICT) == VERDICT_GROUP) count(counters, DROP_RX_FULL, 1);
  }
}

export function dropRx(counters: u32, frame: u32, reason: u32): void {
  count(counters, reason, 1);
  store<u32>(frame + F_SETTLED, 1);
}

function stall(nb: u32, now: u32): void {
  store<u32>(nb + NB_STALLED, 1);
  store<u32>(nb + NB_STALLED_AT, now);
  const patience = load<u32>(nb + NB_PATIENCE) >> 1;
  store<u32>(nb + NB_PATIENCE, patience < <u32>PATIENCE_LEAST ? <u32>PATIENCE_LEAST : patience);
}

/** XSA-392: one free slot is no proof of life; a guest that shows many is trusted again, longer after a pause. */
export function unstall(nb: u32, free: u32, now: u32): void {
  if (free < <u32>UNSTALL_SLOTS) return;
  store<u32>(nb + NB_FULL_SINCE, 0);
  if (!load<u32>(nb + NB_STALLED)) return;
  store<u32>(nb + NB_STALLED, 0);
  if (now - load<u32>(nb + NB_STALLED_AT) > 1000) store<u32>(nb + NB_PATIENCE, PATIENCE_MOST);
}

/** Free RX slots right now (0 for a fenced guest). */
export function netbackRoom(nb: u32): u32 {
  return load<u32>(nb + NB_FENCED) ? 0 : available(nb);
}

/** Before sleeping, while a frame waits for room: asks for an event at the next RX request. True when there is room. */
export function netbackArmRx(nb: u32): bool {
  const wanted = load<u32>(nb + NB_RX_WANTED);
  if (wanted == 0 || load<u32>(nb + NB_FENCED)) return false;
  store<u32>(nb + NB_RX_WANTED, 0); // a frame that still waits says so again in the next round
  // A guest that moves its index all the time does not keep us here.
  for (let tries = 0; tries < 4; tries++) {
    const room = available(nb);
    if (room >= wanted || load<u32>(nb + NB_FENCED)) return true;
    if (!armMoreRequests(load<u32>(nb + NB_RX_RING), load<u32>(nb + NB_RX_CONS) + room)) return false;
  }
  return true;
}
