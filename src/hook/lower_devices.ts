/** What an interface stands on: a bond's slaves, the NIC below a VLAN, and so on down. */
import { type LinkDetails, linkDetailsOf, slavesOf } from '../sys/link_details.js';

/** Kinds whose IFLA_LINK is the interface below them. (A veth's is its other end, a tunnel's what its packets leave by.) */
export const ON_ONE = ['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap', 'macsec', 'dsa'];

/** The kinds that most ports are, of which it need not be asked. */
const NOBODYS_MASTER = ['veth', 'tun'];

export interface Stacked {
  readonly link: LinkDetails;
  /** Nothing is below it that could be found, and nothing will be: hardware, or a veth. */
  readonly lowest: boolean;
  /** It carries the frames of one VLAN alone to the first. */
  readonly belowVlan: boolean;
}

/**
 * The interface and all that it stands on, the upper ones first, each once: those that the kernel's
 * netdev_for_each_lower_dev would find, as far as they are in this network namespace. [] for one that is gone. Throws
 * SysError.
 */
export function stackOf(ifindex: number): Stacked[] {
  const found = new Map<number, Stacked>();
  const walk = (link: LinkDetails | undefined, belowVlan: boolean): void => {
    if (!link || found.has(link.index)) return;
    const slaves = NOBODYS_MASTER.includes(link.kind) ? [] : slavesOf(link.index);
    const hardware = link.kind === '' || link.kind === 'veth';
    found.set(link.index, { link, lowest: hardware && slaves.length === 0, belowVlan });
    for (const slave of slaves) walk(slave, belowVlan);
    if (ON_ONE.includes(link.kind) && link.lower !== 0 && !link.crossesNamespace) {
      walk(linkDetailsOf(link.lower), belowVlan || link.kind === 'vlan');
    }
  };
  walk(linkDetailsOf(ifindex), false);
  return [...found.values()];
}
