// Memory that the direct lane is about to need, read ahead of that: with many busy vifs it is in no inner cache, nor its
// translations in a TLB, and reads that do not wait for one another are waited for once. WebAssembly has no prefetch:
// these are loads whose sum is kept. What they read is believed in nothing, and an address is one of ours, or bounded.

import { GRANT_ENTRY_SIZE } from '../src/abi/grant_table';
import { portOf } from './forward';
import { FWD_AHEAD, PORT_LANE, PORT_LAST } from './forward_layout';
import { CACHE_ENTRY, DOM_FRAMES, DOM_GRANTS, DOM_TABLE, DOM_VIEW, ENTRY_PAGE } from './grant_layout';
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
 * First bytes of the frames that requests `from` … `end` - 1 name, some of them: the index behind these is returned. `known`,
 * `grants`: of the sender's mapping cache; or `domain`, when its RAM is in view.
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
    const gref = <u32>where;
    const offset = <u32>(where >> 32) & (PAGE_SIZE - 1);
    if (domain != 0) sum += load<u8>(viewed(domain, gref) + offset);
    else if (gref < grants) sum += load<u8>(load<u32>(known + gref * CACHE_ENTRY, ENTRY_PAGE) + offset);
  }
  store<u32>(fwd + FWD_AHEAD, sum);
  return to;
}

/** The page that an entry of the grant table names, whether it is granted or not; 0 when there is none. */
function viewed(domain: u32, gref: u32): u32 {
  if (gref >= load<u32>(domain, DOM_GRANTS)) return 0;
  const page = load<u32>(load<u32>(domain, DOM_TABLE) + gref * GRANT_ENTRY_SIZE, 4);
  return page < load<u32>(domain, DOM_FRAMES) ? load<u32>(domain, DOM_VIEW) + page * PAGE_SIZE : 0;
}
