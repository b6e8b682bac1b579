/**
 * The same two guests and the same wire, joined by each contestant; every box a network namespace, every line a veth.
 *
 *     remote ───── up0 ┐
 *                      ├ a bridge, or the hook, in the host's namespace
 *     a, b ──── pa, pb ┘
 *
 * `direct` has no host in between: a and b, and a and remote, share one veth. What it takes is the sender's and the
 * receiver's own work, the same for all.
 */
import { fileURLToPath } from 'node:url';
import type { Namespaces, Netns } from '../../src/lab/traffic/netns.js';
import { end, untilSays } from '../../src/lab/traffic/netns.js';

const HOLDER = fileURLToPath(new URL('./holder.js', import.meta.url));

export const CONTESTANTS = [
  'direct',
  'bridge+netfilter',
  'bridge',
  'hook',
  'hook+peer',
  'hook clsact',
] as const;
export type Contestant = (typeof CONTESTANTS)[number];

export interface Box {
  readonly ns: Netns;
  readonly address: string;
}

export interface Place {
  readonly a: Box;
  readonly b: Box;
  readonly remote: Box;
  close(): Promise<void>;
}

const mac = (number: number) => `02:00:00:09:00:${number.toString(16).padStart(2, '0')}`;

async function box(namespaces: Namespaces, number: number): Promise<Box> {
  return { ns: await namespaces.add(), address: `10.209.0.${number}` };
}

/** One end of a veth in `box`, its other called `name` in `host`. */
async function plug(host: Netns, name: string, { ns, address }: Box): Promise<void> {
  await host.ip(`link add ${name} type veth peer name eth0 netns ${ns.pid}`, `link set ${name} up`);
  const number = Number(address.split('.')[3]);
  await ns.ip(`link set eth0 address ${mac(number)}`, 'link set eth0 up', `addr add ${address}/24 dev eth0`);
}

export async function build(namespaces: Namespaces, contestant: Contestant): Promise<Place> {
  const [a, b, remote] = [await box(namespaces, 11), await box(namespaces, 12), await box(namespaces, 2)];
  const place = { a, b, remote, close: async () => {} };
  if (contestant === 'direct') {
    await a.ns.ip(`link add eth0 type veth peer name eth0 netns ${b.ns.pid}`, 'link set eth0 up');
    await b.ns.ip('link set eth0 up', `addr add ${b.address}/24 dev eth0`);
    await a.ns.ip(`addr add ${a.address}/24 dev eth0`);
    await a.ns.ip(`link add eth1 type veth peer name eth0 netns ${remote.ns.pid}`, 'link set eth1 up');
    await a.ns.ip(`route add ${remote.address} dev eth1`);
    await remote.ns.ip('link set eth0 up', `addr add ${remote.address}/24 dev eth0`);
    return place;
  }
  const host = await namespaces.add();
  await plug(host, 'up0', remote);
  await plug(host, 'pa', a);
  await plug(host, 'pb', b);
  if (contestant.startsWith('bridge')) {
    await host.ip('link add br0 type bridge', 'link set br0 up', 'addr add 10.209.0.1/24 dev br0');
    for (const name of ['up0', 'pa', 'pb']) await host.ip(`link set ${name} master br0`);
    const filtered = contestant === 'bridge+netfilter' ? 1 : 0;
    await host.exec(['sh', '-c', `echo ${filtered} > /proc/sys/net/bridge/bridge-nf-call-iptables`]);
    if (filtered) {
      const chain = 'add chain ip filter forward { type filter hook forward priority 0; }';
      const rule = 'add rule ip filter forward ip saddr 10.209.0.0/24 counter accept';
      await host.exec(['nft', `add table ip filter; ${chain}; ${rule}`]);
    }
    return place;
  }
  await host.ip('addr add 10.209.0.1/24 dev up0');
  const options = {
    mode: contestant === 'hook clsact' ? 'clsact' : 'tcx',
    uplink: 'up0',
    uplinkPeer: contestant === 'hook+peer',
    ports: [
      { name: 'pa', macs: [mac(11)], peer: contestant === 'hook+peer' },
      { name: 'pb', macs: [mac(12)], peer: contestant === 'hook+peer' },
    ],
  };
  const holder = host.spawn([process.execPath, HOLDER, JSON.stringify(options)]);
  await untilSays(holder, 'ready');
  return { ...place, close: () => end(holder) };
}
