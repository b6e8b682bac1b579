/** The guest's eth0: a tap in its network namespace, configured as the daemon, or the toolstack, said. */
import { writeFileSync } from 'node:fs';
import { SetupError } from '../sys/errors.js';
import { addressAdd, linkSet, routeAdd } from '../sys/netlink.js';
import { openTap, openTapQueue } from '../sys/tun.js';
import type { GuestGrant } from './options.js';

/**
 * Bytes of a frame, without the tag of a VLAN interface, from which on the kernel segments it itself (gso_features_check() in
 * net/core/dev.c): netif carries 65,535, headers and tag and all. No less, or TCP's frames carry a segment less than they could.
 */
const GSO_MAX = 65_535 - 4 + 1;

/** A tap with a descriptor for each of its queues. */
export interface GuestInterface {
  readonly name: string;
  readonly fds: readonly number[];
}

export function openGuestInterface(
  name: string,
  grant: Pick<GuestGrant, 'mac' | 'mtu' | 'addresses' | 'gateway'>,
  queues = 1,
): GuestInterface {
  linkSet('lo', { up: true });
  const tap = openTap(name, { multiQueue: queues > 1 });
  const fds = [tap.fd];
  while (fds.length < queues) fds.push(openTapQueue(name));
  linkSet(tap.name, { mac: grant.mac, mtu: grant.mtu, gsoMaxSize: GSO_MAX });
  linkSet(tap.name, { up: true });
  for (const address of grant.addresses) addressAdd(tap.name, address);
  for (const via of grant.gateway) {
    try {
      routeAdd({ to: 'default', via, dev: tap.name });
    } catch (error) {
      // Without IPv6 in this kernel, say: the guest still reaches its neighbours.
      if (!(error instanceof SetupError)) throw error;
    }
  }
  return { name: tap.name, fds };
}

/**
 * Gratuitous ARP and unsolicited neighbour advertisements, once frames flow (xen-netfront: netdev_notify_peers). Our
 * addresses may have been another guest's a moment ago, and the neighbours still remember that one's MAC.
 */
export function announce(name: string, mac: string): void {
  for (const key of [`ipv4/conf/${name}/arp_notify`, `ipv6/conf/${name}/ndisc_notify`]) {
    try {
      writeFileSync(`/proc/sys/net/${key}`, '1');
    } catch {
      // no IPv6, or a /proc that is read-only: neighbours notice later by themselves
    }
  }
  linkSet(name, { mac }); // the same again: the kernel takes it as the occasion
}
