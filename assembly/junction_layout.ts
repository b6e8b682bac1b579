// A junction: where frames pass from one datapath thread to another, one for each direction. A ring of bytes in the arena
// with one producer and one consumer. Private memory of the back end: neither end distrusts the other.

/** The producer's line. u32: bytes ever shown to the consumer (wraps). */
export const J_PRODUCED = 0;
/** u32: 0, or for whom a frame waits for room, and the producer for a wake-up: a receiver's name (see junction.ts), or SEVERAL. */
export const J_STARVED = 4;
export const SEVERAL = 2;
/** The consumer's line. u32: bytes ever given back (wraps). */
export const J_CONSUMED = 64;
/** u32: 1 while the consumer wants to be woken when there is something. */
export const J_ARMED = 68;
/** u32, the producer's own: bytes laid down, of which those behind J_PRODUCED are not shown yet. */
export const J_LAID = 128;
/** u32, the consumer's own: bytes read; those from J_CONSUMED on are of frames in flight. */
export const J_PULLED = 192;
/** u32 each, the consumer's own: unread bytes as far as they were looked through, and the receiver that all of them are for. */
export const J_SEEN = 196;
export const J_SEEN_FOR = 200;
/** The ring. */
export const J_RING = 256;
/** Sixteen frames of 64 KiB. A power of two, so that wrapping counts are places. */
export const JUNCTION_BYTES = 1048576;
export const JUNCTION_SIZE = 1048832;

/** An entry starts at a multiple of ENTRY_ALIGN. u32: bytes of the frame; 0: nothing more before the ring's end. */
export const ENTRY_LENGTH = 0;
/** The frame's virtio_net_hdr, VNET_SIZE bytes. */
export const ENTRY_VNET = 4;
/** The frame, in one run. */
export const ENTRY_BYTES = 16;
export const ENTRY_ALIGN = 64;
