// Responses of netback: made in private memory, in any order, and shown in that of their requests. A slot keeps its
// request until its response is shown. So what the shared rings say is always the truth for whoever serves them next:
// requests from rsp_prod on have not been answered, and are there to be read again. That holds wherever we die.
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETTXF_extra_info,
  NETTXF_more_data,
  RXREQ_ID,
  TXREQ_FLAGS,
  TXREQ_ID,
  XEN_NETIF_EXTRA_FLAG_MORE,
} from '../src/abi/netif';
import { NETIF_RING_SIZE, RX_ENTRY_SIZE, TX_ENTRY_SIZE } from '../src/abi/ring';
import { C_NOTIFICATIONS } from './counters';
import { copyBytes, count } from './memory';
import {
  ANSWERED,
  NB_COUNTERS,
  NB_FENCED,
  NB_RX_ANSWERS,
  NB_RX_CONS,
  NB_RX_PUBLISHED,
  NB_RX_RING,
  NB_RX_RSP,
  NB_TX_ANSWERS,
  NB_TX_CONS,
  NB_TX_DONE,
  NB_TX_PASSED,
  NB_TX_PUBLISHED,
  NB_TX_RING,
} from './netif_layout';
import { beginResponses, begunResponses, pushResponses, RING_MASK, rspProd, rxEntry, txEntry } from './ring';

/** Where the TX response of a slot is made: u16 id, s16 status, ANSWERED flipped. */
export function txAnswer(nb: u32, slot: u32): u32 {
  return load<u32>(nb + NB_TX_ANSWERS) + ((slot & RING_MASK) << 2);
}

/** Where the RX response of a slot is made, as it will stand in the ring. */
export function rxAnswer(nb: u32, slot: u32): u32 {
  return load<u32>(nb + NB_RX_ANSWERS) + ((slot & RING_MASK) << 3);
}

export function txResponse(id: u32, status: i32): u32 {
  return (id | ((<u32>status) << 16)) ^ ANSWERED;
}

/** An extra info is no request, but its slot is answered; the octets that say what it was stay. */
export function answerExtra(nb: u32, slot: u32): void {
  const entry = txEntry(load<u32>(nb + NB_TX_RING), slot);
  store<u32>(txAnswer(nb, slot), txResponse(load<u16>(entry), NETIF_RSP_NULL));
}

/**
 * Shows the guest the TX responses that are made, up to the first slot that has none yet. True when it wants to be woken.
 */
export function netbackPublishTx(nb: u32): bool {
  const done = load<u32>(nb + NB_TX_DONE);
  if (done == 0 || load<u32>(nb + NB_FENCED)) return false;
  const ring = load<u32>(nb + NB_TX_RING);
  const from = load<u32>(nb + NB_TX_PUBLISHED);
  let to = load<u32>(nb + NB_TX_CONS);
  if (done != to - from) {
    to = from + load<u16>(nb + NB_TX_PASSED);
    while (load<u32>(txAnswer(nb, to)) != 0) to++;
    if (to == from) return false;
  }
  beginResponses(ring, to);
  const passed = <u32>load<u16>(nb + NB_TX_PASSED);
  if (passed != 0) {
    const head = min(passed, <u32>NETIF_RING_SIZE - (from & RING_MASK));
    writeOkay(txEntry(ring, from), head);
    if (head != passed) writeOkay(txEntry(ring, 0), passed - head);
    store<u16>(nb + NB_TX_PASSED, 0);
  }
  for (let slot = from + passed; slot != to; slot++) {
    const answer = txAnswer(nb, slot);
    store<u32>(txEntry(ring, slot), load<u32>(answer) ^ ANSWERED);
    store<u32>(answer, 0);
  }
  store<u32>(nb + NB_TX_DONE, done - (to - from));
  store<u32>(nb + NB_TX_PUBLISHED, to);
  return show(nb, ring, from, to);
}

/** Answers `n` requests that lie side by side with NETIF_RSP_OKAY (0). Of the request only the id is left: u16 id, s16 status. */
function writeOkay(first: u32, n: u32): void {
  const end = first + n * TX_ENTRY_SIZE;
  for (let entry = first; entry != end; entry += TX_ENTRY_SIZE) store<u32>(entry, load<u16>(entry, TXREQ_ID));
}

