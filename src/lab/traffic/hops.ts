/**
 * Two guests, a host and a machine behind its wire, and what carries frames between them: every box a network
 * namespace, every line a veth.
 *
 *     remote ───── up0 ┐
 *                      ├ the hop: a bridge, macvlan, the hook; in the host's namespace
 *     a, b ──── pa, pb ┘
 *
 * `direct` has none: a and b, and a and remote, share a veth. What it takes is the sender's and the receiver's own
 * work, the same for all. `wire` and `hooked wire` have no guests: host and remote, without the hook and with it.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { HookOptions, PortOptions } from '../../hook/options.js';
import { SetupError } from '../../sys/errors.js';
import { programMissing } from './iperf.js';
import type { Box } from './load.js';
import { end, Namespaces, type Netns, untilSays } from './netns.js';

const HOOK = fileURLToPath(new URL('./hook_main.js', import.meta.url));

export const HOPS = [
  'bridge, netfilter on',
  'bridge, netfilter off',
  'macvlan',
  'hook',
  'hook, through the uplink',
  'hook, plain redirect',
  'hook, clsact',
  'direct',
  'wire',
  'hooked wire',
] as const;
export type Hop = (typeof HOPS)[number];

export type Name = 'a' | 'b' | 'remote' | 'host';

/** Boxes that can speak with each other; `host` is absent where it and the guests cannot. */
export interface Place extends Partial<Readonly<Record<Name, Box>>> {
  readonly host?: Box;
  readonly remote: Box;
  close(): Promise<void>;
}

const MASK = 24;
const ADDRESS: Readonly<Record<Name, string>> = {
  host: '10.209.0.1',
  remote: '10.209.0.2',
  a: '10.209.0.11',
  b: '10.209.0.12',
};
const MAC: Readonly<Record<Name, string>> = {
  host: '02:00:00:09:00:01',
  remote: '02:00:00:09:00:02',
  a: '02:00:00:09:00:11',
  b: '02:00:00:09:00:12',
};
/** A network namespace's own, like all below net/; br_netfilter brings them (Linux ≥ 5.3). */
const NETFILTER = ['iptables', 'ip6tables', 'arptables'].map(
  (of) => `/proc/sys/net/bridge/bridge-nf-call-${of}`,
);

/** Builds hops; the namespaces of all of them end together. */
export class HopYard {
  readonly #spaces: Namespaces;
  readonly #places: Place[] = [];

  private constructor(spaces: Namespaces) {
    this.#spaces = spaces;
  }

  /** Throws SetupError where no namespaces are to be had. */
  static async open(): Promise<HopYard> {
    return new HopYard(await Namespaces.open());
  }

  /** Throws SetupError: what this machine lacks for this hop, or what went wrong. */
  async build(hop: Hop): Promise<Place> {
    const missing = hop === 'bridge, netfilter on' ? netfilterMissing() : undefined;
    if (missing !== undefined) throw new SetupError(missing);
    const place = await this.#make(hop);
    this.#places.push(place);
    await untilAllReach(place);
    return place;
  }

  async close(): Promise<void> {
    for (const place of this.#places.splice(0)) await place.close();
    await this.#spaces.close();
  }

  async #make(hop: Hop): Promise<Place> {
    const box = async (name: Name): Promise<Box> => ({
      ns: await this.#spaces.add(),
      address: ADDRESS[name],
    });
    const close = async () => {};
    const [host, remote] = await Promise.all([box('host'), box('remote')]);
    await plug(host.ns, 'up0', remote, MAC.remote);
    if (hop === 'wire' || hop === 'hooked wire') {
      await host.ns.ip(`addr add ${host.address}/${MASK} dev up0`);
      if (hop === 'wire') return { host, remote, close };
      return { host, remote, close: await hold(host.ns, { uplink: 'up0', ports: [] }) };
    }
    const [a, b] = await Promise.all([box('a'), box('b')]);
    if (hop === 'direct') {
      await host.ns.ip('link del up0');
      await share(a, 'eth0', b, 'eth0');
      await share(a, 'eth1', remote, 'eth0');
      return { a, b, remote, close };
    }
    if (hop === 'macvlan') {
      for (const [guest, mac] of [
        [a, MAC.a],
        [b, MAC.b],
      ] as const) {
        const link = `link add link up0 name mv0 address ${mac} netns ${guest.ns.pid} type macvlan mode bridge`;
        await host.ns.ip(link);
        await guest.ns.ip('link set mv0 name eth0', 'link set eth0 up');
        await guest.ns.ip(`addr add ${guest.address}/${MASK} dev eth0`);
      }
      return { a, b, remote, close };
    }
    await plug(host.ns, 'pa', a, MAC.a);
    await plug(host.ns, 'pb', b, MAC.b);
    if (hop.startsWith('bridge')) {
      await bridge(host, hop === 'bridge, netfilter on');
      return { a, b, remote, host, close };
    }
    await host.ns.ip(`addr add ${host.address}/${MASK} dev up0`);
    const plain = hop === 'hook, plain redirect';
    const peer = plain ? { peer: false } : {};
    const closeHook = await hold(host.ns, {
      uplink: 'up0',
      mode: hop === 'hook, clsact' ? 'clsact' : 'tcx',
      ...(plain || hop === 'hook, through the uplink' ? { uplinkPeer: false } : {}),
      ports: [
        { name: 'pa', macs: [MAC.a], ...peer },
        { name: 'pb', macs: [MAC.b], ...peer },
      ],
    });
    return { a, b, remote, host, close: closeHook };
  }
}

