// Who a frame says it is from, above the MAC, of a port that has addresses. The rules are those of the hook's programs
// for kernel ports (src/hook/programs/sender.ts, which says why), to the letter: test/hook/senders_differential.test.ts.
//
//   802.3        IPv4, IPv6 and ARP behind LLC and SNAP are looked at like others; behind other LLC they are dropped
//   IPv4, IPv6   the source is one of the port's. Who has none yet (0.0.0.0, ::) asks for it by DHCP, tells its groups
//                (IGMP, MLD), solicits routers, and finds out whether one of the port's is in use
//   ARP, RARP    Ethernet and IPv4; sender MAC is the frame's source; sender IP is one of the port's, or 0 of who asks
//                whether one of the port's is in use, or (RARP) who it is
//   ND           not in fragments; source and target link-layer options are the frame's source; an advertisement's
//                target is one of the port's; router advertisements and redirects are no guest's to send (RFC 4861)
//
// Behind three VLAN tags; IPv6 extension headers are walked, since a receiver would (RFC 8200, 4.1). Everything is read
// out of the private header copy: what lies behind it cannot be followed, and what cannot be followed is dropped.
import {
  ARP_HLN,
  ARP_HRD,
  ARP_OP,
  ARP_PRO,
  ARP_SHA,
  ARP_SIZE,
  ARP_SPA,
  ARP_TPA,
  ARPHRD_ETHER,
  ARPHRD_IEEE802,
  ARPOP_REQUEST,
  ARPOP_RREQUEST,
} from '../src/abi/arp';
import {
  ETH_P_802_3_MIN,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ETH_P_QINQ1,
  ETH_P_QINQ2,
  ETH_P_QINQ3,
  ETH_P_RARP,
  ETH_PROTO,
  VLAN_HLEN,
} from '../src/abi/if_ether';
import {
  IPHDR_DADDR,
  IPHDR_FRAG_OFF,
  IPHDR_PROTOCOL,
  IPHDR_SADDR,
  IPHDR_SIZE,
  IPPROTO_IGMP,
  IPPROTO_UDP,
} from '../src/abi/inet';
import { LLC_SAP_IP, LLC_SAP_SNAP } from '../src/abi/llc';
import { DROP_SPOOFED_ARP, DROP_SPOOFED_IP } from './counters';
import { be16, headerBytes } from './headers';
import { F_HEADER } from './layout';
import { isSource, mayBeV4 } from './sender_addresses';
import { ipv6Refusal } from './sender_ipv6';
import { SENDER_BYTES } from './senders_layout';

const TAGS_MAX: u32 = 3;

/** The lowest bit of a service access point says group, or response. */
const SAP: u32 = 0xfe;
const LLC_SAP_ARP: u32 = 0x98;
/** Unnumbered information. */
const LLC_UI: u32 = 3;
const LLC_SIZE: u32 = 3;
const SNAP_SIZE: u32 = 8;
/** What says in SNAP that an ethertype follows: RFC 1042, and the bridge tunnel of 802.1H. */
const OUI_ETHERNET: u32 = 0;
const OUI_BRIDGE_TUNNEL: u32 = 0xf8;

const ARP_ETHERNET_IPV4: u32 = 0x0604;
/** ip.h: more-fragments bit and offset. */
const IP_MF_OFFSET: u32 = 0x3fff;
/** Of a datagram from port 68 to port 67, as it lies. */
const DHCP_PORTS: u32 = 0x43004400;
const IPV4_BROADCAST: u32 = 0xffffffff;

