/**
 * Who a frame says it is from, above the MAC, of a port that has addresses:
 *
 *   IPv4, IPv6   the source is one of the port's, or none yet (0.0.0.0 of DHCP, :: of duplicate detection)
 *   ARP          Ethernet and IPv4; sender MAC is the frame's source; sender IP is one of the port's, or 0 of a probe
 *   ND           source and target link-layer options are the frame's source; an advertisement's target is one of the
 *                port's; router advertisements and redirects are no guest's to send (RFC 4861)
 *
 * Behind one VLAN tag out of band and two in band; IPv6 extension headers are walked, since a receiver would
 * (RFC 8200, 4.1). What cannot be followed is dropped. Everything is read by skb_load_bytes into the stack, so
 * headers may lie in any fragment.
 *
 * First what most frames are, untagged IPv4 from the port's first address, is told by a glance: no helper is called.
 *
 * Registers: r7 the source MAC as key; r8 protocol; r9 offset in the frame.
 */

import * as skb from '../../abi/bpf_skb.js';
import {
  ETH_HLEN,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ETH_PROTO,
} from '../../abi/if_ether.js';
import * as inet from '../../abi/inet.js';
import type { Assembler } from '../assembler.js';
import { element, lookup, STACK_ADDRESS, STACK_BYTES, stackAddress } from './fragments.js';
import * as layout from './layout.js';

/** VLAN tags in band that are looked behind. */
const TAGS_MAX = 2;
/** IPv6 extension headers, and options of a neighbour discovery message. */
const HEADERS_MAX = 8;
const OPTIONS_MAX = 8;

/** ETH_P_IP as a little-endian u16 of the frame. */
const IPV4_ON_WIRE = ((ETH_P_IP & 0xff) << 8) | (ETH_P_IP >> 8);

/** linux/if_arp.h struct arphdr and what follows it for Ethernet and IPv4, as u16 words in host order. */
const ARP = { protocol: 2, lengths: 4, senderMac: 8, senderIp: 14, end: 28 };
const ARP_IPV4 = 0x0008;
const ARP_LENGTHS = 0x0406;

/** linux/icmpv6.h, net/ndisc.h: types, and where what we need begins. */
const ND = { routerSolicit: 133, routerAdvert: 134, solicit: 135, advert: 136, redirect: 137 };
const ND_TARGET = 8;
const ND_OPTIONS = 24;
const RS_OPTIONS = 8;
const ND_SOURCE_LLA = 1;
const ND_TARGET_LLA = 2;

/** Goes to `ok`, or to spoofed_ip, spoofed_arp or spoofed_nd. Loses r8 and r9. */
export function checkSender(a: Assembler, slot: number, ok: string): void {
  glance(a, slot, ok);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_SLOT, slot);
  a.mov('r9', ETH_PROTO);
  for (let tag = 0; tag <= TAGS_MAX; tag++) {
    read(a, 0, 2, 'spoofed_ip');
    a.load('u16', 'r8', 'r10', STACK_BYTES);
    a.bigEndian('r8', 16);
    a.alu('add', 'r9', 2);
    const tagged = a.unique('tagged');
    a.jump('eq', 'r8', ETH_P_8021Q, tagged);
    a.jump('ne', 'r8', ETH_P_8021AD, 'ethertype');
    a.label(tagged);
    if (tag === TAGS_MAX) a.goto('spoofed_ip');
    else a.alu('add', 'r9', 2);
  }
  a.label('ethertype');
  a.jump('eq', 'r8', ETH_P_IP, 'ipv4');
  a.jump('eq', 'r8', ETH_P_IPV6, 'ipv6');
  a.jump('eq', 'r8', ETH_P_ARP, 'arp');
  a.goto(ok);

  a.label('ipv4');
  read(a, inet.IPHDR_SADDR, 4, 'spoofed_ip');
  ipv4Allowed(a, ok, 'spoofed_ip');
  a.label('arp');
  arp(a, ok);
  a.label('ipv6');
  ipv6(a, ok);
}

