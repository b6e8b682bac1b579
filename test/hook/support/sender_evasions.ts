/**
 * What somebody would try who is held to his addresses, beside what real hosts send that looks like it. Rows as those of
 * `senders.ts`.
 */
import { arp, bytes, extension, fragment, ipv4, ipv6, ND, nd, option, snap, udp } from './frames.js';
import {
  discovery,
  HOST,
  ICMPV6,
  LINK_LOCAL,
  MINE,
  type Row,
  rows,
  STABLE,
  THEIRS,
  V4,
  V6,
} from './senders.js';

const IP = 'spoofed-ip';
const ARP = 'spoofed-arp';
const ND_ = 'spoofed-nd';
const [IPV4, IPV6, ARP_, RARP] = [0x0800, 0x86dd, 0x0806, 0x8035];
const [OTHER_V4, OTHER_V6] = ['10.0.0.11', 'fd00::b'];
const NOBODY = '0.0.0.0';
const BROADCAST = '255.255.255.255';
const [IGMP, UDP, TCP, IN_IPV6, ESP, AH, NONE, DSTOPTS, HOPOPTS, FRAGMENT] = [
  2, 17, 6, 41, 50, 51, 59, 60, 0, 44,
];

const own4 = ipv4(V4, '10.0.0.1');
const others4 = ipv4(OTHER_V4, '10.0.0.1');
const own6 = ipv6(V6, 'fd00::1', UDP, udp(1, 2));
const others6 = ipv6(OTHER_V6, 'fd00::1', UDP, udp(1, 2));
const ownArp = arp(1, MINE, V4, '10.0.0.1');
const othersArp = arp(2, MINE, '10.0.0.1', V4);
const othersAdvert = discovery(ND.advert, OTHER_V6, option(2, MINE)).subarray(40);
const ownAdvert = discovery(ND.advert, V6, option(2, MINE)).subarray(40);

/** The same bytes with some others at `at`. */
const patched = (data: Uint8Array, at: number, ...patch: number[]) => {
  const copy = data.slice();
  copy.set(patch, at);
  return copy;
};
const operation = (packet: Uint8Array, code: number) => patched(packet, 6, 0, code);
/** 802.3: the length is in the ethertype's place. */
const ieee = (name: string, payload: Uint8Array, why?: string): Row => [name, payload.length, payload, why];
/** With bytes behind the packet that it does not count as its own. */
const padded = (packet: Uint8Array, ...padding: number[]) => bytes(packet, padding);
/** An IPv4 header with its fields as given. */
const unaddressed = (to: string, protocol: number, payload: Uint8Array) =>
  ipv4(NOBODY, to, protocol, payload);

