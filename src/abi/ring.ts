/**
 * The shared producer/consumer ring of one page: xen/io/ring.h (DEFINE_RING_TYPES).
 *
 * The four indices run freely as u32 and are masked only to find an entry. Who writes which:
 * the front end req_prod and rsp_event, the back end rsp_prod and req_event.
 */

export const RING_REQ_PROD = 0;
export const RING_REQ_EVENT = 4;
export const RING_RSP_PROD = 8;
export const RING_RSP_EVENT = 12;
/** Private to each side by convention, though it lies in the shared page; nothing may be trusted in it. */
export const RING_PVT = 16;
/** Offset of entry 0; the bytes before it are the header and its padding. */
export const RING_ENTRIES = 64;

/** Entries that fit one page, rounded down to a power of two (__RING_SIZE): tx, rx. */
export const NETIF_RING_SIZE = 256;
/** The control ring's entries are larger (16 bytes a request), so fewer fit. */
export const NETIF_CTRL_RING_SIZE = 128;

/** Bytes of one tx ring entry: the union of request and response. */
export const TX_ENTRY_SIZE = 12;
/** Bytes of one rx ring entry. */
export const RX_ENTRY_SIZE = 8;
/** Bytes of one control ring entry. */
export const CTRL_ENTRY_SIZE = 16;

/** XEN_PAGE_SIZE: the ring, a grant, and a grant copy all count in these, whatever the host's page is. */
export const XEN_PAGE_SIZE = 4096;
export const XEN_PAGE_SHIFT = 12;
