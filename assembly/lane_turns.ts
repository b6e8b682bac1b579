// The direct lane's part of a round: all ports whose frames may take it have their turns here, one after the other, and are left
// to the caller where the general path has something to do. What a turn delivered is shown at its end, to the
// receivers first and then to the sender: its rings and states are in the CPU's caches now, and with many busy ports would
// not be at the end of the round.
import { NETIF_RING_SIZE } from '../src/abi/ring';
import { cacheTick } from './cache';
import { queueAt } from './flow';
import { portOf } from './forward';
import {
  FWD_POLLED,
  FWD_SHOWN,
  FWD_WOKEN,
  PORT_FLYING,
  PORT_LANE,
  PORT_QUIET,
  PORT_WOKEN,
  TURN_GENERAL,
  TURN_MOVED,
} from './forward_layout';
import { laneRun } from './lane';
import { aheadOfTurn } from './lane_ahead';
import { BURST } from './layout';
import { netbackPublishRx, netbackPublishTx } from './netback_show';
import {
  NB_CACHE,
  NB_CONTROL_DUE,
  NB_FENCED,
  NB_PORT,
  NB_SEEN,
  NB_SET,
  NB_TX_CONS,
  NB_TX_RING,
  NB_WAKE,
  SET_COUNT,
  WAKE_RX,
  WAKE_TX,
} from './netif_layout';
import { reqProd } from './ring';

/** Ports to be woken that are waited for before the caller wakes them: the first does not wait for the last of many. */
const WOKEN_TOGETHER: u32 = 16;

let passed: u32 = 0;

/** Frames that took the direct lane on this thread, modulo 2^32. */
export function lanePassed(): u32 {
  return passed;
}

/**
 * Turns of the first `count` polled ports, the one at `first` being number 0: of those numbered `from` … `until` - 1.
 * Returns the number of the next one that has no turn yet, or `until`; with TURN_MOVED, and with TURN_GENERAL when it is
 * for the caller to go on with that one by the general path.
 */
export function laneTurns(fwd: u32, first: u32, count: u32, from: u32, until: u32): u32 {
  const polled = load<u32>(fwd + FWD_POLLED) + 4;
  const woken = load<u32>(fwd + FWD_WOKEN);
  let moved: u32 = 0;
  for (let i = from; i < until; i++) {
    let place = first + i;
    if (place >= count) place -= count;
    const port = load<u32>(polled + (place << 2));
    const record = portOf(fwd, port);
    store<u32>(record, load<u32>(record, PORT_QUIET) + 1, PORT_QUIET);
    const nb = load<u32>(record, PORT_LANE);
    if (nb == 0 || load<u32>(record, PORT_FLYING) != 0 || load<u8>(nb + NB_CONTROL_DUE) != 0)
      return i | moved | TURN_GENERAL;
    const cache = load<u32>(nb + NB_CACHE);
    if (cache != 0) cacheTick(cache, 0); // nothing is in flight
    if (i + 1 < until) aheadOfTurn(fwd, load<u32>(polled + ((place + 1 < count ? place + 1 : 0) << 2)));
    const frames = laneRun(fwd, port, nb, NETIF_RING_SIZE, passed - load<u32>(nb + NB_SEEN));
    store<u32>(nb + NB_SEEN, passed);
    show(fwd, nb, frames);
    if (frames != 0) {
      store<u32>(record, 0, PORT_QUIET);
      moved = TURN_MOVED;
      passed += frames;
    }
    if (frames < <u32>BURST && hasMore(nb)) return i | moved | TURN_GENERAL;
    if (load<u32>(woken) >= WOKEN_TOGETHER) return (i + 1) | moved;
  }
  return until | moved;
}

/** Shows the receivers of a turn what they got, and only then the sender that its `frames` are done with. */
function show(fwd: u32, nb: u32, frames: u32): void {
  const shown = load<u32>(fwd + FWD_SHOWN);
  const n = load<u32>(shown);
  for (let i: u32 = 0; i < n; i++) {
    const other = load<u32>(shown + 4 + (i << 2));
    if (netbackPublishRx(other)) wake(fwd, other, WAKE_RX);
    else if (load<u32>(other + NB_FENCED)) wake(fwd, other, 0);
  }
  if (frames == 0) return;
  const set = load<u32>(nb + NB_SET);
  if (set == 0) {
    if (netbackPublishTx(nb)) wake(fwd, nb, WAKE_TX);
    return;
  }
  const queues = load<u32>(set + SET_COUNT);
  for (let q: u32 = 0; q < queues; q++) {
    const queue = queueAt(set, q);
    if (netbackPublishTx(queue)) wake(fwd, queue, WAKE_TX);
  }
}

/** Puts a queue's port on the list of those that the caller wakes. */
function wake(fwd: u32, nb: u32, why: u32): void {
  store<u32>(nb + NB_WAKE, load<u32>(nb + NB_WAKE) | why);
  const port = load<u32>(nb + NB_PORT);
  const record = portOf(fwd, port);
  if (load<u32>(record, PORT_WOKEN)) return;
  store<u32>(record, 1, PORT_WOKEN);
  const woken = load<u32>(fwd + FWD_WOKEN);
  const n = load<u32>(woken);
  store<u32>(woken, n + 1);
  store<u32>(woken + 4 + (n << 2), port);
}

/** Is there something in a vif's TX rings, or with it, that the lane did not take? */
function hasMore(nb: u32): bool {
  const set = load<u32>(nb + NB_SET);
  if (set == 0) return queued(nb);
  const queues = load<u32>(set + SET_COUNT);
  for (let q: u32 = 0; q < queues; q++) if (queued(queueAt(set, q))) return true;
  return false;
}

function queued(nb: u32): bool {
  return load<u32>(nb + NB_FENCED) != 0 || reqProd(load<u32>(nb + NB_TX_RING)) != load<u32>(nb + NB_TX_CONS);
}
