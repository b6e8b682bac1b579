/** What PageLoad and its helper's thread share: u32 words of the arena, by index. */

/** The guest uses the packets in these pages. */
export const ORDER_USE = 1;
/** The NIC writes packets to these pages. */
export const ORDER_FILL = 2;

/** Counts up when there is something to do. */
export const GUEST_TURN = 0;
/** The turn that is done. */
export const GUEST_DONE = 1;
/** Pages to use; 0: end. */
export const GUEST_N = 2;
/** Bytes of each. */
export const GUEST_LENGTH = 3;
/** The CPU to run on. */
export const GUEST_CPU = 4;
/** ORDER_USE or ORDER_FILL. */
export const GUEST_ORDER = 5;
/** Arena addresses of the pages. */
export const GUEST_LIST = 8;
export const GUEST_WORDS = 8 + 64;
