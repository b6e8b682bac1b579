/** Makes dom0 as it was before a scenario. */
import { readdirSync } from 'node:fs';
import type { Dom0 } from './place.js';

/** What the kernel says when something of it broke; none of it is a scenario's purpose. */
const COMPLAINT = /BUG:|Oops|general protection|segfault at|Call Trace|WARNING: CPU|refcount|stack-protector/;
const DOMAIN = /^\S+\s+(\d+)\s/;
const HELPERS = 'iperf3 socat nc tcpdump ping xl';

/** Destroys guests, namespaces, interfaces and stray helpers. Returns why the boot cannot be used further, or ''. */
export async function sweep(dom0: Dom0): Promise<string> {
  try {
    for (const domid of await domids(dom0)) await dom0.run(`xl destroy ${domid}`, 60);
    // xl itself stays in the background for each guest; what is left of them has lost its guest.
    await dom0.run(`killall -9 ${HELPERS} 2>/dev/null`);
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

/** What the kernel has said since the last call, and its first complaint or ''. */
export async function kernelLog(dom0: Dom0): Promise<{ readonly text: string; readonly complaint: string }> {
  const { stdout } = await dom0.run('dmesg -c');
  return { text: stdout, complaint: stdout.split('\n').find((line) => COMPLAINT.test(line)) ?? '' };
}

async function domids(dom0: Dom0): Promise<number[]> {
  const lines = (await dom0.ok('xl list')).trim().split('\n').slice(1);
  return lines.map((line) => Number(line.match(DOMAIN)?.[1])).filter((domid) => domid > 0);
}
