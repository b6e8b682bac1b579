/**
 * Who a frame says it is from, above the MAC, of a port that has addresses:
 *
 *   802.3        IPv4, IPv6 and ARP behind LLC and SNAP are looked at like others (an access point on the wire makes plain
 *                frames of them, and Windows takes them as they are); behind other LLC they are dropped
 *   IPv4, IPv6   the source is one of the port's. Who has none yet (0.0.0.0, ::) asks for it by DHCP, tells its groups
 *                (IGMP, MLD), solicits routers, and finds out whether one of the port's is in use
 *   ARP, RARP    Ethernet and IPv4; sender MAC is the frame's source; sender IP is one of the port's, or 0 of who asks
 *                whether one of the port's is in use (RFC 5227: who probes another's makes that believe it has to go), or
 *                (RARP) who it is
 *   ND           not in fragments; source and target link-layer options are the frame's source; an advertisement's
 *                target is one of the port's; router advertisements and redirects are no guest's to send (RFC 4861)
 *
 * Behind three VLAN tags, of whatever VLAN; the first one may be out of band. IPv6 extension headers are walked, since a
 * receiver would (RFC 8200, 4.1). What cannot be followed is dropped. What carries packets to somebody who was set up
 * to unpack them (tunnels in IP, PPPoE, MPLS) is looked at from outside alone, and so is that one's to check.
 * Everything is read by skb_load_bytes into the stack, so headers may lie in any fragment of the skb.
 *
 * First what most frames are, untagged IPv4 from the port's first address, is told by a glance: no helper is called.
 *
 * assembly/sender.ts does the same for vifs in user space, to the letter: test/hook/senders_differential.test.ts.
 *
 * Registers: r7 the source MAC as key; r8 protocol; r9 offset in the frame.
 */

import * as arp from '../../abi/arp.js';
import * as skb from '../../abi/bpf_skb.js';
import * as ether from '../../abi/if_ether.js';
import * as inet from '../../abi/inet.js';
import { LLC_SAP_IP, LLC_SAP_SNAP } from '../../abi/llc.js';
import type { Assembler } from '../assembler.js';
import type { Register } from '../operations.js';
import { element, STACK_ADDRESS, STACK_BYTES } from './fragments.js';
import * as layout from './layout.js';
import { ifIpv4Known, isSource, LOOKED_AT, read, STACK_END, STACK_WHOLE } from './sender_bytes.js';
import { checkIpv6 } from './sender_ipv6.js';

/** VLAN tags that are looked behind, the one out of band among them. */
const TAGS_MAX = 3;
const TAGS = [
  ether.ETH_P_8021Q,
  ether.ETH_P_8021AD,
  ether.ETH_P_QINQ1,
  ether.ETH_P_QINQ2,
  ether.ETH_P_QINQ3,
] as const;

/** The lowest bit of a service access point says group, or response. */
const SAP = 0xfe;
const LLC_SAP_ARP = 0x98;
/** Unnumbered information. */
const LLC_UI = 3;
const LLC_SIZE = 3;
const SNAP_SIZE = 8;
/** What says in SNAP that an ethertype follows: RFC 1042, and the bridge tunnel of 802.1H. */
const OUI_ETHERNET = 0;
const OUI_BRIDGE_TUNNEL = 0xf8;

/** `value` as the frame's bytes are loaded. */
const swapped16 = (value: number) => ((value & 0xff) << 8) | (value >> 8);

const IPV4_ON_WIRE = swapped16(ether.ETH_P_IP);
const ARP_LENGTHS = 0x0406;
/** ip.h: more-fragments bit and offset. */
const IP_MF_OFFSET = 0x3fff;
/** Of a datagram from port 68 to port 67, as it is loaded. */
const DHCP_PORTS = 0x43004400;
const IPV4_BROADCAST = -1;

/** Goes to `ok`, or to spoofed_ip, spoofed_arp or spoofed_nd. Loses r8 and r9. */
export function checkSender(a: Assembler, slot: number, ok: string): void {
  glance(a, slot, ok);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_SLOT, slot);
  behindTags(a);

  a.label('ethertype');
  a.jump('eq', 'r8', ether.ETH_P_IP, 'ipv4');
  a.jump('eq', 'r8', ether.ETH_P_IPV6, 'ipv6');
  a.jump('eq', 'r8', ether.ETH_P_ARP, 'arp');
  a.jump('eq', 'r8', ether.ETH_P_RARP, 'arp');
  a.jump('ge', 'r8', ether.ETH_P_802_3_MIN, ok);
  behindLlc(a, ok);

  a.label('ipv4');
  checkIpv4(a, ok);
  a.label('arp');
  checkArp(a, ok);
  a.label('ipv6');
  checkIpv6(a, ok);
}