/** Why a frame may not be sent (DROP_SPOOFED_*); 0: it may. `senders`: SENDERS_SIZE octets. */
export function senderRefusal(senders: u32, frame: u32): u32 {
  const header = frame + F_HEADER;
  const end = min<u32>(headerBytes(frame), SENDER_BYTES);
  let at: u32 = ETH_PROTO;
  let type: u32 = 0;
  for (let tag: u32 = 0; ; tag++) {
    if (at + 2 > end) return DROP_SPOOFED_IP;
    type = be16(header + at);
    at += 2;
    if (!isTag(type)) break;
    if (tag == TAGS_MAX) return DROP_SPOOFED_IP;
    at += VLAN_HLEN - 2;
  }
  if (type < <u32>ETH_P_802_3_MIN) {
    if (at + LLC_SIZE > end) return DROP_SPOOFED_IP;
    const llc = header + at;
    const sap = load<u8>(llc) & SAP;
    if (sap == LLC_SAP_IP) return DROP_SPOOFED_IP;
    if (sap == LLC_SAP_ARP) return DROP_SPOOFED_ARP;
    if (sap != LLC_SAP_SNAP) return 0;
    if ((load<u8>(llc, 1) & SAP) != LLC_SAP_SNAP || load<u8>(llc, 2) != LLC_UI || at + SNAP_SIZE > end)
      return DROP_SPOOFED_IP;
    const oui = (be16(llc + 3) << 8) | load<u8>(llc, 5);
    if (oui != OUI_ETHERNET && oui != OUI_BRIDGE_TUNNEL) return 0;
    type = be16(llc + 6);
    at += SNAP_SIZE;
    if (type < <u32>ETH_P_802_3_MIN || isTag(type)) return DROP_SPOOFED_IP;
  }
  if (type == ETH_P_IP) return ipv4(senders, header, at, end);
  if (type == ETH_P_IPV6) return ipv6Refusal(senders, frame, at, end);
  if (type == ETH_P_ARP || type == ETH_P_RARP) return arp(senders, header, at, end, type);
  return 0;
}

function isTag(type: u32): bool {
  return (
    type == ETH_P_8021Q ||
    type == ETH_P_8021AD ||
    type == ETH_P_QINQ1 ||
    type == ETH_P_QINQ2 ||
    type == ETH_P_QINQ3
  );
}

function ipv4(senders: u32, header: u32, from: u32, end: u32): u32 {
  if (from + IPHDR_SIZE > end) return DROP_SPOOFED_IP;
  const at = header + from;
  const source = load<u32>(at, IPHDR_SADDR);
  if (mayBeV4(senders, source)) return 0;
  if (source != 0) return DROP_SPOOFED_IP;
  const to = load<u32>(at, IPHDR_DADDR);
  const protocol = <u32>load<u8>(at, IPHDR_PROTOCOL);
  if (protocol == IPPROTO_IGMP) return (to & 0xf0) == 0xe0 ? 0 : DROP_SPOOFED_IP;
  if (protocol != IPPROTO_UDP || to != IPV4_BROADCAST || be16(at + IPHDR_FRAG_OFF) & IP_MF_OFFSET)
    return DROP_SPOOFED_IP;
  const size = (<u32>load<u8>(at) & 15) << 2;
  if (size < <u32>IPHDR_SIZE || from + size + 4 > end) return DROP_SPOOFED_IP;
  return load<u32>(at + size) == DHCP_PORTS ? 0 : DROP_SPOOFED_IP;
}

function arp(senders: u32, header: u32, from: u32, end: u32, type: u32): u32 {
  if (from + ARP_SIZE > end) return DROP_SPOOFED_ARP;
  const at = header + from;
  const hardware = be16(at + ARP_HRD);
  if (hardware != ARPHRD_ETHER && hardware != ARPHRD_IEEE802) return DROP_SPOOFED_ARP;
  if (be16(at + ARP_PRO) != ETH_P_IP || be16(at + ARP_HLN) != ARP_ETHERNET_IPV4) return DROP_SPOOFED_ARP;
  if (!isSource(header, at + ARP_SHA)) return DROP_SPOOFED_ARP;
  const sender = load<u32>(at, ARP_SPA);
  if (mayBeV4(senders, sender)) return 0;
  if (sender != 0) return DROP_SPOOFED_ARP;
  const operation = be16(at + ARP_OP);
  const asks =
    type == ETH_P_RARP
      ? operation == ARPOP_RREQUEST
      : operation == ARPOP_REQUEST && mayBeV4(senders, load<u32>(at, ARP_TPA));
  return asks ? 0 : DROP_SPOOFED_ARP;
}
