/** `sender.ts`, of IPv6: its headers are walked to where neighbour discovery may be. */
import { ICMPV6_MGM_REDUCTION, ICMPV6_MGM_REPORT, ICMPV6_MLD2_REPORT } from '../../abi/icmpv6.js';
import * as inet from '../../abi/inet.js';
import * as nd from '../../abi/neighbour_discovery.js';
import type { Assembler } from '../assembler.js';
import { STACK_BYTES } from './fragments.js';
import {
  FRAGMENT,
  ifIpv6Known,
  isSource,
  NOBODY,
  read,
  STACK_END,
  STACK_STATE,
  STACK_WHOLE,
  within,
} from './sender_bytes.js';

/** Extension headers, and options of a neighbour discovery message. */
const HEADERS_MAX = 8;
const OPTIONS_MAX = 8;

/** The IPv6 header is at r9: goes to `ok`, spoofed_ip or spoofed_nd. */
export function checkIpv6(a: Assembler, ok: string): void {
  within(a, inet.IPV6HDR_SIZE, 'spoofed_ip');
  read(a, inet.IPV6HDR_SADDR, 16, 'spoofed_ip');
  a.store('u32', 'r10', STACK_STATE, 0);
  ifIpv6Known(a, 'ipv6_source_known', 'ipv6_source_new');
  a.label('ipv6_source_new');
  a.load('u64', 'r1', 'r10', STACK_BYTES);
  a.load('u64', 'r2', 'r10', STACK_BYTES + 8);
  a.alu('or', 'r1', 'r2');
  a.jump('ne', 'r1', 0, 'spoofed_ip');
  a.store('u32', 'r10', STACK_STATE, NOBODY);

  a.label('ipv6_source_known');
  read(a, inet.IPV6HDR_PAYLOAD_LEN, 4, 'spoofed_ip');
  a.load('u8', 'r8', 'r10', STACK_BYTES + inet.IPV6HDR_NEXTHDR - inet.IPV6HDR_PAYLOAD_LEN);
  a.alu('add', 'r9', inet.IPV6HDR_SIZE);
  // What lies behind the packet is padding, which receivers cut off. A jumbogram has no end of its own.
  a.load('u16', 'r1', 'r10', STACK_BYTES);
  a.bigEndian('r1', 16);
  a.jump('ne', 'r1', 0, 'ipv6_has_end');
  a.jump('eq', 'r8', inet.IPPROTO_HOPOPTS, 'ipv6_end_known');
  a.label('ipv6_has_end');
  a.alu('add', 'r1', 'r9');
  for (const end of [STACK_WHOLE, STACK_END]) {
    const nearer = a.unique('nearer');
    a.load('u32', 'r2', 'r10', end);
    a.jump('le', 'r2', 'r1', nearer);
    a.store('u32', 'r10', end, 'r1');
    a.label(nearer);
  }
  a.label('ipv6_end_known');
  for (let header = 0; header < HEADERS_MAX; header++) nextHeader(a);
  // More headers than anybody sends: nothing says that no neighbour discovery is behind them.
  a.goto('spoofed_nd');

  a.label('ipv6_other');
  a.load('u32', 'r1', 'r10', STACK_STATE);
  a.jump('eq', 'r1', NOBODY, 'spoofed_ip');
  a.goto(ok);
  a.label('icmpv6');
  icmpv6(a, ok);
}

