/**
 * The records in the hook's maps, as programs and user space both see them. Little-endian.
 *
 *   macs       hash    MAC as u64 key        → slot: where a frame to that MAC goes, as the table's owner says. No program
 *                      writes here, so nothing that programs find, however late, undoes what the owner enters
 *   learned    hash    MAC as u64 key        → slot, when last seen: the same by programs' finding, if macs says nothing
 *   ports      array   slot                  → interface, flags, own MAC, first IPv4 address, longest frame
 *   groups     array   0 … count-1           → interface, slot and longest frame of each receiver of group frames
 *   addresses  hash    slot, family, address → the IP addresses a port may use
 *   learns     array   slot                  → how many MACs programs have learned there, less those that moved away
 *   limits     array   slot                  → up to where `learns` may go. Programs write the one and the owner this, so
 *                      neither loses the other's change
 *   counters   per-CPU array, slot           → u64 each, COUNTERS below
 *   config     array of one                  → uplink, fallback, count of group receivers
 *   programs   program array                 → what ports' programs end in: a tail call
 */

/** Slot of the wire behind the uplink. No frame goes there by table: what nobody owns does. */
export const SLOT_WIRE = 0;
/** Slot of the host's own stack, behind the uplink. */
export const SLOT_HOST = 1;
/** First slot of a port. */
export const SLOT_PORTS = 2;
/** Slots: wire, host and 510 ports. */
export const SLOTS = 512;
export const MACS_MAX = 16_384;
export const ADDRESSES_MAX = 8192;
/** Learned ones, of all ports together. They have a map to themselves: what guests make up takes no room from the owner. */
export const LEARNED_MOST = 12_288;

// MAC: six bytes in wire order, the first in the lowest byte of the u64.
export const MAC_KEY_SIZE = 8;
export const MAC_SLOT = 0;
export const MAC_ENTRY_SIZE = 8;

/** Where MAC_SLOT is, so that one load serves both. */
export const LEARNED_SLOT = MAC_SLOT;
/** CLOCK_MONOTONIC nanoseconds. */
export const LEARNED_SEEN = 8;
export const LEARNED_ENTRY_SIZE = 16;

/** 0: nobody there. */
export const PORT_IFINDEX = 0;
export const PORT_FLAGS = 4;
/** MAC_NONE: no source is it, all zeros neither. */
export const PORT_MAC = 8;
export const MAC_NONE = 0xffff_ffff_ffff_ffffn;
/** The first IPv4 address it may use, so that most frames need no look-up in `addresses`; 0: none. */
export const PORT_IPV4 = 16;
/** Bytes of the longest frame that it takes: its MTU, Ethernet header and a VLAN tag. */
export const PORT_LONGEST = 20;
/** A power of two: the look-up that the kernel makes of it in place shifts instead of multiplying. */
export const PORT_ENTRY_SIZE = 32;
/** Frames skip the interface and arrive at its other end: bpf_redirect_peer. */
export const PORT_PEER = 1;
/** Source MACs are learned. */
export const PORT_LEARN = 2;
/** IP, ARP and ND senders must be in `addresses`. */
export const PORT_CHECKED = 4;

/** 0: a hole. */
export const GROUP_IFINDEX = 0;
/** u16 */
export const GROUP_SLOT = 4;
/** u16; as PORT_LONGEST, or LONGEST_MAX. */
export const GROUP_LONGEST = 6;
export const GROUP_ENTRY_SIZE = 8;

export const ADDRESS_SLOT = 0;
/** 4 or 6. */
export const ADDRESS_FAMILY = 4;
/** An IPv4 address has four bytes, then zeros. */
export const ADDRESS_BYTES = 8;
export const ADDRESS_KEY_SIZE = 24;
export const ADDRESS_ENTRY_SIZE = 4;

/** u32, around past its end: only the difference of the two means something. */
export const LEARN_COUNT_SIZE = 4;

/** 0: no uplink. */
export const CONFIG_UPLINK = 0;
/** Slot of the port where unknown unicast goes when there is no uplink; 0: nowhere. */
export const CONFIG_FALLBACK = 4;
/** How many entries of `groups` are looked at. */
export const CONFIG_GROUPS = 8;
/** PORT_PEER: frames for the wire skip the uplink too. PORT_LEARN: some port learns. */
export const CONFIG_FLAGS = 12;
/** Of the wire, as PORT_LONGEST; without an uplink LONGEST_MAX. */
export const CONFIG_LONGEST = 16;
export const CONFIG_SIZE = 20;

/** Nothing that is not cut on its way is longer. */
export const LONGEST_MAX = 0xffff;

/** In `programs`: where a port's group frames go. */
export const PROGRAM_GROUP = 0;
export const PROGRAMS = 1;

/**
 * Counters of a slot, seen from the switch: `rx` came from there, `tx` went there. Those of wire and host hold
 * what was carried for ports; the host's own traffic with the wire is not touched and not counted.
 */
export const COUNTERS = [
  'rxFrames',
  'rxBytes',
  'txFrames',
  'txBytes',
  /** No whole Ethernet header. */
  'dropRunt',
  /** Source MAC is a group or another's. */
  'dropSpoofedMac',
  /** ARP sender is not the port's. */
  'dropSpoofedArp',
  /** Neighbour discovery for another's address or MAC, router advertisement or redirect. */
  'dropSpoofedNd',
  /** IP source is not the port's. */
  'dropSpoofedIp',
  /** To 01:80:c2:00:00:0x (spanning tree, pause, LACP, LLDP), which no switch forwards. */
  'dropReserved',
  /** To the port it came from. */
  'dropEcho',
  /** To nobody known, and there is no uplink. */
  'dropUnknown',
  /** The receiver is being removed. */
  'dropGone',
  /** A learning port has as many MACs as it may, or all together have. */
  'dropLearnFull',
  /** The kernel refused the copy of a group frame for this receiver: interface down, or out of memory. */
  'dropClone',
  /** Longer than the receiver's MTU allows. */
  'dropOversize',
] as const;
export type CounterName = (typeof COUNTERS)[number];
export const COUNTERS_SIZE = COUNTERS.length * 8;

export function counterOffset(name: CounterName): number {
  return COUNTERS.indexOf(name) * 8;
}

/**
 * skb->mark of a frame that has its verdict and passes the uplink's programs once more: they take the mark off and
 * let it through. Between network namespaces the kernel clears marks, so none comes from a guest.
 */
export const ROUTED = 0x4e46_5244;
