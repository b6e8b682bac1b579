// The IP addresses that a port may be sender of, in the arena: private memory, written before the port is attached.
// An address is in the network order of its octets, a mask has a 1 for each bit that counts.

/** Networks of either family. */
export const SENDERS_MAX = 80;
export const SENDERS_V4 = 0; // u32: how many
export const SENDERS_V6 = 4; // u32
export const SENDERS_V4_FIRST = 8; // SENDER_V4_SIZE octets each: u32 address, u32 mask
export const SENDER_V4_SIZE = 8;
export const SENDERS_V6_FIRST = 648; // SENDER_V6_SIZE octets each: u64 × 2 address, u64 × 2 mask
export const SENDER_V6_SIZE = 32;
export const SENDERS_SIZE = 3208;
/** Of a frame, no more than this is looked at to tell its sender: what is copied of every frame (HEADER_FETCH). */
export const SENDER_BYTES = 128;
