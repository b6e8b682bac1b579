/** Makes dom0 as it was before a scenario. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Dom0 } from './place.js';

/** What the kernel says when something of it broke; none of it is a scenario's purpose. */
const COMPLAINT = /BUG:|Oops|general protection|segfault at|Call Trace|WARNING: CPU|refcount|stack-protector/;
const DOMAIN = /^\S+\s+(\d+)\s/;
/** In the environment of a scenario and of all that it starts, whoever its parent is now. */
export const MARK = { NETFERRY_SCENARIO: '1' };

/** Destroys guests, namespaces, interfaces and stray helpers. Returns why the boot cannot be used further, or ''. */
export async function sweep(dom0: Dom0): Promise<string> {
  try {
    for (const domid of await domids(dom0)) await dom0.run(`xl destroy ${domid}`, 60);
    killMarked();
    for (const name of readdirSync('/run/netns')) await dom0.run(`ip netns del ${name}`);
    for (const name of readdirSync('/sys/class/net')) {
      if (!/^(lo|bonding_masters)$/.test(name)) await dom0.run(`ip link del ${name}`);
    }
    await dom0.run('rm -f /tmp/*.cfg /tmp/*.save; rmmod xen_netback');
    const left = await domids(dom0);
    return left.length > 0 ? `domains ${left} cannot be destroyed` : '';
  } catch (error) {
    return `clearing up failed: ${error instanceof Error ? error.message : error}`;
  }
}

function killMarked(): void {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').includes('NETFERRY_SCENARIO=')) {
        process.kill(Number(name), 'SIGKILL');
      }
    } catch {
      // Gone meanwhile, or the kernel's own.
    }
  }
}

/** What the kernel has said since the last call, and its first complaint or ''. */
export async function kernelLog(dom0: Dom0): Promise<{ readonly text: string; readonly complaint: string }> {
  const { stdout } = await dom0.run('dmesg -c');
  return { text: stdout, complaint: stdout.split('\n').find((line) => COMPLAINT.test(line)) ?? '' };
}

async function domids(dom0: Dom0): Promise<number[]> {
  const lines = (await dom0.ok('xl list')).trim().split('\n').slice(1);
  return lines.map((line) => Number(line.match(DOMAIN)?.[1])).filter((domid) => domid > 0);
}
