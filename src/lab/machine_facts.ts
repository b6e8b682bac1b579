/** What a figure depends on: the machine, its kernel and its mood while the lab ran. No name of host or user. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, freemem, version as kernelVersion, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { affinity } from '../sys/sched.js';

/** null: this machine does not tell. */
export const machineFacts = z.strictObject({
  /** ISO 8601, UTC: when the run began. */
  date: z.iso.datetime(),
  netferry: z.string(),
  /** Of the sources it was built from, `-dirty` when they were changed since; null outside of a git checkout. */
  commit: z.string().nullable(),
  kernel: z.string(),
  kernelBuild: z.string(),
  architecture: z.string(),
  cpu: z.string(),
  /** CPUs that are online, and those that this process may use. */
  cores: z.int().min(1),
  allowed: z.array(z.int().min(0)),
  /** Whether two of them may be one core's threads. */
  smt: z.boolean().nullable(),
  /** cpufreq's governor of CPU 0. */
  governor: z.string().nullable(),
  clocksource: z.string().nullable(),
  /** What it runs on: `KVM`, `a hypervisor`; null when nothing tells of one. */
  virtualized: z.string().nullable(),
  transparentHugepages: z.string().nullable(),
  /** Bytes. */
  memory: z.int(),
  memoryFree: z.int(),
  /** Over 1, 5 and 15 minutes, when the run began. */
  loadAverage: z.tuple([z.number(), z.number(), z.number()]),
  node: z.string(),
  v8: z.string(),
});

export type MachineFacts = z.infer<typeof machineFacts>;

/** Looks around. `version`: netferry's own. */
export function lookAround(version: string): MachineFacts {
  const cores = cpus();
  const [one, five, fifteen] = loadavg();
  return {
    date: new Date().toISOString(),
    netferry: version,
    commit: commit(),
    kernel: release(),
    kernelBuild: kernelVersion(),
    architecture: arch(),
    cpu: cores[0]?.model.trim() || 'unknown',
    cores: Math.max(1, cores.length),
    allowed: affinity(),
    smt: yesNo(line('/sys/devices/system/cpu/smt/active')),
    governor: line('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    clocksource: line('/sys/devices/system/clocksource/clocksource0/current_clocksource'),
    virtualized: hypervisor(),
    transparentHugepages: chosen(line('/sys/kernel/mm/transparent_hugepage/enabled')),
    memory: totalmem(),
    memoryFree: freemem(),
    loadAverage: [one, five, fifteen],
    node: process.version,
    v8: process.versions.v8,
  };
}

/** A small file's text without its newline; null when it cannot be read, or is empty. */
function line(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch {
    return null;
  }
}

function yesNo(text: string | null): boolean | null {
  return text === null ? null : text === '1';
}

/** `madvise` of `always [madvise] never`. */
export function chosen(text: string | null): string | null {
  return text?.match(/\[([^\]]+)\]/)?.[1] ?? null;
}

/** /sys/hypervisor tells of Xen, DMI of most others; the CPU's own flag says only that there is one. */
function hypervisor(): string | null {
  const type = line('/sys/hypervisor/type');
  if (type !== null) return type === 'xen' ? 'Xen' : type;
  if (!/^flags\s*:.*\bhypervisor\b/m.test(line('/proc/cpuinfo') ?? '')) return null;
  const vendor = line('/sys/class/dmi/id/sys_vendor');
  const product = line('/sys/class/dmi/id/product_name');
  return [vendor, product].filter((name) => name !== null).join(', ') || 'a hypervisor';
}

/** The checkout that this file was built in, if it is one. */
function commit(): string | null {
  const root = rootOfSources();
  if (root === undefined || !existsSync(new URL('.git', root))) return null;
  const git = (...args: string[]) =>
    spawnSync('git', ['-C', fileURLToPath(root), ...args], { encoding: 'utf8', timeout: 5000 });
  const head = git('rev-parse', '--short=12', 'HEAD');
  if (head.status !== 0) return null;
  const changed = git('status', '--porcelain', '--untracked-files=no').stdout.trim() !== '';
  return `${head.stdout.trim()}${changed ? '-dirty' : ''}`;
}

function rootOfSources(): URL | undefined {
  for (let folder = new URL('.', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    if (existsSync(new URL('package.json', folder))) return folder;
  }
  return undefined;
}
