// What the loops call back for (LoopHost in src/arena/loops.ts).

/**
 * Maps page `frame` of the cache's domain (where mappings pin: the page granted by that reference) at `address`, or
 * (NO_FRAME) zeroes; 0, or a negative errno.
 */
export declare function mapPage(cacheId: u32, address: u32, frame: u32, writable: u32): i32;
