// What the offload functions answer, known to WebAssembly and TypeScript. Only plain constants.

// ---- Refusals, all negative; 0 is success. The frame is to be dropped and counted -----------------
/** The headers do not lie wholly in the frame's header copy. */
export const OFFLOAD_RUNT = -1;
/** A header contradicts itself, or the frame's length. */
export const OFFLOAD_MALFORMED = -2;
/** No TCP or UDP header to speak of: another protocol, or an IP fragment. */
export const OFFLOAD_NO_L4 = -3;
/** The checksum request points outside the header copy, or at the headers in front of layer 4. */
export const OFFLOAD_BAD_CSUM = -4;
/** The segmentation request does not fit the headers. */
export const OFFLOAD_BAD_GSO = -5;
/** A fragment has no address here: its bytes cannot be summed. */
export const OFFLOAD_UNREADABLE = -6;
/** More fragments than a descriptor holds. */
export const OFFLOAD_TOO_MANY = -7;

/** Segments of one frame at most: 64 KiB at eight bytes each. More is an attack on the receiver's CPU. */
export const SEGMENTS_MAX = 8192;
