/** Scheduling of the calling thread: sched_setscheduler(2), sched_setaffinity(2). */
import { RUSAGE_NVCSW, RUSAGE_SIZE, RUSAGE_THREAD } from '../abi/resource.js';
import { SCHED_BATCH } from '../abi/sched.js';
import { check, libc, pinned } from './libc.js';

const setScheduler = libc.func('int sched_setscheduler(int thread, int policy, void *parameters)');

/**
 * SCHED_BATCH: a wake-up does not push another thread off its CPU. When all CPUs are busy, work gathers and is done
 * in larger bursts with fewer switches; when one is idle nothing changes. A kernel that refuses is left as it is.
 */
export function batchPolicy(): void {
  setScheduler(0, SCHED_BATCH, new Int32Array([0]));
}

const setPriority = libc.func('int setpriority(int which, unsigned int who, int value)');
const PRIO_PROCESS = 0; // of sys/resource.h; on Linux one thread, and 0 is the calling one

/** Sets the calling thread's nice value, -20 (most CPU) to 19. A kernel that refuses leaves it as it is. */
export function nice(value: number): void {
  setPriority(PRIO_PROCESS, 0, value);
}

const getUsage = libc.func('int getrusage(int who, intptr_t usage)');
const usage = pinned(RUSAGE_SIZE);
const switches = new Uint32Array(usage.bytes.buffer, RUSAGE_NVCSW, 1);

/** How often the calling thread has slept, waiting for something (its voluntary context switches, low 32 bits). */
export function sleeps(): number {
  getUsage(RUSAGE_THREAD, usage.address);
  return switches[0];
}

const getAffinity = libc.func('int sched_getaffinity(int thread, size_t size, void *mask)');
const setAffinity = libc.func('int sched_setaffinity(int thread, size_t size, void *mask)');

/** Bytes of the largest cpu_set_t any kernel asks for: CONFIG_NR_CPUS is at most 8192 (sched_getaffinity(2)). */
const CPU_SET_BYTES = 1024;

/** CPUs that the calling thread may run on, ascending. Throws SysError. */
export function affinity(): number[] {
  const mask = new Uint8Array(CPU_SET_BYTES);
  check('sched_getaffinity', getAffinity(0, CPU_SET_BYTES, mask));
  const cpus: number[] = [];
  for (let cpu = 0; cpu < CPU_SET_BYTES * 8; cpu++) if (mask[cpu >> 3] & (1 << (cpu & 7))) cpus.push(cpu);
  return cpus;
}

/**
 * Lets the calling thread run on these CPUs only. Threads and processes that it starts from now on inherit that; those
 * that there are keep theirs. Throws SysError: EINVAL when none of them is there, or allowed.
 */
export function pinTo(cpus: readonly number[]): void {
  const mask = new Uint8Array(CPU_SET_BYTES);
  for (const cpu of cpus) mask[cpu >> 3] |= 1 << (cpu & 7);
  check('sched_setaffinity', setAffinity(0, CPU_SET_BYTES, mask), `to CPUs ${cpus.join(', ')}`);
}