/** Goes to `ok` for IPv4 from the port's first address, with the header in the linear part; else on. Loses r9. */
function glance(a: Assembler, slot: number, ok: string): void {
  const header = ether.ETH_HLEN;
  a.load('u32', 'r2', 'r6', skb.SKB_DATA);
  a.load('u32', 'r3', 'r6', skb.SKB_DATA_END);
  a.mov('r4', 'r2');
  a.alu('add', 'r4', header + inet.IPHDR_SIZE);
  a.jump('gt', 'r4', 'r3', 'look_closer');
  a.load('u16', 'r4', 'r2', ether.ETH_PROTO);
  a.jump('ne', 'r4', IPV4_ON_WIRE, 'look_closer');
  a.load('u32', 'r9', 'r2', header + inet.IPHDR_SADDR);
  element(a, 'ports', slot);
  a.jump('eq', 'r0', 0, 'look_closer');
  a.load('u32', 'r1', 'r0', layout.PORT_IPV4);
  a.jump('eq', 'r1', 0, 'look_closer');
  a.jump('eq', 'r1', 'r9', ok);
  a.label('look_closer');
}

/** r8 = the ethertype behind the tags, r9 = where its payload begins; and the ends. More tags: spoofed_ip. */
function behindTags(a: Assembler): void {
  a.load('u32', 'r1', 'r6', skb.SKB_LEN);
  a.store('u32', 'r10', STACK_WHOLE, 'r1');
  a.mov('r9', ether.ETH_PROTO);
  a.mov('r2', LOOKED_AT);
  a.load('u32', 'r8', 'r6', skb.SKB_VLAN_PRESENT);
  a.jump('eq', 'r8', 0, 'all_in_band');
  a.mov('r2', LOOKED_AT - ether.VLAN_HLEN);
  a.label('all_in_band');
  a.jump('le', 'r2', 'r1', 'end_known');
  a.mov('r2', 'r1');
  a.label('end_known');
  a.store('u32', 'r10', STACK_END, 'r2');
  a.jump('ne', 'r8', 0, 'behind_1');
  for (let tags = 0; tags <= TAGS_MAX; tags++) {
    a.label(`behind_${tags}`);
    read(a, 0, 2, 'spoofed_ip');
    a.load('u16', 'r8', 'r10', STACK_BYTES);
    a.bigEndian('r8', 16);
    a.alu('add', 'r9', 2);
    const tagged = tags === TAGS_MAX ? 'spoofed_ip' : `tagged_${tags}`;
    for (const tag of TAGS) a.jump('eq', 'r8', tag, tagged);
    a.goto('ethertype');
    if (tags === TAGS_MAX) break;
    a.label(tagged);
    a.alu('add', 'r9', 2);
  }
}

/** An 802.3 frame's LLC header is at r9: goes where the protocol behind it is at home, to `ok` or to spoofed_…. */
function behindLlc(a: Assembler, ok: string): void {
  read(a, 0, LLC_SIZE, 'spoofed_ip');
  sap(a, 0);
  a.jump('eq', 'r1', LLC_SAP_IP, 'spoofed_ip');
  a.jump('eq', 'r1', LLC_SAP_ARP, 'spoofed_arp');
  a.jump('ne', 'r1', LLC_SAP_SNAP, ok);
  sap(a, 1);
  a.jump('ne', 'r1', LLC_SAP_SNAP, 'spoofed_ip');
  a.load('u8', 'r1', 'r10', STACK_BYTES + 2);
  a.jump('ne', 'r1', LLC_UI, 'spoofed_ip');
  read(a, 0, SNAP_SIZE, 'spoofed_ip');
  a.load('u32', 'r1', 'r10', STACK_BYTES); // the last byte of it is the first of the OUI
  a.load('u16', 'r2', 'r10', STACK_BYTES + 4);
  a.alu('rsh', 'r1', 24);
  a.alu('lsh', 'r1', 16);
  a.bigEndian('r2', 16);
  a.alu('or', 'r1', 'r2');
  a.load('u16', 'r8', 'r10', STACK_BYTES + 6);
  a.bigEndian('r8', 16);
  a.alu('add', 'r9', SNAP_SIZE);
  a.jump('eq', 'r1', OUI_ETHERNET, 'snap');
  a.jump('ne', 'r1', OUI_BRIDGE_TUNNEL, ok);
  a.label('snap');
  a.jump('lt', 'r8', ether.ETH_P_802_3_MIN, 'spoofed_ip');
  for (const tag of TAGS) a.jump('eq', 'r8', tag, 'spoofed_ip');
  a.goto('ethertype');
}

