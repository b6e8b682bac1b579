/** What dom0's CPU did between two looks. */
import { readFileSync } from 'node:fs';
import type { Dom0 } from './place.js';

/** USER_HZ: units of /proc/stat a second. */
const HZ = 100;

/** Seconds. */
export interface Cpu {
  readonly user: number;
  readonly system: number;
  /** Hard and soft interrupts: where the kernel's netback and much of its network stack run. */
  readonly interrupts: number;
  /** dom0's virtual CPUs by Xen's account: hypercalls are in it too. */
  readonly domain: number;
}

export async function cpu(dom0: Dom0): Promise<Cpu> {
  const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) / HZ);
  const list = await dom0.ok('xl list 0');
  const domain = Number(list.trim().split('\n')[1].trim().split(/\s+/).at(-1));
  return { user: user + nice, system, interrupts: irq + softirq, domain };
}

/** What was spent from `before` to `after`. */
export function spent(before: Cpu, after: Cpu): Cpu {
  const of = (key: keyof Cpu) => after[key] - before[key];
  return {
    user: of('user'),
    system: of('system'),
    interrupts: of('interrupts'),
    domain: of('domain'),
  };
}