/** Goes to `ok` for IPv4 from the port's first address, with the header in the linear part; else on. Loses r9. */
function glance(a: Assembler, slot: number, ok: string): void {
  const source = ETH_HLEN + inet.IPHDR_SADDR;
  a.load('u32', 'r2', 'r6', skb.SKB_DATA);
  a.load('u32', 'r3', 'r6', skb.SKB_DATA_END);
  a.mov('r4', 'r2');
  a.alu('add', 'r4', source + 4);
  a.jump('gt', 'r4', 'r3', 'look_closer');
  a.load('u16', 'r4', 'r2', ETH_PROTO);
  a.jump('ne', 'r4', IPV4_ON_WIRE, 'look_closer');
  a.load('u32', 'r9', 'r2', source);
  element(a, 'ports', slot);
  a.jump('eq', 'r0', 0, 'look_closer');
  a.load('u32', 'r1', 'r0', layout.PORT_IPV4);
  a.jump('eq', 'r1', 0, 'look_closer');
  a.jump('eq', 'r1', 'r9', ok);
  a.label('look_closer');
}

/** STACK_BYTES = `length` bytes of the frame from r9 + `offset`; goes to `short` if it has not so many. */
function read(a: Assembler, offset: number, length: number, short: string): void {
  a.mov('r1', 'r6');
  a.mov('r2', 'r9');
  if (offset !== 0) a.alu('add', 'r2', offset);
  stackAddress(a, 'r3', STACK_BYTES);
  a.mov('r4', length);
  a.call(skb.BPF_FUNC_skb_load_bytes);
  a.jump('ne', 'r0', 0, short);
}

/** Goes to `ok` if the IPv4 address in STACK_BYTES is 0 or the port's, else to `bad`. */
function ipv4Allowed(a: Assembler, ok: string, bad: string): void {
  a.load('u32', 'r1', 'r10', STACK_BYTES);
  a.jump('eq', 'r1', 0, ok);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_FAMILY, 4);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES, 'r1');
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES + 4, 0);
  a.store('u64', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES + 8, 0);
  lookup(a, 'addresses', STACK_ADDRESS);
  a.jump('eq', 'r0', 0, bad);
  a.goto(ok);
}

/** Goes to `ok` if the IPv6 address in STACK_BYTES is the port's (or, with `none`, ::), else to `bad`. */
function ipv6Allowed(a: Assembler, none: boolean, ok: string, bad: string): void {
  a.load('u64', 'r1', 'r10', STACK_BYTES);
  a.load('u64', 'r2', 'r10', STACK_BYTES + 8);
  if (none) {
    a.mov('r3', 'r1');
    a.alu('or', 'r3', 'r2');
    a.jump('eq', 'r3', 0, ok);
  }
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_FAMILY, 6);
  a.store('u64', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES, 'r1');
  a.store('u64', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES + 8, 'r2');
  lookup(a, 'addresses', STACK_ADDRESS);
  a.jump('eq', 'r0', 0, bad);
  a.goto(ok);
}

/** Goes to `bad` unless the six bytes at STACK_BYTES + `at` (a multiple of 4) are the source MAC. */
function isSource(a: Assembler, at: number, bad: string): void {
  a.load('u32', 'r1', 'r10', STACK_BYTES + at);
  a.load('u16', 'r2', 'r10', STACK_BYTES + at + 4);
  a.alu('lsh', 'r2', 32);
  a.alu('or', 'r1', 'r2');
  a.jump('ne', 'r1', 'r7', bad);
}

function arp(a: Assembler, ok: string): void {
  read(a, 0, ARP.end, 'spoofed_arp');
  a.load('u16', 'r1', 'r10', STACK_BYTES + ARP.protocol);
  a.jump('ne', 'r1', ARP_IPV4, 'spoofed_arp');
  a.load('u16', 'r1', 'r10', STACK_BYTES + ARP.lengths);
  a.jump('ne', 'r1', ARP_LENGTHS, 'spoofed_arp');
  isSource(a, ARP.senderMac, 'spoofed_arp');
  read(a, ARP.senderIp, 4, 'spoofed_arp');
  ipv4Allowed(a, ok, 'spoofed_arp');
}

function ipv6(a: Assembler, ok: string): void {
  read(a, inet.IPV6HDR_SADDR, 16, 'spoofed_ip');
  ipv6Allowed(a, true, 'ipv6_source_known', 'spoofed_ip');
  a.label('ipv6_source_known');
  read(a, inet.IPV6HDR_NEXTHDR, 1, 'spoofed_ip');
  a.load('u8', 'r8', 'r10', STACK_BYTES);
  a.alu('add', 'r9', inet.IPV6HDR_SIZE);
  for (let header = 0; header < HEADERS_MAX; header++) nextHeader(a, ok);
  // More headers than anybody sends: nothing says that no neighbour discovery is behind them.
  a.goto('spoofed_nd');
  a.label('icmpv6');
  neighbourDiscovery(a, ok);
}

