// Private state of a tap port in the arena.
export const TAP_SIZE = 64;
export const TAP_BASE = 0; // f64: address of the arena in this process
export const TAP_HEADER = 8; // u32: bytes read into the descriptor (HEADER_READ, or 0 where nobody looks at them)
export const TAP_IOVS = 12; // u32 address: IOV_STRIDE bytes for each of BURST frames
export const TAP_BUFFERS = 16; // u32 address of the stack of free buffers
export const TAP_COUNTERS = 20; // u32
export const TAP_PORT = 24; // u32
/** Room for 26 iovecs: vnet header with header bytes, and FRAGS_MAX fragments. */
export const IOV_STRIDE = 416;
/** A buffer takes the largest frame, 65535 bytes, in whole pages. */
export const TAP_BUFFER_SIZE = 65536;
/** Header bytes that a back end's tap reads into the descriptor. */
export const HEADER_READ = 128;
