/** How an embedded guest lays its RAM out for one netif queue, and which pages it grants. */
import { GNTTAB_NR_RESERVED_ENTRIES } from '../abi/grant_table.js';
import type { GrantOwner } from '../xen/grant_table.js';

/** Pages to receive into: a ring's worth posted, and as many in a burst on its way to the tap. */
export const RX_PAGES = 512;
/** TX buffers of 64 KiB: a ring of small frames and a burst behind it. */
export const TX_BUFFERS = 320;
const PAGES_PER_BUFFER = 16;

/** Page numbers within the RAM. */
export const PAGE_TX_RING = 1;
export const PAGE_RX_RING = 2;
export const PAGE_RX_FIRST = 16;
export const PAGE_TX_FIRST = PAGE_RX_FIRST + RX_PAGES;
export const RAM_PAGES_NEEDED = PAGE_TX_FIRST + TX_BUFFERS * PAGES_PER_BUFFER;
/** Page i is granted as reference GREF_BASE + i. */
export const GREF_BASE = GNTTAB_NR_RESERVED_ENTRIES;

/** Grants everything to domain 0 for the life of the guest: rings and receive pages writable, transmit pages not. */
export function grantAll(grants: GrantOwner, backend: number): void {
  grants.grant(GREF_BASE + PAGE_TX_RING, backend, PAGE_TX_RING, false);
  grants.grant(GREF_BASE + PAGE_RX_RING, backend, PAGE_RX_RING, false);
  for (let page = PAGE_RX_FIRST; page < RAM_PAGES_NEEDED; page++) {
    grants.grant(GREF_BASE + page, backend, page, page >= PAGE_TX_FIRST);
  }
}