/** Why bridged frames cannot pass netfilter here; undefined if they can. */
export function netfilterMissing(): string | undefined {
  if (!existsSync(NETFILTER[0])) return 'the kernel’s br_netfilter is not there (modprobe br_netfilter)';
  return programMissing('nft', 'nftables');
}

/** One end of a veth is eth0 in `box`, its other end `name` in `host`. */
async function plug(host: Netns, name: string, { ns, address }: Box, mac: string): Promise<void> {
  await host.ip(`link add ${name} type veth peer name eth0 netns ${ns.pid}`, `link set ${name} up`);
  await ns.ip(`link set eth0 address ${mac}`, 'link set eth0 up', `addr add ${address}/${MASK} dev eth0`);
}

/** A veth between two boxes, with a route to the other's address alone. */
async function share(one: Box, name: string, other: Box, otherName: string): Promise<void> {
  await one.ns.ip(`link add ${name} type veth peer name ${otherName} netns ${other.ns.pid}`);
  for (const [box, link, to] of [
    [one, name, other],
    [other, otherName, one],
  ] as const) {
    await box.ns.ip(`link set ${link} up`, `addr add ${box.address} peer ${to.address} dev ${link}`);
  }
}

/** Netfilter by the bridge's own switch; that of the namespace is off. One rule, that every bridged frame meets. */
async function bridge({ ns, address }: Box, netfilter: boolean): Promise<void> {
  const off = `for file in ${NETFILTER.join(' ')}; do [ ! -e $file ] || echo 0 > $file; done`;
  await ns.exec(['sh', '-c', off]);
  const option = netfilter ? ' nf_call_iptables 1' : '';
  await ns.ip(`link add br0 type bridge${option}`, 'link set br0 up', `addr add ${address}/${MASK} dev br0`);
  for (const name of ['up0', 'pa', 'pb']) await ns.ip(`link set ${name} master br0`);
  if (!netfilter) return;
  const chain = 'add chain ip filter forward { type filter hook forward priority 0; }';
  const rule = 'add rule ip filter forward ip saddr 10.209.0.0/24 counter accept';
  await ns.exec(['nft', `add table ip filter; ${chain}; ${rule}`]);
}

/** A process that holds the hook; what ends it. */
async function hold(
  ns: Netns,
  options: HookOptions & { ports: PortOptions[] },
): Promise<() => Promise<void>> {
  const holder = ns.spawn([process.execPath, HOOK, JSON.stringify(options)]);
  await untilSays(holder, 'ready', 15_000);
  return () => end(holder);
}

/** Everybody finds a's (or the host's) MAC, and the other way round. */
async function untilAllReach({ a, b, remote, host }: Place): Promise<void> {
  const from = a ?? host;
  if (!from) return;
  for (const to of [b, remote, a && host]) {
    if (!to) continue;
    const { status } = await from.ns.run(['ping', '-c', '1', '-w', '10', '-i', '0.2', to.address]);
    if (status !== 0) throw new SetupError(`no ping from ${from.address} to ${to.address} within 10 s`);
  }
}
