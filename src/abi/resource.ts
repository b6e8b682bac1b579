/** Resource limits and use: sys/resource.h. */

/** Locked memory; before Linux 5.11 BPF maps are counted against it. */
export const RLIMIT_MEMLOCK = 8;

/** getrusage(2): of the calling thread. */
export const RUSAGE_THREAD = 1;
/** struct rusage where long has 64 bits. */
export const RUSAGE_SIZE = 144;
export const RUSAGE_NVCSW = 128; // long
