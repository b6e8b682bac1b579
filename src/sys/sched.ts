/** Scheduling of the calling thread: sched_setscheduler(2). */
import { SCHED_BATCH } from '../abi/sched.js';
import { libc } from './libc.js';

const setScheduler = libc.func('int sched_setscheduler(int thread, int policy, void *parameters)');

/**
 * SCHED_BATCH: a wake-up does not push another thread off its CPU. When all CPUs are busy, work gathers and is done
 * in larger bursts with fewer switches; when one is idle nothing changes. A kernel that refuses is left as it is.
 */
export function batchPolicy(): void {
  setScheduler(0, SCHED_BATCH, new Int32Array([0]));
}
