// Memory that the direct lane is about to need, read ahead of that: with many busy vifs it is in no inner cache, nor its
// translations in a TLB, and reads that do not wait for one another are waited for once. WebAssembly has no prefetch:
// these are loads whose sum is kept. What they read is believed in nothing, and an address is one of ours, or bounded.
import { GRANT_ENTRY_SIZE } from '../src/abi/grant_table';
import { RXREQ_GREF, TXREQ_SIZE } from '../src/abi/netif';
import { TX_ENTRY_SIZE } from '../src/abi/ring';
import { NO_TABLE } from './cache';
import { portOf } from './forward';
import { FWD_AHEAD, PORT_LANE, PORT_LAST } from './forward_layout';
import {
  CACHE_ENTRY,
  DOM_FRAMES,
  DOM_GRANTS,
  DOM_TABLE,
  DOM_VIEW,
  ENTRY_PAGE,
  ENTRY_USED,
} from './grant_layout';
import { PAGE_SIZE } from './layout';
import {
  NB_CACHE,
  NB_CONTROL,
  NB_COUNTERS,
  NB_RX_CONS,
  NB_RX_RING,
  NB_TX_CONS,
  NB_TX_RING,
} from './netif_layout';
import { rxEntry, txEntry } from './ring';

/** Of a cache: 5 TX requests begin in one, or 8 RX requests. */
const LINE: u32 = 64;
/** Frames whose pages are read together. */
const TOGETHER: u32 = 16;

/**
 * Frames that were moved since a page was last used, of whatever vif, from which on it is worth reading ahead: about as many
 * pages as a TLB knows. It costs 2 ns a frame, and where pages are far it saves a third of a frame's cost or more.
 */
const FAR: u32 = 1024;
/** Longer frames take the time that memory takes for their bytes; what is read ahead of that comes on top. */
const FAR_MOST: u32 = 256;
/** Turns of a vif in which it may be taken to use its pages once, where their last use is not known. */
const LAP: u32 = 4;

/** Rings and states of the port that has the next turn, and of who received frames of it last. */
export function aheadOfTurn(fwd: u32, port: u32): void {
  const record = portOf(fwd, port);
  const nb = load<u32>(record, PORT_LANE);
  if (nb == 0) return;
  const ring = load<u32>(nb + NB_TX_RING);
  const request = txEntry(ring, load<u32>(nb + NB_TX_CONS));
  let sum = load<u32>(ring) + load<u32>(request) + load<u32>(request + LINE);
  sum += load<u32>(load<u32>(nb + NB_COUNTERS)) + load<u32>(load<u32>(nb + NB_CACHE));
  const last = load<u32>(record, PORT_LAST);
  const other = last == 0 ? 0 : load<u32>(portOf(fwd, last), PORT_LANE);
  if (other != 0) {
    const theirs = load<u32>(other + NB_RX_RING);
    const posted = rxEntry(theirs, load<u32>(other + NB_RX_CONS));
    sum += load<u32>(theirs) + load<u32>(posted) + load<u32>(posted + LINE);
    sum += load<u32>(load<u32>(other + NB_COUNTERS)) + load<u32>(load<u32>(other + NB_CACHE));
    sum += load<u32>(load<u32>(other + NB_CONTROL));
  }
  store<u32>(fwd + FWD_AHEAD, sum);
}

/**
 * Is the page that a request names, and those of the next ones, likely to have left the CPU's caches? By how long ago its
 * vif's mapping cache (`table` … `tick`, as for `mappedPage`) met it, if it has one that knows. Without a cache it may
 * always be: two nanoseconds are little beside what a grant copy takes. `since`: frames of all vifs since this one's last
 * turn. Of small frames only.
 */
export function isFar(table: u32, known: u32, grants: u32, request: u32, tick: u32, since: u32): bool {
  if (<u32>load<u16>(request, TXREQ_SIZE) > FAR_MOST) return false;
  if (table == 0) return true;
  const gref = load<u32>(request);
  // Pages in order, or one and the same, need no help: by reference they are neighbours in the cache's window, and CPUs see that.
  if (load<u32>(request + TX_ENTRY_SIZE) - gref + 1 <= 2) return false;
  if (since >= FAR || gref >= grants || table == NO_TABLE) return since >= FAR / LAP;
  return <u64>since * (tick - load<u32>(known + gref * CACHE_ENTRY, ENTRY_USED)) >= FAR;
}

/**
 * First bytes of the frames that requests `from` … `end` - 1 name, some of them: the index behind these is returned.
 * `known`, `grants`: of the sender's mapping cache; or `domain`, when its RAM is in view.
 */
export function aheadOfFrames(
  fwd: u32,
  ring: u32,
  from: u32,
  end: u32,
  known: u32,
  grants: u32,
  domain: u32,
): u32 {
  const to = from + min(end - from, TOGETHER);
  let sum: u32 = 0;
  for (let cons = from; cons != to; cons++) {
    const where = load<u64>(txEntry(ring, cons));
    const offset = <u32>(where >> 32) & (PAGE_SIZE - 1);
    sum += load<u8>(pageOf(<u32>where, known, grants, domain) + offset);
  }
  store<u32>(fwd + FWD_AHEAD, sum);
  return to;
}

/** The same of pages that were posted to receive into. */
export function aheadOfPosted(
  fwd: u32,
  ring: u32,
  from: u32,
  end: u32,
  known: u32,
  grants: u32,
  domain: u32,
): u32 {
  const to = from + min(end - from, TOGETHER);
  let sum: u32 = 0;
  for (let slot = from; slot != to; slot++)
    sum += load<u8>(pageOf(load<u32>(rxEntry(ring, slot), RXREQ_GREF), known, grants, domain));
  store<u32>(fwd + FWD_AHEAD, sum);
  return to;
}

/** Where a page is, whether it is still granted or not; 0 when nothing is known of it. */
function pageOf(gref: u32, known: u32, grants: u32, domain: u32): u32 {
  if (domain == 0) return gref < grants ? load<u32>(known + gref * CACHE_ENTRY, ENTRY_PAGE) : 0;
  if (gref >= load<u32>(domain, DOM_GRANTS)) return 0;
  const page = load<u32>(load<u32>(domain, DOM_TABLE) + gref * GRANT_ENTRY_SIZE, 4);
  return page < load<u32>(domain, DOM_FRAMES) ? load<u32>(domain, DOM_VIEW) + page * PAGE_SIZE : 0;
}