/** Shows the guest its new RX responses. True when it wants to be woken. */
export function netbackPublishRx(nb: u32): bool {
  const to = load<u32>(nb + NB_RX_RSP);
  const from = load<u32>(nb + NB_RX_PUBLISHED);
  if (to == from || load<u32>(nb + NB_FENCED)) return false;
  const ring = load<u32>(nb + NB_RX_RING);
  beginResponses(ring, to);
  // To the end of the ring, and on from its beginning.
  const head = min(to - from, <u32>NETIF_RING_SIZE - (from & RING_MASK));
  copyBytes(rxEntry(ring, from), rxAnswer(nb, from), head * RX_ENTRY_SIZE);
  if (head != to - from) copyBytes(rxEntry(ring, 0), rxAnswer(nb, 0), (to - from - head) * RX_ENTRY_SIZE);
  store<u32>(nb + NB_RX_PUBLISHED, to);
  return show(nb, ring, from, to);
}

function show(nb: u32, ring: u32, from: u32, to: u32): bool {
  const wake = pushResponses(ring, from, to);
  if (wake) count(load<u32>(nb + NB_COUNTERS), C_NOTIFICATIONS, 1);
  return wake;
}

/**
 * Begins where the rings' responses end: at 0, or where a predecessor left them. What it was about to show is answered
 * here: its frames were delivered before their requests were answered, and a page that may have a frame in it, or only a
 * part of its response, goes back empty (whoever sent that frame has no answer, so it comes again). True when somebody
 * served these rings before.
 */
export function netbackResume(nb: u32): bool {
  const tx = load<u32>(nb + NB_TX_RING);
  const rx = load<u32>(nb + NB_RX_RING);
  const txAt = rspProd(tx);
  const rxAt = rspProd(rx);
  const txTo = begunResponses(tx, txAt);
  const rxTo = begunResponses(rx, rxAt);
  store<u32>(nb + NB_TX_PUBLISHED, txAt);
  store<u32>(nb + NB_TX_CONS, txTo);
  store<u32>(nb + NB_TX_DONE, txTo - txAt);
  answerPackets(nb, tx, txAt, txTo);
  store<u32>(nb + NB_RX_PUBLISHED, rxAt);
  store<u32>(nb + NB_RX_CONS, rxTo);
  store<u32>(nb + NB_RX_RSP, rxTo);
  for (let slot = rxAt; slot != rxTo; slot++) {
    const id = <u64>load<u16>(rxEntry(rx, slot), RXREQ_ID); // request and response have it in the same place
    store<u64>(rxAnswer(nb, slot), id | ((<u64>(<u16>NETIF_RSP_ERROR)) << 48));
  }
  netbackPublishRx(nb);
  netbackPublishTx(nb);
  return (txAt | rxAt | txTo | rxTo) != 0;
}

/**
 * A response takes the place of a request's reference, or of what an extra info carries: what tells where packets begin
 * and end, and whose they are, is there still.
 */
function answerPackets(nb: u32, ring: u32, from: u32, to: u32): void {
  let slot = from;
  while (slot != to) {
    let flags = <u32>load<u16>(txEntry(ring, slot), TXREQ_FLAGS);
    let extra = (flags & NETTXF_extra_info) != 0;
    answerDelivered(nb, ring, slot++);
    while (extra && slot != to) {
      extra = ((load<u16>(txEntry(ring, slot)) >> 8) & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
      answerExtra(nb, slot++);
    }
    while (flags & NETTXF_more_data && slot != to) {
      flags = load<u16>(txEntry(ring, slot), TXREQ_FLAGS);
      answerDelivered(nb, ring, slot++);
    }
  }
}

function answerDelivered(nb: u32, ring: u32, slot: u32): void {
  store<u32>(txAnswer(nb, slot), txResponse(load<u16>(txEntry(ring, slot), TXREQ_ID), NETIF_RSP_OKAY));
}
