/** Network requests and responses: xen/io/netif.h. Offsets in bytes, little-endian fields. */

// struct netif_tx_request: u32 gref, u16 offset, u16 flags, u16 id, u16 size. The front end writes it.
// In the first request of a packet `size` is the whole packet; in the others, that fragment.
export const TXREQ_GREF = 0;
export const TXREQ_OFFSET = 4;
export const TXREQ_FLAGS = 6;
export const TXREQ_ID = 8;
export const TXREQ_SIZE = 10;
export const NETIF_TX_REQUEST_SIZE = 12;

// struct netif_tx_response: u16 id, s16 status. The back end writes it.
export const TXRSP_ID = 0;
export const TXRSP_STATUS = 2;
export const NETIF_TX_RESPONSE_SIZE = 4;

// struct netif_rx_request: u16 id, u16 pad, u32 gref. The front end writes it.
export const RXREQ_ID = 0;
export const RXREQ_PAD = 2;
export const RXREQ_GREF = 4;
export const NETIF_RX_REQUEST_SIZE = 8;

// struct netif_rx_response: u16 id, u16 offset, u16 flags, s16 status. The back end writes it.
// A status above zero is the number of bytes; below it, a NETIF_RSP_ code.
export const RXRSP_ID = 0;
export const RXRSP_OFFSET = 2;
export const RXRSP_FLAGS = 4;
export const RXRSP_STATUS = 6;
export const NETIF_RX_RESPONSE_SIZE = 8;

// struct netif_extra_info: takes a whole ring entry after the first request or response of a packet.
export const EXTRA_TYPE = 0;
export const EXTRA_FLAGS = 1;
export const EXTRA_GSO_SIZE = 2;
export const EXTRA_GSO_TYPE = 4;
export const EXTRA_GSO_PAD = 5;
export const EXTRA_GSO_FEATURES = 6;
export const EXTRA_MCAST_ADDR = 2;
export const EXTRA_HASH_TYPE = 2;
export const EXTRA_HASH_ALGORITHM = 3;
export const EXTRA_HASH_VALUE = 4;
export const EXTRA_XDP_HEADROOM = 2;
export const NETIF_EXTRA_INFO_SIZE = 8;

export const NETTXF_csum_blank = 1;
export const NETTXF_data_validated = 2;
export const NETTXF_more_data = 4;
export const NETTXF_extra_info = 8;

// The first two bits are the other way round than in NETTXF_.
export const NETRXF_data_validated = 1;
export const NETRXF_csum_blank = 2;
export const NETRXF_more_data = 4;
export const NETRXF_extra_info = 8;
export const NETRXF_gso_prefix = 16;

export const NETIF_RSP_DROPPED = -2;
export const NETIF_RSP_ERROR = -1;
export const NETIF_RSP_OKAY = 0;
/** Answers the ring entry of an extra info: it is no request, but its slot must be answered. */
export const NETIF_RSP_NULL = 1;

/** Every back end must take a packet of this many slots. */
export const XEN_NETIF_NR_SLOTS_MIN = 18;
export const XEN_NETIF_MAX_TX_SIZE = 0xffff;

export const XEN_NETIF_EXTRA_TYPE_NONE = 0;
export const XEN_NETIF_EXTRA_TYPE_GSO = 1;
export const XEN_NETIF_EXTRA_TYPE_MCAST_ADD = 2;
export const XEN_NETIF_EXTRA_TYPE_MCAST_DEL = 3;
export const XEN_NETIF_EXTRA_TYPE_HASH = 4;
/** Linux's netif.h; Xen's own has no XDP. */
export const XEN_NETIF_EXTRA_TYPE_XDP = 5;
export const XEN_NETIF_MAX_XDP_HEADROOM = 0x7fff;
export const XEN_NETIF_EXTRA_TYPE_MAX = 5;

export const XEN_NETIF_EXTRA_FLAG_MORE = 1;

export const XEN_NETIF_GSO_TYPE_NONE = 0;
export const XEN_NETIF_GSO_TYPE_TCPV4 = 1;
export const XEN_NETIF_GSO_TYPE_TCPV6 = 2;