/** r8 is the protocol of the header at r9: steps over it, or goes where that protocol is at home. */
function nextHeader(a: Assembler, ok: string): void {
  const options = a.unique('options');
  const authentication = a.unique('authentication');
  const done = a.unique('next_header');
  a.jump('eq', 'r8', inet.IPPROTO_ICMPV6, 'icmpv6');
  a.jump('eq', 'r8', inet.IPPROTO_HOPOPTS, options);
  a.jump('eq', 'r8', inet.IPPROTO_ROUTING, options);
  a.jump('eq', 'r8', inet.IPPROTO_DSTOPTS, options);
  a.jump('eq', 'r8', inet.IPPROTO_AH, authentication);
  a.jump('ne', 'r8', inet.IPPROTO_FRAGMENT, ok);
  read(a, 0, 8, 'spoofed_nd');
  a.load('u8', 'r8', 'r10', STACK_BYTES);
  a.load('u16', 'r1', 'r10', STACK_BYTES + 2);
  a.bigEndian('r1', 16);
  a.alu('and', 'r1', 0xfff8);
  a.jump('ne', 'r1', 0, ok); // not the first fragment: no header in it
  a.alu('add', 'r9', 8);
  a.goto(done);
  a.label(options);
  lengthOf(a, 1, 3);
  a.goto(done);
  a.label(authentication);
  lengthOf(a, 2, 2);
  a.label(done);
}

/** Steps over a header whose second byte is its length less `less`, in units of 1 << `shift` bytes. */
function lengthOf(a: Assembler, less: number, shift: number): void {
  read(a, 0, 2, 'spoofed_nd');
  a.load('u8', 'r8', 'r10', STACK_BYTES);
  a.load('u8', 'r1', 'r10', STACK_BYTES + 1);
  a.alu('add', 'r1', less);
  a.alu('lsh', 'r1', shift);
  a.alu('add', 'r9', 'r1');
}

function neighbourDiscovery(a: Assembler, ok: string): void {
  read(a, 0, 1, 'spoofed_nd');
  a.load('u8', 'r1', 'r10', STACK_BYTES);
  a.mov('r8', ND_SOURCE_LLA);
  a.jump('eq', 'r1', ND.advert, 'advert');
  a.jump('eq', 'r1', ND.solicit, 'solicit');
  a.jump('eq', 'r1', ND.routerAdvert, 'spoofed_nd');
  a.jump('eq', 'r1', ND.redirect, 'spoofed_nd');
  a.jump('ne', 'r1', ND.routerSolicit, ok);
  a.alu('add', 'r9', RS_OPTIONS);
  a.goto('options');
  a.label('advert');
  a.mov('r8', ND_TARGET_LLA);
  read(a, ND_TARGET, 16, 'spoofed_nd');
  ipv6Allowed(a, false, 'solicit', 'spoofed_nd');
  a.label('solicit');
  a.alu('add', 'r9', ND_OPTIONS);
  a.label('options');
  for (let option = 0; option < OPTIONS_MAX; option++) {
    const other = a.unique('other_option');
    read(a, 0, 2, ok); // the message ends
    a.load('u8', 'r1', 'r10', STACK_BYTES);
    a.jump('ne', 'r1', 'r8', other);
    // Type, length, then the MAC: read from two bytes before, so that the MAC lies at a multiple of 4.
    a.alu('add', 'r9', -2);
    read(a, 0, 10, 'spoofed_nd');
    a.alu('add', 'r9', 2);
    isSource(a, 4, 'spoofed_nd');
    read(a, 0, 2, 'spoofed_nd');
    a.label(other);
    a.load('u8', 'r1', 'r10', STACK_BYTES + 1);
    a.jump('eq', 'r1', 0, 'spoofed_nd'); // RFC 4861, 4.6: never 0
    a.alu('lsh', 'r1', 3);
    a.alu('add', 'r9', 'r1');
  }
  a.goto('spoofed_nd');
}
