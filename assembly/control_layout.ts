// What a front end configures over its control ring and by multicast extra infos (netif.h): private state of a vif
// in the arena, written by the datapath thread alone, but for CT_MCAST_ON and CT_HEADROOM.

export const CT_ALGORITHM = 0; // u32 XEN_NETIF_CTRL_HASH_ALGORITHM_*
export const CT_HASH_FLAGS = 4; // u32 XEN_NETIF_CTRL_HASH_TYPE_*
export const CT_MAPPING_SIZE = 8; // u32 entries; 0: queue = hash modulo number of queues
/** u32, 1: only the multicast groups of the list. The thread that watches request-multicast-control writes it. */
export const CT_MCAST_ON = 12;
export const CT_MCAST_COUNT = 16; // u32
/** u32: octets left free at the beginning of each page that it receives (xdp-headroom). Whoever watches that writes it. */
export const CT_HEADROOM = 20;
export const CT_KEY = 24; // HASH_KEY_MAX bytes
export const CT_MCAST = 64; // MCAST_MAX × u64: a MAC in the low 48 bits
export const CT_MAPPING = 576; // HASH_MAPPING_MAX × u32: queue numbers
export const CT_TOEPLITZ = 1088; // u32[2 × HASH_INPUT_MAX][16], see toeplitz.ts
/** One page: keys, tables and lists are copied here before they are looked at. */
export const CT_STAGE = 5696;
export const CT_QUEUES = 9792; // u32: of the vif; numbers in a hash mapping stay below it
export const CT_SIZE = 9808;

/** A page is half a page at least: with more headroom than that, frames would take slots without end. */
export const HEADROOM_MOST = 2048;

/** Linux netback: XEN_NETBK_MAX_HASH_KEY_SIZE, XEN_NETBK_MAX_HASH_MAPPING_SIZE, XEN_NETBK_MCAST_MAX. */
export const HASH_KEY_MAX = 40;
export const HASH_MAPPING_MAX = 128;
export const MCAST_MAX = 64;
/** Octets of a packet that a hash takes in at most: two IPv6 addresses and two ports. */
export const HASH_INPUT_MAX = 36;
