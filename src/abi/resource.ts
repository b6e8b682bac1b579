/** Resource limits: sys/resource.h. */

/** Locked memory; before Linux 5.11 BPF maps are counted against it. */
export const RLIMIT_MEMLOCK = 8;
