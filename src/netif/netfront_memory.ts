/** How an embedded guest lays its RAM out for its netif queues, and which pages it grants. */
import { GNTTAB_NR_RESERVED_ENTRIES } from '../abi/grant_table.js';
import type { GrantOwner } from '../xen/grant_table.js';
import type { StaticPage } from './control_front.js';

/** Pages to receive into: a ring's worth posted, and as many in a burst on its way to the tap. */
export const RX_PAGES = 512;
/** TX buffers of 64 KiB: a ring of small frames and a burst behind it. */
export const TX_BUFFERS = 320;
const PAGES_PER_BUFFER = 16;

/** Page numbers within a queue's share of the RAM; the control ring and its list are in the first queue's. */
export const PAGE_TX_RING = 1;
export const PAGE_RX_RING = 2;
export const PAGE_CTRL_RING = 3;
/** For lists that the back end reads and answers over the control ring. */
export const PAGE_CTRL_LIST = 4;
export const PAGE_RX_FIRST = 16;
export const PAGE_TX_FIRST = PAGE_RX_FIRST + RX_PAGES;
/** Pages of one queue; those of several lie one after the other. */
export const ramPagesFor = (txBuffers: number) => PAGE_TX_FIRST + txBuffers * PAGES_PER_BUFFER;
export const RAM_PAGES_NEEDED = ramPagesFor(TX_BUFFERS);
/** On the embedded platform page i is granted as reference GREF_BASE + i. */
export const GREF_BASE = GNTTAB_NR_RESERVED_ENTRIES;

/** What differs between platforms. */
export interface NetfrontLayout {
  readonly txBuffers: number;
  /** Of a page, under which the back end may access it. */
  reference(page: number): number;
}
/** Of queue number `queue` of an embedded guest. */
export function embeddedLayout(queue: number): NetfrontLayout {
  const first = GREF_BASE + queue * RAM_PAGES_NEEDED;
  return { txBuffers: TX_BUFFERS, reference: (page) => first + page };
}
export const EMBEDDED_LAYOUT = embeddedLayout(0);

/**
 * Grants everything to domain 0 for the life of the guest: rings and receive pages writable, transmit pages not.
 * `pages`: of one queue.
 */
export function grantAll(grants: GrantOwner, backend: number, pages = RAM_PAGES_NEEDED, queues = 1): void {
  for (let first = 0; first < queues * pages; first += pages) {
    const grant = (page: number, readOnly: boolean) =>
      grants.grant(GREF_BASE + first + page, backend, first + page, readOnly);
    for (const page of [PAGE_TX_RING, PAGE_RX_RING, PAGE_CTRL_RING, PAGE_CTRL_LIST]) grant(page, false);
    for (let page = PAGE_RX_FIRST; page < pages; page++) grant(page, page >= PAGE_TX_FIRST);
  }
}

/**
 * The pages to announce to a back end that keeps `room` of them mapped, the most useful ones first: those received
 * into, then the first pages of all transmit buffers (small frames use no more), their second pages, and so on.
 */
export function pagesToAnnounce(room: number, layout = EMBEDDED_LAYOUT): StaticPage[] {
  const pages: StaticPage[] = [];
  const { txBuffers } = layout;
  const add = (page: number, readOnly: boolean) => {
    if (pages.length < room) pages.push({ reference: layout.reference(page), readOnly });
  };
  for (let i = 0; i < RX_PAGES; i++) add(PAGE_RX_FIRST + i, false);
  const all = RX_PAGES + txBuffers * PAGES_PER_BUFFER <= room;
  // Side by side when there is room for all: neighbours share a kernel mapping in the back end.
  if (all) for (let i = 0; i < txBuffers * PAGES_PER_BUFFER; i++) add(PAGE_TX_FIRST + i, true);
  for (let k = 0; k < PAGES_PER_BUFFER && !all; k++)
    for (let i = 0; i < txBuffers; i++) add(PAGE_TX_FIRST + i * PAGES_PER_BUFFER + k, true);
  return pages;
}
