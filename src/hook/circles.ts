/**
 * Interfaces between which frames would go in circles if one hook had both: the ends of a veth, a macvlan and what it
 * stands on, a bridge and its members. What the one is sent comes in by the other, and a group's frame goes out by all
 * once more: one broadcast would keep the machine busy for good, and nothing would end it.
 */
import { SetupError } from '../sys/errors.js';
import { type LinkDetails, linkDetailsList } from '../sys/link_details.js';
import { ON_ONE } from './lower_devices.js';

/** An interface of the hook, and what is reached by it. */
export interface Reaching {
  readonly name: string;
  readonly ifindex: number;
  /** Indexes, as `reachOf` found them. */
  readonly reach: ReadonlySet<number>;
}

/**
 * Indexes of the interfaces of this namespace that a frame could come to which is sent out of `device`, and of itself.
 * Throws SysError.
 */
export function reachOf(
  device: LinkDetails,
  list: () => readonly LinkDetails[] = linkDetailsList,
): ReadonlySet<number> {
  const reached = new Set([device.index]);
  // Most ports lead out of the namespace, or to a process.
  if (device.kind === 'tun' || (device.kind === 'veth' && device.crossesNamespace)) return reached;
  const all = list();
  for (const index of reached) {
    const one = all.find((link) => link.index === index);
    if (one) for (const next of [...downwards(one), ...upwards(one, all)]) reached.add(next);
  }
  return reached;
}

/** Throws SetupError if a frame from one of these could come to `device`, or the other way. */
export function refuseCircles(device: Reaching, inUse: Iterable<Reaching>): void {
  for (const one of inUse) {
    if (one.ifindex === device.ifindex) continue;
    if (!device.reach.has(one.ifindex) && !one.reach.has(device.ifindex)) continue;
    throw new SetupError(
      `${device.name} and ${one.name} lead to each other: frames would go in circles`,
      'the ends of a veth, what stands on an interface, a bridge and its members: use one of them',
    );
  }
}

function downwards({ kind, lower, master, masterKind, crossesNamespace }: LinkDetails): number[] {
  const down = lower !== 0 && !crossesNamespace && (kind === 'veth' || ON_ONE.includes(kind)) ? [lower] : [];
  return master !== 0 && masterKind !== 'vrf' ? [...down, master] : down;
}

/** Not to VLAN interfaces on it: those of one trunk are networks apart. */
function upwards({ index, kind }: LinkDetails, all: readonly LinkDetails[]): number[] {
  const stands = (other: LinkDetails) =>
    other.lower === index && other.kind !== 'vlan' && downwards(other).includes(index);
  const belongs = (other: LinkDetails) => other.master === index && kind !== 'vrf';
  return all.filter((other) => stands(other) || belongs(other)).map((other) => other.index);
}
