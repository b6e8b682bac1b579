// netfront, both directions: what is shown to the back end, and when it is to wake us.
import { C_NOTIFICATIONS } from './counters';
import { PAGE_SIZE } from './layout';
import { count } from './memory';
import {
  NF_COUNTERS,
  NF_FENCED,
  NF_GREF,
  NF_GREFS,
  NF_POOL,
  NF_RAM,
  NF_RX_CONS,
  NF_RX_PUBLISHED,
  NF_RX_REQ,
  NF_RX_RING,
  NF_TX_CONS,
  NF_TX_PUBLISHED,
  NF_TX_REQ,
  NF_TX_RING,
  NF_WAITING,
  STACK_COUNT,
} from './netif_layout';
import { armResponses, pushRequests } from './ring';

/** Ends the dialogue with a back end that broke the protocol. */
export function fenceBackend(nf: u32, why: u32): void {
  store<u32>(nf + NF_FENCED, why);
}

/** The grant reference of the page that `address` lies in. */
export function grefOf(nf: u32, address: u32): u32 {
  const page = (address - load<u32>(nf + NF_RAM)) / PAGE_SIZE;
  const table = load<u32>(nf + NF_GREFS);
  return table == 0 ? load<u32>(nf + NF_GREF) + page : load<u32>(table + (page << 2));
}

/** Shows the back end new requests: bit 0 = wake it for TX, bit 1 = for RX. */
export function netfrontPublish(nf: u32): u32 {
  if (load<u32>(nf + NF_FENCED)) return 0;
  let wake: u32 = 0;
  const tx = load<u32>(nf + NF_TX_REQ);
  const txShown = load<u32>(nf + NF_TX_PUBLISHED);
  if (tx != txShown) {
    store<u32>(nf + NF_TX_PUBLISHED, tx);
    if (pushRequests(load<u32>(nf + NF_TX_RING), txShown, tx)) wake |= 1;
  }
  const rx = load<u32>(nf + NF_RX_REQ);
  const rxShown = load<u32>(nf + NF_RX_PUBLISHED);
  if (rx != rxShown) {
    store<u32>(nf + NF_RX_PUBLISHED, rx);
    if (pushRequests(load<u32>(nf + NF_RX_RING), rxShown, rx)) wake |= 2;
  }
  if (wake) count(load<u32>(nf + NF_COUNTERS), C_NOTIFICATIONS, wake == 3 ? 2 : 1);
  return wake;
}

/** Before sleeping: asks for events at the next received frame and, when a frame waits or buffers run out, at TX responses. */
export function netfrontArm(nf: u32): bool {
  if (load<u32>(nf + NF_FENCED)) return false;
  if (armResponses(load<u32>(nf + NF_RX_RING), load<u32>(nf + NF_RX_CONS))) return true;
  const low = load<u32>(load<u32>(nf + NF_POOL), STACK_COUNT) == 0;
  if (!load<u32>(nf + NF_WAITING) && !low) return false;
  return armResponses(load<u32>(nf + NF_TX_RING), load<u32>(nf + NF_TX_CONS));
}
