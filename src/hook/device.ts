/** Which interfaces may be an uplink or a port, and why not. */
import { existsSync, readFileSync } from 'node:fs';
import { ETH_HLEN, VLAN_HLEN } from '../abi/if_ether.js';
import { SetupError } from '../sys/errors.js';
import { type LinkDetails, linkDetails } from '../sys/link_details.js';

/** linux/if_arp.h */
const ARPHRD_ETHER = 1;

/** The interface `name` of this network namespace, fit for the hook. Throws SetupError with one clear line. */
export function usableDevice(name: string, role: 'uplink' | 'port'): LinkDetails {
  const link = linkDetails(name);
  if (!link) {
    throw new SetupError(
      `no interface ${JSON.stringify(name)} in this network namespace`,
      'see: ip link; an interface of another namespace cannot be used from here',
    );
  }
  if (link.loopback) throw new SetupError(`${name} is the loopback interface: it leads nowhere`);
  if (link.hardware !== ARPHRD_ETHER || link.mac === '') {
    throw new SetupError(
      `${name} carries no Ethernet frames`,
      'tunnels and point-to-point links have no MACs',
    );
  }
  if (link.master !== 0) {
    throw new SetupError(
      `${name} belongs to a ${link.masterKind || 'master'} already`,
      link.masterKind === 'bridge'
        ? `take it out first: ip link set ${name} nomaster`
        : 'use the master instead',
    );
  }
  if (role === 'uplink' && isWireless(link)) {
    throw new SetupError(
      `${name} is wireless: its access point takes frames from its own MAC alone`,
      'use a wired uplink, or route instead',
    );
  }
  return link;
}

/** By sysfs, if the one mounted here shows this namespace's interfaces. */
function isWireless(link: LinkDetails): boolean {
  const folder = `/sys/class/net/${link.name}`;
  try {
    if (Number(readFileSync(`${folder}/ifindex`, 'latin1')) !== link.index) return false;
  } catch {
    return false;
  }
  return existsSync(`${folder}/phy80211`) || existsSync(`${folder}/wireless`);
}

/**
 * Bytes of the longest frame that fits its MTU, as bridges count them (net/core/dev.c, __is_skb_forwardable): with one VLAN
 * tag in band. The outer one of a frame that came in is not among its bytes.
 */
export function longestFrame({ mtu }: LinkDetails): number {
  return mtu + ETH_HLEN + VLAN_HLEN;
}

/** Whether frames can skip this interface and arrive at its other end (bpf_redirect_peer). */
export function hasPeer(link: LinkDetails): boolean {
  return link.kind === 'veth' && link.crossesNamespace;
}

/** Throws SetupError unless `hasPeer`. */
export function requirePeer(link: LinkDetails): void {
  if (hasPeer(link)) return;
  throw new SetupError(
    `${link.name} is no veth whose other end is in another namespace`,
    'only there can frames skip the interface',
  );
}
