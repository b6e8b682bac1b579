// Where the parts of an io_uring lie in the arena; written once at set-up.
export const URING_SIZE = 64;
export const URING_BASE = 0; // f64: address of the arena in this process
export const URING_SQES = 8; // u32 addresses from here on
export const URING_SQ_TAIL = 12;
export const URING_SQ_MASK = 16; // u32 value
export const URING_CQ_HEAD = 20;
export const URING_CQ_TAIL = 24;
export const URING_CQ_MASK = 28; // u32 value
export const URING_CQES = 32;
