/** Where the back end and a guest run: on a CPU each, or on one. And what an experiment needs to flip pages. */
import { Arena } from '../../arena/arena.js';
import { instantiateLoops } from '../../arena/loops.js';
import { PagePool } from '../../arena/page_pool.js';
import { affinity, pinTo } from '../../sys/sched.js';

export interface Place {
  /** `other CPU`, `same CPU`: in the names of curves. */
  readonly name: string;
  readonly backend: number;
  readonly guest: number;
  /** What stands for the NIC runs here: not on the back end's CPU, if there is another. */
  readonly nic: number;
}

/** The places that these CPUs allow, and what they do not. */
export function placesOn(cpus: readonly number[]): { places: Place[]; missing: string[] } {
  const [backend, other] = cpus;
  if (backend === undefined) return { places: [], missing: ['no CPU is this process’s to use'] };
  const same = { name: 'same CPU', backend, guest: backend, nic: other ?? backend };
  if (other === undefined)
    return {
      places: [same],
      missing: [
        'back end and guest on different CPUs: this process may use one CPU only',
        'packets from outside the back end’s caches: one CPU writes and moves them',
      ],
    };
  return { places: [{ name: 'other CPU', backend, guest: other, nic: other }, same], missing: [] };
}

/** Runs `body` with the calling thread on one CPU, and lets it go again. */
export async function onCpu<T>(cpu: number, body: () => Promise<T>): Promise<T> {
  const before = affinity();
  pinTo([cpu]);
  try {
    return await body();
  } finally {
    pinTo(before);
  }
}

/** How pages change hands here, or why they cannot. */
export function flipHere(): { by: string; missing?: undefined } | { missing: string } {
  try {
    const arena = Arena.create(1 << 20);
    const pool = new PagePool(arena, instantiateLoops(arena), 1);
    const { by } = pool;
    pool.close();
    return { by };
  } catch (error) {
    return { missing: `page flips: ${error instanceof Error ? error.message : String(error)}` };
  }
}