// biome-ignore format: one row a case
const evasions: readonly Row[] = [
  // 802.3, LLC, SNAP (RFC 1042)
  ieee('SNAP: own IPv4', snap(IPV4, own4)),
  ieee('SNAP: another’s IPv4', snap(IPV4, others4), IP),
  ieee('SNAP: own ARP', snap(ARP_, ownArp)),
  ieee('SNAP: another’s ARP', snap(ARP_, othersArp), ARP),
  ieee('SNAP: own IPv6', snap(IPV6, own6)),
  ieee('SNAP: another’s IPv6', snap(IPV6, others6), IP),
  ieee('SNAP: another’s advertisement', snap(IPV6, discovery(ND.advert, OTHER_V6, option(2, MINE))), ND_),
  ieee('SNAP by the bridge tunnel: another’s ARP', snap(ARP_, othersArp, 0xf8), ARP),
  ieee('SNAP by the bridge tunnel: another’s IPv4', snap(IPV4, others4, 0xf8), IP),
  ieee('SNAP as a response', patched(snap(ARP_, othersArp), 1, 0xab), ARP),
  ieee('SNAP to a group of access points', patched(snap(ARP_, othersArp), 0, 0xab), ARP),
  ieee('SNAP from another access point', patched(snap(IPV4, own4), 1, 0x42), IP),
  ieee('SNAP, not unnumbered information', patched(snap(IPV4, own4), 2, 0x13), IP),
  ieee('SNAP of something else', snap(0x809b, new Uint8Array(30), 0x080007)),
  ieee('SNAP, an unknown ethertype', snap(0x88b5, new Uint8Array(30))),
  ieee('SNAP, a tag in it', snap(0x8100, bytes(0, 7, 8, 6, othersArp)), IP),
  ieee('SNAP, a length in it', snap(0x0100, snap(ARP_, othersArp)), IP),
  ['SNAP whose length is wrong', 4, snap(ARP_, othersArp), ARP],
  ['SNAP, the longest length', 0x05ff, snap(ARP_, othersArp), ARP],
  ['SNAP, length 0', 0, snap(IPV4, others4), IP],
  ieee('LLC: IPv4', bytes(6, 6, 3, own4), IP),
  ieee('LLC: IPv4 to a group', bytes(7, 6, 3, own4), IP),
  ieee('LLC: ARP', bytes(0x98, 0x98, 3, ownArp), ARP),
  ieee('LLC: spanning tree', bytes(0x42, 0x42, 3, new Uint8Array(35))),
  ieee('LLC: NetBIOS', bytes(0xf0, 0xf0, 3, new Uint8Array(40))),
  ieee('raw 802.3, as IPX', bytes(0xff, 0xff, 0, 30, new Uint8Array(40))),
  // IPv4
  ['IPv4 of another, a later fragment', IPV4, patched(others4, 6, 0, 9), IP],
  ['IPv4 of the port, a later fragment', IPV4, patched(own4, 6, 0, 9), undefined],
  ['IPv4 of another, with options', IPV4, patched(ipv4(OTHER_V4, '10.0.0.1', UDP, new Uint8Array(24)), 0, 0x46), IP],
  ['IPv4 from the broadcast address', IPV4, ipv4(BROADCAST, '10.0.0.1'), IP],
  ['IPv4 from the loopback', IPV4, ipv4('127.0.0.1', '10.0.0.1'), IP],
  ['IPv4 from a group', IPV4, ipv4('224.0.0.1', '10.0.0.1'), IP],
  ['IPv4 from 0.0.0.1', IPV4, ipv4('0.0.0.1', BROADCAST, UDP, udp(68, 67)), IP],
  ['DHCP: discover', IPV4, unaddressed(BROADCAST, UDP, udp(68, 67, new Uint8Array(244))), undefined],
  ['DHCP: with IP options', IPV4, patched(unaddressed(BROADCAST, UDP, bytes([1, 1, 1, 0], udp(68, 67))), 0, 0x46), undefined],
  ['DHCP: ports where options are', IPV4, patched(unaddressed(BROADCAST, UDP, bytes([0, 68, 0, 67], udp(53, 53))), 0, 0x46), IP],
  ['DHCP: a header of four words', IPV4, patched(unaddressed(BROADCAST, UDP, udp(68, 67)), 0, 0x44), IP],
  ['DHCP: to one host', IPV4, unaddressed('10.0.0.1', UDP, udp(68, 67)), IP],
  ['DHCP: to a network’s broadcast', IPV4, unaddressed('10.0.0.255', UDP, udp(68, 67)), IP],
  ['DHCP: an offer', IPV4, unaddressed(BROADCAST, UDP, udp(67, 68)), IP],
  ['DHCP: from another port', IPV4, unaddressed(BROADCAST, UDP, udp(1068, 67)), IP],
  ['DHCP: to another port', IPV4, unaddressed(BROADCAST, UDP, udp(68, 69)), IP],
  ['DHCP: a first fragment', IPV4, patched(unaddressed(BROADCAST, UDP, udp(68, 67)), 6, 0x20), IP],
  ['DHCP: a later fragment', IPV4, patched(unaddressed(BROADCAST, UDP, udp(68, 67)), 6, 0, 9), IP],
  ['DHCP: not to be fragmented', IPV4, patched(unaddressed(BROADCAST, UDP, udp(68, 67)), 6, 0x40), undefined],
  ['nobody’s TCP', IPV4, unaddressed(BROADCAST, TCP, udp(68, 67)), IP],
  ['nobody’s echo request', IPV4, unaddressed('10.0.0.1', 1, bytes(8, new Uint8Array(7))), IP],
  ['nobody’s IGMP report', IPV4, unaddressed('224.0.0.22', IGMP, bytes(0x22, new Uint8Array(15))), undefined],
  ['nobody’s IGMP to one host', IPV4, unaddressed('10.0.0.1', IGMP, bytes(0x16, new Uint8Array(7))), IP],
  ['6in4 of the port: its other end looks inside', IPV4, ipv4(V4, '10.0.0.1', IN_IPV6, others6), undefined],
  ['6in4 of another', IPV4, ipv4(OTHER_V4, '10.0.0.1', IN_IPV6, own6), IP],
  ['6in4 of nobody', IPV4, unaddressed(BROADCAST, IN_IPV6, own6), IP],
  // ARP, RARP
  ['ARP probe of another’s address', ARP_, arp(1, MINE, NOBODY, '10.0.0.1'), ARP],
  ['ARP reply from nobody', ARP_, arp(2, MINE, NOBODY, V4), ARP],
  ['ARP probe with another’s MAC', ARP_, arp(1, THEIRS, NOBODY, V4), ARP],
  ['ARP announcement', ARP_, arp(1, MINE, V4, V4), undefined],
  ['ARP: gratuitous reply', ARP_, arp(2, MINE, V4, V4), undefined],
  ['ARP: gratuitous reply of another’s', ARP_, arp(2, MINE, OTHER_V4, OTHER_V4), ARP],
  ['ARP: proxy for the gateway', ARP_, arp(2, MINE, '10.0.0.1', OTHER_V4), ARP],
  ['ARP of 802', ARP_, patched(ownArp, 0, 0, 6), undefined],
  ['ARP of 802, another’s', ARP_, patched(othersArp, 0, 0, 6), ARP],
  ['ARP of other hardware', ARP_, patched(ownArp, 0, 0, 32), ARP],
  ['ARP of hardware addresses of 4', ARP_, patched(ownArp, 4, 4), ARP],
  ['ARP of protocol addresses of 6', ARP_, patched(ownArp, 5, 6), ARP],
  ['ARP of lengths 0', ARP_, patched(ownArp, 4, 0, 0), ARP],
  ['ARP in IPv6’s name', ARP_, patched(ownArp, 2, 0x86, 0xdd), ARP],
  ['inverse ARP', ARP_, operation(othersArp, 9), ARP],
  ['RARP: who am I (QEMU after a migration)', RARP, operation(arp(1, MINE, NOBODY, NOBODY), 3), undefined],
  ['RARP: who am I, by another’s MAC', RARP, operation(arp(1, THEIRS, NOBODY, NOBODY), 3), ARP],
  ['RARP: who is that, by the port', RARP, operation(arp(1, MINE, V4, NOBODY), 3), undefined],
  ['RARP: by another’s IP', RARP, operation(arp(1, MINE, '10.0.0.1', NOBODY), 3), ARP],
  ['RARP: an answer from nobody', RARP, operation(arp(1, MINE, NOBODY, '10.0.0.1'), 4), ARP],
  ['RARP: an answer in another’s name', RARP, operation(arp(1, MINE, '10.0.0.1', OTHER_V4), 4), ARP],
  ['RARP as ARP', RARP, othersArp, ARP],
  // IPv6, its headers, and ND behind them
  ['IPv6 from the loopback', IPV6, ipv6('::1', 'fd00::1', UDP, udp(1, 2)), IP],
  ['IPv6 from a group', IPV6, ipv6('ff02::1', 'fd00::1', UDP, udp(1, 2)), IP],
  ['IPv6 from ::1:0', IPV6, ipv6('::1:0', 'ff02::1', ICMPV6, nd(ND.solicit, V6)), IP],
  ['IPv4 compatible', IPV6, ipv6('::10.0.0.10', 'fd00::1', UDP, udp(1, 2)), IP],
  ['6to4 of the port’s IPv4', IPV6, ipv6('2002:a00:a::1', 'fd00::1', UDP, udp(1, 2)), IP],
  ['ND: own advertisement behind options', IPV6, ipv6(V6, 'ff02::1', DSTOPTS, extension(ICMPV6, ownAdvert)), undefined],
  ['ND behind destination options', IPV6, ipv6(V6, 'ff02::1', DSTOPTS, extension(ICMPV6, othersAdvert)), ND_],
  ['ND behind eight headers', IPV6, ipv6(V6, 'ff02::1', DSTOPTS, nested(8, ICMPV6, othersAdvert)), ND_],
  ['ND behind seven headers', IPV6, ipv6(V6, 'ff02::1', DSTOPTS, nested(7, ICMPV6, othersAdvert)), ND_],
  ['TCP behind seven headers', IPV6, ipv6(V6, 'ff02::1', DSTOPTS, nested(7, TCP, new Uint8Array(20))), undefined],
  ['TCP behind more than is looked at', IPV6, ipv6(V6, 'fd00::1', DSTOPTS, bytes(DSTOPTS, 14, new Uint8Array(118), extension(TCP, new Uint8Array(20)))), ND_],
  ['ND: own, in an atomic fragment', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(ICMPV6, 0, false, ownAdvert)), ND_],
  ['ND: own, in a first fragment', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(ICMPV6, 0, true, ownAdvert)), ND_],
  ['ND: solicitation in a fragment', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(ICMPV6, 0, false, nd(ND.solicit, 'fd00::1'))), ND_],
  ['ND: router solicitation in a fragment', IPV6, ipv6(V6, 'ff02::2', FRAGMENT, fragment(ICMPV6, 0, false, bytes(ND.routerSolicit, new Uint8Array(7)))), ND_],
  ['ND: router advertisement in a fragment', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(ICMPV6, 0, false, bytes(ND.routerAdvert, new Uint8Array(15)))), ND_],
  ['ND behind options behind a fragment header', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(DSTOPTS, 0, true, extension(ICMPV6, ownAdvert))), ND_],
  ['echo in a fragment', IPV6, ipv6(V6, 'fd00::1', FRAGMENT, fragment(ICMPV6, 0, true, bytes(128, new Uint8Array(7)))), undefined],
  ['a first fragment that ends before ICMPv6', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(DSTOPTS, 0, true, extension(ICMPV6, bytes()))), ND_],
  ['the same, and its type in the padding', IPV6, padded(ipv6(V6, 'ff02::1', FRAGMENT, fragment(DSTOPTS, 0, true, extension(ICMPV6, bytes()))), 128, 0, 0, 0, 0, 0, 0, 0), ND_],
  ['a first fragment that ends within a header', IPV6, padded(ipv6(V6, 'ff02::1', FRAGMENT, fragment(DSTOPTS, 0, true, bytes(DSTOPTS, 1, new Uint8Array(6)))), ...extension(TCP, new Uint8Array(20)), ...extension(TCP, new Uint8Array(20))), ND_],
  ['a later fragment with an advertisement in it', IPV6, ipv6(V6, 'ff02::1', FRAGMENT, fragment(ICMPV6, 8, false, othersAdvert)), undefined],
  ['a later fragment of another', IPV6, ipv6(OTHER_V6, 'ff02::1', FRAGMENT, fragment(UDP, 8, false, new Uint8Array(8))), IP],
  ['ICMPv6 without a type', IPV6, padded(ipv6(V6, 'ff02::1', ICMPV6, bytes()), 128, 0, 0, 0, 0, 0, 0, 0), ND_],
  ['ND of a packet without a length', IPV6, patched(discovery(ND.advert, OTHER_V6, option(2, MINE)), 4, 0, 0), ND_],
  ['ND behind options of a packet without a length', IPV6, patched(ipv6(V6, 'ff02::1', HOPOPTS, extension(ICMPV6, othersAdvert)), 4, 0, 0), ND_],
  ['ND of a packet that is longer than its frame', IPV6, patched(discovery(ND.advert, OTHER_V6, option(2, MINE)), 4, 5, 220), ND_],
  ['ND: an option in the padding', IPV6, padded(discovery(ND.solicit, 'fd00::1', option(1, MINE)), 0, 0, 0, 0, 0, 0, 0, 0), undefined],
  ['ND: another’s MAC in the padding is nobody’s', IPV6, padded(discovery(ND.solicit, 'fd00::1'), ...option(1, THEIRS)), undefined],
  ['ND: own MAC, then another’s', IPV6, discovery(ND.solicit, 'fd00::1', option(1, MINE), option(1, HOST)), ND_],
  ['ND: another’s MAC in an option of two units', IPV6, discovery(ND.advert, V6, bytes(2, 2, 2, 0, 0, 0, 0, 0x0b, new Uint8Array(8))), ND_],
  ['ND: behind a long option', IPV6, discovery(ND.advert, V6, bytes(14, 2, new Uint8Array(14)), option(2, THEIRS)), ND_],
  ['ND: enhanced duplicate detection (RFC 7527)', IPV6, ipv6('::', 'ff02::1', ICMPV6, nd(ND.solicit, V6, bytes(14, 1, 1, 2, 3, 4, 5, 6))), undefined],
  ['ND: duplicate detection of its link’s address', IPV6, ipv6('::', 'ff02::1', ICMPV6, nd(ND.solicit, LINK_LOCAL)), undefined],
  ['ND: duplicate detection of a listed one', IPV6, ipv6('::', 'ff02::1', ICMPV6, nd(ND.solicit, STABLE)), undefined],
  ['ND: duplicate detection of another’s address', IPV6, ipv6('::', 'ff02::1', ICMPV6, nd(ND.solicit, OTHER_V6)), ND_],
  ['ND: duplicate detection with another’s MAC', IPV6, ipv6('::', 'ff02::1', ICMPV6, nd(ND.solicit, V6, option(1, THEIRS))), ND_],
  ['ND: duplicate detection behind options', IPV6, ipv6('::', 'ff02::1', HOPOPTS, extension(ICMPV6, nd(ND.solicit, OTHER_V6))), ND_],
  ['ND: duplicate detection in a fragment', IPV6, ipv6('::', 'ff02::1', FRAGMENT, fragment(ICMPV6, 0, false, nd(ND.solicit, V6))), IP],
  ['nobody’s advertisement', IPV6, ipv6('::', 'ff02::1', ICMPV6, nd(ND.advert, V6, option(2, MINE))), IP],
  ['nobody’s router solicitation', IPV6, ipv6('::', 'ff02::2', ICMPV6, bytes(ND.routerSolicit, new Uint8Array(7))), undefined],
  ['nobody’s router advertisement', IPV6, ipv6('::', 'ff02::1', ICMPV6, bytes(ND.routerAdvert, new Uint8Array(15))), ND_],
  ['nobody’s echo request', IPV6, ipv6('::', 'fd00::1', ICMPV6, bytes(128, new Uint8Array(7))), IP],
  ['nobody’s listener report (MLDv2)', IPV6, ipv6('::', 'ff02::16', HOPOPTS, extension(ICMPV6, bytes(143, new Uint8Array(27)))), undefined],
  ['nobody’s listener report (MLDv1)', IPV6, ipv6('::', 'ff02::1:ff00:a', HOPOPTS, extension(ICMPV6, bytes(131, new Uint8Array(23)))), undefined],
  ['nobody’s listener query', IPV6, ipv6('::', 'ff02::1', HOPOPTS, extension(ICMPV6, bytes(130, new Uint8Array(23)))), IP],
  ['the port’s listener report', IPV6, ipv6(LINK_LOCAL, 'ff02::16', HOPOPTS, extension(ICMPV6, bytes(143, new Uint8Array(27)))), undefined],
  ['nobody’s later fragment', IPV6, ipv6('::', 'ff02::1', FRAGMENT, fragment(UDP, 8, false, new Uint8Array(8))), IP],
  ['nobody’s TCP behind options', IPV6, ipv6('::', 'ff02::1', DSTOPTS, extension(TCP, new Uint8Array(20))), IP],
  ['nobody’s headers without a next', IPV6, ipv6('::', 'ff02::1', NONE, new Uint8Array(8)), IP],
  ['encrypted, of the port', IPV6, ipv6(V6, 'fd00::1', ESP, new Uint8Array(24)), undefined],
  ['authenticated, of the port', IPV6, ipv6(V6, 'fd00::1', AH, bytes(TCP, 4, new Uint8Array(22), new Uint8Array(20))), undefined],
  ['IPv6 in IPv6 of the port: its other end looks inside', IPV6, ipv6(V6, 'fd00::1', IN_IPV6, others6), undefined],
];

/** `count` extension headers of destination options, one in another. */
function nested(count: number, next: number, payload: Uint8Array): Uint8Array {
  return count === 0 ? payload : extension(count === 1 ? next : DSTOPTS, nested(count - 1, next, payload));
}

/** All that is known to be sent, honest and not. */
export const senderRows: readonly Row[] = [...rows, ...evasions];
