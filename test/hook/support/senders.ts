/**
 * What a port with addresses may send and what not, by the rules that the hook's programs and the user-space datapath
 * share: frames of MINE, which has V4, V6 and the link-local address of its MAC.
 */
import { arp, bytes, extension, ipv4, ipv6, ND, nd, option, udp } from './frames.js';

export const MINE = '02:00:00:00:00:0a';
export const THEIRS = '02:00:00:00:00:0b';
export const HOST = '02:00:00:00:00:01';
export const V4 = '10.0.0.10';
export const V6 = 'fd00::a';
export const LINK_LOCAL = 'fe80::ff:fe00:a';
/** Another link-local address that the port has listed: one that is not made of its MAC (RFC 7217). */
export const STABLE = 'fe80::a1b2:c3d4:e5f6:789';
export const ICMPV6 = 58;

/** Name, the payload's ethertype (or, of an 802.3 frame, its length), payload; why it is dropped, if it is. */
export type Row = readonly [name: string, type: number, payload: Uint8Array, why: string | undefined];

/** A neighbour discovery message to all nodes. */
export const discovery = (type: number, target: string, ...options: Uint8Array[]) =>
  ipv6(LINK_LOCAL, 'ff02::1', ICMPV6, nd(type, target, ...options));
const hidden = discovery(ND.advert, 'fd00::b').subarray(40);
// biome-ignore format: one row a case
export const rows: readonly Row[] = [
  ['an unknown ethertype', 0x88b5, new Uint8Array(20), undefined],
  ['IPv4 of the port', 0x0800, ipv4(V4, '10.0.0.1'), undefined],
  ['IPv4 without an address yet', 0x0800, ipv4('0.0.0.0', '255.255.255.255', 17, udp(68, 67)), undefined],
  ['IPv4 of another', 0x0800, ipv4('10.0.0.11', '10.0.0.1'), 'spoofed-ip'],
  ['IPv6 of the port', 0x86dd, ipv6(V6, 'fd00::1', 17, new Uint8Array(8)), undefined],
  ['IPv6 of its link', 0x86dd, ipv6(LINK_LOCAL, 'fd00::1', 17, new Uint8Array(8)), undefined],
  ['IPv6 without an address yet', 0x86dd, ipv6('::', 'ff02::1', 17, new Uint8Array(8)), 'spoofed-ip'],
  ['IPv6 of another', 0x86dd, ipv6('fd00::b', 'fd00::1', 17, new Uint8Array(8)), 'spoofed-ip'],
  ['IPv6 of a link-local address of its own choice', 0x86dd, ipv6(STABLE, 'ff02::1', 17, new Uint8Array(8)), undefined],
  ['IPv6 of one next to it', 0x86dd, ipv6('fe80::a1b2:c3d4:e5f6:78a', 'ff02::1', 17, new Uint8Array(8)), 'spoofed-ip'],
  ['IPv6 of another’s link', 0x86dd, ipv6('fe80::b', 'fd00::1', 17, new Uint8Array(8)), 'spoofed-ip'],
  ['IPv4 written as IPv6', 0x86dd, ipv6('::ffff:10.0.0.10', 'fd00::1', 17, bytes(0)), 'spoofed-ip'],
  ['ARP request', 0x0806, arp(1, MINE, V4, '10.0.0.1'), undefined],
  ['ARP reply', 0x0806, arp(2, MINE, V4, '10.0.0.1'), undefined],
  ['ARP probe', 0x0806, arp(1, MINE, '0.0.0.0', V4), undefined],
  ['ARP with another’s IP', 0x0806, arp(2, MINE, '10.0.0.1', V4), 'spoofed-arp'],
  ['ARP with another’s MAC', 0x0806, arp(2, THEIRS, V4, '10.0.0.1'), 'spoofed-arp'],
  ['ARP of another protocol', 0x0806, arp(1, MINE, V4, V4).fill(0x99, 2, 4), 'spoofed-arp'],
  ['ARP of other lengths', 0x0806, arp(1, MINE, V4, V4).fill(8, 4, 5), 'spoofed-arp'],
  ['ND: own advertisement', 0x86dd, discovery(ND.advert, V6, option(2, MINE)), undefined],
  ['ND: own link’s advertisement', 0x86dd, discovery(ND.advert, LINK_LOCAL, option(2, MINE)), undefined],
  ['ND: advertisement of its own choice', 0x86dd, ipv6(STABLE, 'ff02::1', ICMPV6, nd(ND.advert, STABLE, option(2, MINE))), undefined],
  ['ND: solicitation from there', 0x86dd, ipv6(STABLE, 'ff02::1', ICMPV6, nd(ND.solicit, 'fd00::1', option(1, MINE))), undefined],
  [
    'ND: another’s advertisement',
    0x86dd,
    discovery(ND.advert, 'fd00::b', option(2, MINE)),
    'spoofed-nd',
  ],
  ['ND: the router’s', 0x86dd, discovery(ND.advert, 'fe80::1', option(2, MINE)), 'spoofed-nd'],
  [
    'ND: advertised with another’s MAC',
    0x86dd,
    discovery(ND.advert, V6, option(2, THEIRS)),
    'spoofed-nd',
  ],
  [
    'ND: the MAC in the second option',
    0x86dd,
    discovery(ND.advert, V6, option(1, MINE), option(2, THEIRS)),
    'spoofed-nd',
  ],
  ['ND: solicitation', 0x86dd, discovery(ND.solicit, 'fd00::1', option(1, MINE)), undefined],
  [
    'ND: solicited with another’s MAC',
    0x86dd,
    discovery(ND.solicit, 'fd00::1', option(1, HOST)),
    'spoofed-nd',
  ],
  ['ND: duplicate detection', 0x86dd, ipv6('::', 'ff02::1', ICMPV6, nd(ND.solicit, V6)), undefined],
  [
    'ND: an option of length 0',
    0x86dd,
    discovery(ND.solicit, V6, bytes(14, 0, new Uint8Array(6))),
    'spoofed-nd',
  ],
  [
    'ND: nine options',
    0x86dd,
    discovery(ND.solicit, V6, ...Array.from({ length: 9 }, () => option(1, MINE))),
    'spoofed-nd',
  ],
  [
    'ND: router solicitation',
    0x86dd,
    ipv6(LINK_LOCAL, 'ff02::2', ICMPV6, bytes(ND.routerSolicit, new Uint8Array(7), option(1, MINE))),
    undefined,
  ],
  [
    'ND: router solicitation with another’s MAC',
    0x86dd,
    ipv6(LINK_LOCAL, 'ff02::2', ICMPV6, bytes(ND.routerSolicit, new Uint8Array(7), option(1, HOST))),
    'spoofed-nd',
  ],
  ['ND: router advertisement', 0x86dd, discovery(ND.routerAdvert, '::'), 'spoofed-nd'],
  ['ND: redirect', 0x86dd, discovery(ND.redirect, V6), 'spoofed-nd'],
  ['ICMPv6: echo', 0x86dd, ipv6(V6, 'fd00::1', ICMPV6, bytes(128, new Uint8Array(7))), undefined],
  [
    'ND behind hop-by-hop options',
    0x86dd,
    ipv6(V6, 'ff02::1', 0, extension(ICMPV6, hidden)),
    'spoofed-nd',
  ],
  [
    'ND behind three headers',
    0x86dd,
    ipv6(V6, 'ff02::1', 0, extension(43, extension(60, extension(ICMPV6, hidden)))),
    'spoofed-nd',
  ],
  [
    'ND in a first fragment',
    0x86dd,
    ipv6(V6, 'ff02::1', 44, bytes(ICMPV6, 0, 0, 1, 1, 2, 3, 4, hidden)),
    'spoofed-nd',
  ],
  [
    'ND behind an authentication header',
    0x86dd,
    ipv6(V6, 'ff02::1', 51, bytes(ICMPV6, 4, new Uint8Array(22), hidden)),
    'spoofed-nd',
  ],
  ['a later fragment', 0x86dd, ipv6(V6, 'ff02::1', 44, bytes(ICMPV6, 0, 0, 9, 1, 2, 3, 4, hidden)), undefined],
  ['TCP behind options', 0x86dd, ipv6(V6, 'fd00::1', 60, extension(6, new Uint8Array(20))), undefined],
  [
    'headers without end',
    0x86dd,
    ipv6(V6, 'fd00::1', 60, bytes(...Array.from({ length: 9 }, () => extension(60, bytes())))),
    'spoofed-nd',
  ],
];