function sap(a: Assembler, at: number): void {
  a.load('u8', 'r1', 'r10', STACK_BYTES + at);
  a.alu('and', 'r1', SAP);
}

function checkIpv4(a: Assembler, ok: string): void {
  read(a, 0, inet.IPHDR_SIZE, 'spoofed_ip');
  a.load('u32', 'r8', 'r10', STACK_BYTES + inet.IPHDR_SADDR);
  ifIpv4Known(a, 'r8', ok, 'ipv4_source_new');
  a.label('ipv4_source_new');
  a.jump('ne', 'r8', 0, 'spoofed_ip');
  a.load('u32', 'r8', 'r10', STACK_BYTES + inet.IPHDR_DADDR);
  a.load('u8', 'r1', 'r10', STACK_BYTES + inet.IPHDR_PROTOCOL);
  a.jump('eq', 'r1', inet.IPPROTO_IGMP, 'igmp');
  a.jump('ne', 'r1', inet.IPPROTO_UDP, 'spoofed_ip');
  a.jump32('ne', 'r8', IPV4_BROADCAST, 'spoofed_ip');
  a.load('u16', 'r1', 'r10', STACK_BYTES + inet.IPHDR_FRAG_OFF);
  a.bigEndian('r1', 16);
  a.jump('set', 'r1', IP_MF_OFFSET, 'spoofed_ip');
  a.load('u8', 'r1', 'r10', STACK_BYTES);
  a.alu('and', 'r1', 15);
  a.alu('lsh', 'r1', 2);
  a.jump('lt', 'r1', inet.IPHDR_SIZE, 'spoofed_ip');
  a.alu('add', 'r9', 'r1');
  read(a, 0, 4, 'spoofed_ip');
  a.load('u32', 'r1', 'r10', STACK_BYTES);
  a.jump('ne', 'r1', DHCP_PORTS, 'spoofed_ip');
  a.goto(ok);
  a.label('igmp');
  a.alu('and', 'r8', 0xf0); // the first byte: 224.0.0.0/4
  a.jump('ne', 'r8', 0xe0, 'spoofed_ip');
  a.goto(ok);
}

/** r8: ETH_P_ARP or ETH_P_RARP. */
function checkArp(a: Assembler, ok: string): void {
  read(a, 0, arp.ARP_SIZE, 'spoofed_arp');
  a.load('u16', 'r1', 'r10', STACK_BYTES + arp.ARP_HRD);
  a.jump('eq', 'r1', swapped16(arp.ARPHRD_ETHER), 'arp_ethernet');
  a.jump('ne', 'r1', swapped16(arp.ARPHRD_IEEE802), 'spoofed_arp');
  a.label('arp_ethernet');
  a.load('u16', 'r1', 'r10', STACK_BYTES + arp.ARP_PRO);
  a.jump('ne', 'r1', IPV4_ON_WIRE, 'spoofed_arp');
  a.load('u16', 'r1', 'r10', STACK_BYTES + arp.ARP_HLN);
  a.jump('ne', 'r1', ARP_LENGTHS, 'spoofed_arp');
  isSource(a, arp.ARP_SHA, 'spoofed_arp');
  arpAddress(a, 'r9', arp.ARP_SPA); // where it lies in the frame does not matter any more
  ifIpv4Known(a, 'r9', ok, 'arp_source_new');
  a.label('arp_source_new');
  a.jump('ne', 'r9', 0, 'spoofed_arp');
  a.load('u16', 'r1', 'r10', STACK_BYTES + arp.ARP_OP);
  a.jump('eq', 'r8', ether.ETH_P_RARP, 'rarp');
  a.jump('ne', 'r1', swapped16(arp.ARPOP_REQUEST), 'spoofed_arp');
  arpAddress(a, 'r9', arp.ARP_TPA);
  ifIpv4Known(a, 'r9', ok, 'spoofed_arp');
  a.label('rarp');
  a.jump('ne', 'r1', swapped16(arp.ARPOP_RREQUEST), 'spoofed_arp');
  a.goto(ok);
}

/** `to` = the IPv4 address at STACK_BYTES + `at` (even), as it lies there. Uses r1. */
function arpAddress(a: Assembler, to: Register, at: number): void {
  a.load('u16', to, 'r10', STACK_BYTES + at);
  a.load('u16', 'r1', 'r10', STACK_BYTES + at + 2);
  a.alu('lsh', 'r1', 16);
  a.alu('or', to, 'r1');
}
