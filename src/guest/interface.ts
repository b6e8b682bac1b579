/** The guest's eth0: a tap in its own network namespace, configured as the daemon said. */
import { addressAdd, linkSet, routeAdd } from '../sys/netlink.js';
import { SetupError } from '../sys/errors.js';
import { openTap, type Tap } from '../sys/tun.js';
import type { GuestGrant } from './options.js';

/** netif carries 65,535 bytes a frame, headers and all; the kernel's own limit for segmentation is a little more. */
const GSO_MAX = 65_000;

export function openGuestInterface(grant: GuestGrant): Tap {
  linkSet('lo', { up: true });
  const tap = openTap('eth0');
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
  return tap;
}
