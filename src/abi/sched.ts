/** Namespaces for unshare(2) and setns(2): linux/sched.h. */

export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWNET = 0x40000000;

/** Scheduling policy for throughput: wakes without preempting. */
export const SCHED_BATCH = 3;
