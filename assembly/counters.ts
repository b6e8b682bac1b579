// Counters of one port: COUNTERS_SIZE bytes of u64 in the arena. "in" is from the port into the datapath,
// "out" from the datapath to the port. Written by the datapath thread alone, read by anybody.
export const COUNTERS_MAX = 64;
export const COUNTERS_SIZE = 512;

export const C_IN_FRAMES = 0;
export const C_IN_BYTES = 1;
export const C_OUT_FRAMES = 2;
export const C_OUT_BYTES = 3;
/** Copy segments and bytes moved to or from this port's peer by our own hand. */
export const C_COPIES = 4;
export const C_COPIED_BYTES = 5;
/** Wake-ups sent to the peer, and received from it. */
export const C_NOTIFICATIONS = 6;
export const C_EVENTS = 8;
/** With those before it but the last, all that a frame counts by the direct lane: one cache line. */
export const C_CACHE_HITS = 7;
export const C_CACHE_MISSES = 9;
export const C_CACHE_EVICTIONS = 10;
export const C_IN_GSO = 11;
export const C_OUT_GSO = 12;
/** Frames segmented, and checksums completed, in software because the receiver cannot. */
export const C_SEGMENTED = 13;
export const C_CSUM_FILLED = 14;
/** Times a frame for this port had to wait for room. */
export const C_OUT_WAITS = 15;
/** Times its rate left a frame of it in the ring for later. */
export const C_IN_LIMITED = 16;
/** Pages that could not be mapped for want of mappings (vm.max_map_count) or of room in the cache: copied by grant. */
export const C_CACHE_COPIED = 17;
/** Times that its peer made wake-ups of ours wait. */
export const C_BLOCKED = 18;
/** Frames that carried their receiver's hash: to a guest, and what a netfront got of its back end. */
export const C_HASHED = 20;
/** Requests of the control ring, those among them that were not granted, and changes of the multicast list. */
export const C_CONTROL = 21;
export const C_CONTROL_REFUSED = 22;
export const C_MULTICAST = 23;

// Drops, each under its reason. src/datapath/counters.ts gives them their names.
export const DROP_FIRST = 24;
export const DROP_RUNT = 24;
export const DROP_OVERSIZE = 25;
export const DROP_BAD_SLOT = 26;
export const DROP_TOO_MANY_SLOTS = 27;
export const DROP_BAD_GRANT = 28;
export const DROP_BAD_CSUM = 29;
export const DROP_BAD_GSO = 30;
export const DROP_SPOOFED = 31;
export const DROP_UNKNOWN_UNICAST = 32;
export const DROP_SELF = 33;
export const DROP_RX_FULL = 34;
export const DROP_RX_STALLED = 35;
export const DROP_TAP_ERROR = 36;
export const DROP_NO_BUFFER = 37;
export const DROP_FENCED = 38;
export const DROP_PORT_GONE = 39;
export const DROP_PEER_ERROR = 40;
export const DROP_NO_SG = 41;
export const DROP_EMPTY_GROUP = 42;
/** A group that the guest did not list (multicast control). */
export const DROP_MULTICAST = 43;
/** The sender above the MAC is not the port's: IP source, ARP, neighbour discovery. */
export const DROP_SPOOFED_IP = 44;
export const DROP_SPOOFED_ARP = 45;
export const DROP_SPOOFED_ND = 46;
export const DROP_LAST = 46;

// Why a peer was fenced: it broke the protocol itself, not just one frame.
export const FENCE_RING_OVERFLOW = 1;
export const FENCE_MISSING_SLOT = 2;
export const FENCE_ENDLESS_CHAIN = 3;
export const FENCE_UNKNOWN_EXTRA = 4;
export const FENCE_PAGE_CROSSED = 5;
export const FENCE_BAD_ID = 6;