/** r8 is the protocol of the header at r9: steps over it, or goes where that protocol is at home. */
function nextHeader(a: Assembler): void {
  const options = a.unique('options');
  const authentication = a.unique('authentication');
  const done = a.unique('next_header');
  a.jump('eq', 'r8', inet.IPPROTO_ICMPV6, 'icmpv6');
  a.jump('eq', 'r8', inet.IPPROTO_HOPOPTS, options);
  a.jump('eq', 'r8', inet.IPPROTO_ROUTING, options);
  a.jump('eq', 'r8', inet.IPPROTO_DSTOPTS, options);
  a.jump('eq', 'r8', inet.IPPROTO_AH, authentication);
  a.jump('ne', 'r8', inet.IPPROTO_FRAGMENT, 'ipv6_other');
  read(a, 0, 8, 'spoofed_nd');
  a.load('u32', 'r1', 'r10', STACK_STATE);
  a.jump('eq', 'r1', NOBODY, 'spoofed_ip');
  a.load('u8', 'r8', 'r10', STACK_BYTES);
  a.load('u16', 'r1', 'r10', STACK_BYTES + 2);
  a.bigEndian('r1', 16);
  a.alu('and', 'r1', 0xfff8);
  a.jump('ne', 'r1', 0, 'ipv6_other'); // not the first fragment: no header in it
  a.store('u32', 'r10', STACK_STATE, FRAGMENT);
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

function icmpv6(a: Assembler, ok: string): void {
  read(a, 0, 1, 'spoofed_nd');
  a.load('u8', 'r1', 'r10', STACK_BYTES);
  a.load('u32', 'r2', 'r10', STACK_STATE);
  a.jump('eq', 'r1', nd.ND_ROUTER_ADVERT, 'spoofed_nd');
  a.jump('eq', 'r1', nd.ND_REDIRECT, 'spoofed_nd');
  a.jump('eq', 'r2', NOBODY, 'nobody');
  a.jump('eq', 'r2', FRAGMENT, 'icmpv6_fragment');
  a.mov('r8', nd.ND_OPT_SOURCE_LINKADDR);
  a.jump('eq', 'r1', nd.ND_NEIGHBOR_ADVERT, 'advert');
  a.jump('eq', 'r1', nd.ND_NEIGHBOR_SOLICIT, 'solicit');
  a.jump('ne', 'r1', nd.ND_ROUTER_SOLICIT, ok);
  a.label('router_solicit');
  a.alu('add', 'r9', nd.ND_RS_OPTIONS);
  a.goto('options');

  // RFC 6980: receivers take it for none, the careless ones excepted.
  a.label('icmpv6_fragment');
  a.jump('eq', 'r1', nd.ND_ROUTER_SOLICIT, 'spoofed_nd');
  a.jump('eq', 'r1', nd.ND_NEIGHBOR_SOLICIT, 'spoofed_nd');
  a.jump('eq', 'r1', nd.ND_NEIGHBOR_ADVERT, 'spoofed_nd');
  a.goto(ok);

  // What is sent before there is an address.
  a.label('nobody');
  a.jump('eq', 'r1', ICMPV6_MGM_REPORT, ok);
  a.jump('eq', 'r1', ICMPV6_MGM_REDUCTION, ok);
  a.jump('eq', 'r1', ICMPV6_MLD2_REPORT, ok);
  a.mov('r8', nd.ND_OPT_SOURCE_LINKADDR);
  a.jump('eq', 'r1', nd.ND_ROUTER_SOLICIT, 'router_solicit');
  a.jump('ne', 'r1', nd.ND_NEIGHBOR_SOLICIT, 'spoofed_ip');
  // Who solicits an address without having one means to take it (RFC 4862, 5.4.3), and its owner would hear that it is taken.
  a.goto('target');

  a.label('advert');
  a.mov('r8', nd.ND_OPT_TARGET_LINKADDR);
  a.label('target');
  read(a, nd.ND_TARGET, 16, 'spoofed_nd');
  ifIpv6Known(a, 'solicit', 'spoofed_nd');
  a.label('solicit');
  a.alu('add', 'r9', nd.ND_OPTIONS);
  a.label('options');
  linkLayerOptions(a, ok);
}

/** Options begin at r9; the one of type r8, wherever it is, has the source MAC. */
function linkLayerOptions(a: Assembler, ok: string): void {
  for (let option = 0; option < OPTIONS_MAX; option++) {
    const other = a.unique('other_option');
    a.load('u32', 'r1', 'r10', STACK_WHOLE);
    a.mov('r2', 'r9');
    a.alu('add', 'r2', 2);
    a.jump('gt', 'r2', 'r1', ok); // the message ends
    read(a, 0, 2, 'spoofed_nd');
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
