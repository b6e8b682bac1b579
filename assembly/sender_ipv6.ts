// sender.ts, of IPv6: its headers are walked to where neighbour discovery may be.
import { ICMPV6_MGM_REDUCTION, ICMPV6_MGM_REPORT, ICMPV6_MLD2_REPORT } from '../src/abi/icmpv6';
import {
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ICMPV6,
  IPPROTO_ROUTING,
  IPV6HDR_NEXTHDR,
  IPV6HDR_PAYLOAD_LEN,
  IPV6HDR_SADDR,
  IPV6HDR_SIZE,
} from '../src/abi/inet';
import {
  ND_NEIGHBOR_ADVERT,
  ND_NEIGHBOR_SOLICIT,
  ND_OPT_SOURCE_LINKADDR,
  ND_OPT_TARGET_LINKADDR,
  ND_OPTIONS,
  ND_REDIRECT,
  ND_ROUTER_ADVERT,
  ND_ROUTER_SOLICIT,
  ND_RS_OPTIONS,
  ND_TARGET,
} from '../src/abi/neighbour_discovery';
import { DROP_SPOOFED_IP, DROP_SPOOFED_ND } from './counters';
import { be16 } from './headers';
import { F_HEADER, F_LEN } from './layout';
import { isSource, mayBeV6 } from './sender_addresses';

const HEADERS_MAX: u32 = 8;
const OPTIONS_MAX: u32 = 8;
const FRAGMENT_SIZE: u32 = 8;

/** `from`: where the IPv6 header is; `end`: of what of the frame is at hand. As senderRefusal. */
export function ipv6Refusal(senders: u32, frame: u32, from: u32, end: u32): u32 {
  const header = frame + F_HEADER;
  const ip = header + from;
  if (from + IPV6HDR_SIZE > end) return DROP_SPOOFED_IP;
  const nobody = !mayBeV6(senders, ip + IPV6HDR_SADDR);
  if (nobody && (load<u64>(ip, IPV6HDR_SADDR) | load<u64>(ip, IPV6HDR_SADDR + 8)) != 0)
    return DROP_SPOOFED_IP;
  let at = from + IPV6HDR_SIZE;
  let next = <u32>load<u8>(ip, IPV6HDR_NEXTHDR);
  // What lies behind the packet is padding, which receivers cut off. A jumbogram has no end of its own.
  const length = be16(ip + IPV6HDR_PAYLOAD_LEN);
  let whole = load<u32>(frame, F_LEN);
  if (length != 0 || next != IPPROTO_HOPOPTS) whole = min(whole, at + length);
  const stop = min(end, whole);
  let fragment = false;
  for (let walked: u32 = 0; walked < HEADERS_MAX; walked++) {
    if (next == IPPROTO_ICMPV6) {
      if (at + 1 > stop) return DROP_SPOOFED_ND;
      const type = <u32>load<u8>(header + at);
      if (type == ND_ROUTER_ADVERT || type == ND_REDIRECT) return DROP_SPOOFED_ND;
      if (nobody && !mayBeNobodys(type)) return DROP_SPOOFED_IP;
      if (type < <u32>ND_ROUTER_SOLICIT || type > <u32>ND_NEIGHBOR_ADVERT) return 0;
      if (fragment) return DROP_SPOOFED_ND; // RFC 6980: receivers take it for none, the careless ones excepted
      return neighbourDiscovery(senders, header, at, stop, whole, nobody);
    }
    const options = next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
    if (!options && next != IPPROTO_AH && next != IPPROTO_FRAGMENT) return nobody ? DROP_SPOOFED_IP : 0;
    if (at + (next == IPPROTO_FRAGMENT ? FRAGMENT_SIZE : 2) > stop) return DROP_SPOOFED_ND;
    const place = header + at;
    if (next == IPPROTO_FRAGMENT) {
      if (nobody) return DROP_SPOOFED_IP;
      if (be16(place + 2) & 0xfff8) return 0; // not the first fragment: no header in it
      fragment = true;
      at += FRAGMENT_SIZE;
    } else {
      const units = <u32>load<u8>(place, 1);
      at += options ? (units + 1) << 3 : (units + 2) << 2;
    }
    next = load<u8>(place);
  }
  // More headers than anybody sends: nothing says that no neighbour discovery is behind them.
  return DROP_SPOOFED_ND;
}

/** What is sent before there is an address. */
function mayBeNobodys(type: u32): bool {
  return (
    type == ND_ROUTER_SOLICIT ||
    type == ND_NEIGHBOR_SOLICIT ||
    type == ICMPV6_MGM_REPORT ||
    type == ICMPV6_MGM_REDUCTION ||
    type == ICMPV6_MLD2_REPORT
  );
}

/** A solicitation or a neighbour's advertisement at `from`; `whole`: where the packet ends, `stop`: what of it is at hand. */
function neighbourDiscovery(senders: u32, header: u32, from: u32, stop: u32, whole: u32, nobody: bool): u32 {
  const type = <u32>load<u8>(header + from);
  const advert = type == ND_NEIGHBOR_ADVERT;
  // Who solicits an address without having one means to take it (RFC 4862, 5.4.3), and its owner would hear that it is taken.
  if (advert || (nobody && type == ND_NEIGHBOR_SOLICIT)) {
    if (from + ND_TARGET + 16 > stop) return DROP_SPOOFED_ND;
    if (!mayBeV6(senders, header + from + ND_TARGET)) return DROP_SPOOFED_ND;
  }
  const own: u32 = advert ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR;
  let at = from + (type == ND_ROUTER_SOLICIT ? ND_RS_OPTIONS : ND_OPTIONS);
  for (let option: u32 = 0; option < OPTIONS_MAX; option++) {
    if (at + 2 > whole) return 0; // the message ends
    if (at + 2 > stop) return DROP_SPOOFED_ND;
    if (<u32>load<u8>(header + at) == own) {
      if (at + 8 > stop || !isSource(header, header + at + 2)) return DROP_SPOOFED_ND;
    }
    const length = <u32>load<u8>(header + at + 1);
    if (length == 0) return DROP_SPOOFED_ND; // RFC 4861, 4.6: never 0
    at += length << 3;
  }
  return DROP_SPOOFED_ND;
}
