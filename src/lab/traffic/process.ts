/** What a process costs in CPU and memory, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Ticks a second in /proc/PID/stat. The kernel shows times to user space in USER_HZ, which is 100 on every
 * architecture Node runs on, whatever HZ the kernel itself was built with (asm-generic/param.h).
 */
const USER_HZ = 100;

/** CPU time of a process or of one of its threads so far, in seconds. */
export interface CpuTime {
  user: number;
  system: number;
}

/** utime and stime, fields 14 and 15 of proc_pid_stat(5). The name, field 2, may hold spaces and brackets. */
export function parseStat(text: string): CpuTime & { comm: string } {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  return {
    comm: text.slice(open + 1, close),
    user: Number(fields[11]) / USER_HZ,
    system: Number(fields[12]) / USER_HZ,
  };
}

/** CPU spent over an interval, in per cent of one core (a process of many threads may exceed 100). */
export interface CpuUse {
  percent: number;
  userPercent: number;
  systemPercent: number;
  /** Length of the interval. */
  seconds: number;
  /** Seconds on a CPU within it. */
  cpuSeconds: number;
  /** Threads alive at both ends, the busiest first. */
  threads: { tid: number; name: string; percent: number }[];
}

interface CpuSample {
  at: bigint;
  total: CpuTime;
  threads: Map<number, { name: string; seconds: number }>;
}

/** Starts to watch `pid`; the function returned says what was spent since. Throws ENOENT if it is gone. */
export function watchCpu(pid: number): () => CpuUse {
  const before = sampleCpu(pid);
  return () => cpuBetween(before, sampleCpu(pid));
}

/** Watches `pid` for `ms` milliseconds. */
export async function cpuOver(pid: number, ms: number): Promise<CpuUse> {
  const stop = watchCpu(pid);
  await new Promise((resolve) => setTimeout(resolve, ms));
  return stop();
}

function sampleCpu(pid: number): CpuSample {
  const at = process.hrtime.bigint();
  const threads: CpuSample['threads'] = new Map();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const thread = sampleThread(`/proc/${pid}/task/${tid}`);
    if (thread) threads.set(Number(tid), thread);
  }
  return { at, total: parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1')), threads };
}

/** One thread; undefined if it ended meanwhile. schedstat counts nanoseconds, stat only hundredths. */
function sampleThread(dir: string): { name: string; seconds: number } | undefined {
  try {
    const stat = parseStat(readFileSync(`${dir}/stat`, 'latin1'));
    const exact = readIfThere(`${dir}/schedstat`);
    const seconds = exact ? Number(exact.split(' ')[0]) / 1e9 : stat.user + stat.system;
    return { name: stat.comm, seconds };
  } catch {
    return undefined;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // a kernel without CONFIG_SCHED_INFO
  }
}

function cpuBetween(before: CpuSample, after: CpuSample): CpuUse {
  const seconds = Number(after.at - before.at) / 1e9;
  const threads = [...after.threads].flatMap(([tid, now]) => {
    const then = before.threads.get(tid);
    return then ? [{ tid, name: now.name, percent: (100 * (now.seconds - then.seconds)) / seconds }] : [];
  });
  threads.sort((a, b) => b.percent - a.percent);
  const user = after.total.user - before.total.user;
  const system = after.total.system - before.total.system;
  // The threads' sum is exact to the nanosecond, the process's own total to 10 ms, but the total also has
  // the threads that came and went in between. So: the sum, unless the total shows that it missed some.
  const exact = (threads.reduce((sum, t) => sum + t.percent, 0) * seconds) / 100;
  const cpuSeconds = user + system - exact > 2 / USER_HZ ? user + system : exact;
  return {
    percent: (100 * cpuSeconds) / seconds,
    userPercent: (100 * user) / seconds,
    systemPercent: (100 * system) / seconds,
    seconds,
    cpuSeconds,
    threads,
  };
}

/** Resident memory of a process in bytes. */
export interface Memory {
  /** Every resident page, those shared with others in full (VmRSS). */
  rss: number;
  /** The most it ever was (VmHWM). */
  peak: number;
  /** Shared pages divided among their owners; undefined where smaps_rollup may not be read. */
  pss: number | undefined;
}

/** Throws ENOENT if the process is gone. */
export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const rollup = readIfThere(`/proc/${pid}/smaps_rollup`);
  return {
    rss: parseKb(status, 'VmRSS') ?? 0,
    peak: parseKb(status, 'VmHWM') ?? 0,
    pss: rollup === undefined ? undefined : parseKb(rollup, 'Pss'),
  };
}

/** Bytes of the line `key:   123 kB`, as status and smaps_rollup write them; undefined without that line. */
export function parseKb(text: string, key: string): number | undefined {
  const line = text.split('\n').find((l) => l.startsWith(`${key}:`));
  const kb = line?.match(/:\s*(\d+) kB/)?.[1];
  return kb === undefined ? undefined : Number(kb) * 1024;
}
