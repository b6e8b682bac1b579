/**
 * Pieces that the hook's programs are made of. Registers by convention:
 *
 *   r6   the context, struct __sk_buff
 *   r8   slot of the receiver, once known
 *   r7, r9  free, kept over calls
 *
 * and the stack below r10: what helpers take by address.
 */

import * as skb from '../../abi/bpf_skb.js';
import { ETH_HLEN } from '../../abi/if_ether.js';
import type { Assembler } from '../assembler.js';
import type { Register } from '../operations.js';
import * as layout from './layout.js';

/** u64 key of the destination MAC. */
export const STACK_DESTINATION = -8;
/** u64 key of the source MAC. */
export const STACK_SOURCE = -16;
/** u32 key of the array maps. */
export const STACK_INDEX = -20;
/** A value for map_update_elem, LEARNED_ENTRY_SIZE bytes. */
export const STACK_ENTRY = -40;
/** Key of `addresses`, ADDRESS_KEY_SIZE bytes. */
export const STACK_ADDRESS = -64;
/** Bytes read from the frame, 32 at most. */
export const STACK_BYTES = -96;

/** 01:80:c2:00:00:00 as key; its last four bits do not matter. */
const RESERVED_GROUPS = 0x0000_00c2_8001;
const RESERVED_MASK = 0xf0ff_ffff_ffffn;

export function verdict(a: Assembler, action: number): void {
  a.mov('r0', action);
  a.exit();
}

/** `to` = address of a place on the stack. */
export function stackAddress(a: Assembler, to: Register, offset: number): void {
  a.mov(to, 'r10');
  a.alu('add', to, offset);
}

/** r0 = entry of `map` for the key at stack `offset`, or 0. Loses r1 … r5. */
export function lookup(a: Assembler, map: string, offset: number): void {
  a.loadMap('r1', map);
  stackAddress(a, 'r2', offset);
  a.call(skb.BPF_FUNC_map_lookup_elem);
}

/** r0 = entry of an array map at `index` (a register, or a number), or 0. */
export function element(a: Assembler, map: string, index: Register | number): void {
  a.store('u32', 'r10', STACK_INDEX, index);
  lookup(a, map, STACK_INDEX);
}

/** Counts one frame of skb->len bytes for slot `index`. Loses r0 … r5. The counters are this CPU's own. */
export function countFrame(a: Assembler, direction: 'rx' | 'tx', index: Register | number): void {
  const missing = a.unique('no_counters');
  element(a, 'counters', index);
  a.jump('eq', 'r0', 0, missing);
  bump(a, layout.counterOffset(`${direction}Frames`), 1);
  a.load('u32', 'r2', 'r6', skb.SKB_LEN);
  bump(a, layout.counterOffset(`${direction}Bytes`), 'r2');
  a.label(missing);
}

/** Adds one to a drop counter of slot `index`. Loses r0 … r5. */
export function countDrop(a: Assembler, name: layout.CounterName, index: Register | number): void {
  const missing = a.unique('no_counters');
  element(a, 'counters', index);
  a.jump('eq', 'r0', 0, missing);
  bump(a, layout.counterOffset(name), 1);
  a.label(missing);
}

function bump(a: Assembler, offset: number, by: Register | number): void {
  a.load('u64', 'r1', 'r0', offset);
  a.alu('add', 'r1', by);
  a.store('u64', 'r0', offset, 'r1');
}

/** At `label`: count the drop for slot `index`, and drop. */
export function dropAt(
  a: Assembler,
  label: string,
  name: layout.CounterName,
  index: Register | number,
): void {
  a.label(label);
  countDrop(a, name, index);
  verdict(a, skb.TC_ACT_SHOT);
}

/**
 * r2 = first byte of the frame with a whole Ethernet header behind it, pulled into the linear part if need be;
 * else goes to `short`. Loses r0 … r5.
 */
export function ethernetHeader(a: Assembler, short: string): void {
  const whole = a.unique('header');
  const load = () => {
    a.load('u32', 'r2', 'r6', skb.SKB_DATA);
    a.load('u32', 'r3', 'r6', skb.SKB_DATA_END);
    a.mov('r4', 'r2');
    a.alu('add', 'r4', ETH_HLEN);
  };
  load();
  a.jump('le', 'r4', 'r3', whole);
  a.mov('r1', 'r6');
  a.mov('r2', ETH_HLEN);
  a.call(skb.BPF_FUNC_skb_pull_data);
  load();
  a.jump('gt', 'r4', 'r3', short);
  a.label(whole);
}

/** `to` = the six bytes at r2 + offset as a MAC key, also on the stack. Uses r4. */
export function macKey(a: Assembler, to: Register, offset: number, stack: number): void {
  a.load('u32', to, 'r2', offset);
  a.load('u16', 'r4', 'r2', offset + 4);
  a.alu('lsh', 'r4', 32);
  a.alu('or', to, 'r4');
  a.store('u64', 'r10', stack, to);
}

/** Goes to `label` if the MAC key in `key` is a group the standard reserves for the link. Uses r4 and r5. */
export function ifReserved(a: Assembler, key: Register, label: string): void {
  a.mov('r4', key);
  a.mov64('r5', RESERVED_MASK);
  a.alu('and', 'r4', 'r5');
  a.jump('eq', 'r4', RESERVED_GROUPS, label);
}

/** Goes to `label` if the frame carries the mark of one that has its verdict. */
export function ifRouted(a: Assembler, label: string): void {
  a.load('u32', 'r1', 'r6', skb.SKB_MARK);
  a.jump32('eq', 'r1', layout.ROUTED, label);
}

/** Marks the frame as routed (or takes the mark off). Uses r1. */
export function setMark(a: Assembler, value: number): void {
  a.mov('r1', value);
  a.store('u32', 'r6', skb.SKB_MARK, 'r1');
}

/** `to` = a field of the one configuration entry. */
export function config(a: Assembler, to: Register, field: number): void {
  a.loadMapValue(to, 'config', field);
  a.load('u32', to, to, 0);
}

/** gso_size of what is cut where its pieces end, as SCTP's is: the kernel's own linux/skbuff.h. */
export const GSO_BY_FRAGS = 0xffff;

/** The least that stands before a segment's payload: Ethernet, IPv4 and UDP headers. */
export const HEADERS_LEAST = ETH_HLEN + 20 + 8;

/**
 * Goes to `label` if the frame is longer than `longest` (a register, bytes) and is not to be cut into such as fit. The
 * kernel asks that of nobody whom it hands a frame by redirect, and not every NIC takes it well (CVE-2018-1000026).
 * Of segments only their payload is known, so they may be longer by what headers can have of options. Uses r1.
 */
export function ifOversize(a: Assembler, longest: Register, label: string): void {
  const fits = a.unique('fits');
  a.load('u32', 'r1', 'r6', skb.SKB_LEN);
  a.jump('le', 'r1', longest, fits);
  a.load('u32', 'r1', 'r6', skb.SKB_GSO_SIZE);
  a.jump('eq', 'r1', 0, label);
  a.jump('eq', 'r1', GSO_BY_FRAGS, fits);
  a.alu('add', 'r1', HEADERS_LEAST);
  a.jump('gt', 'r1', longest, label);
  a.label(fits);
}

/** Sends the frame to interface `r1` (flags in r2) and ends. The mark, the VLAN tag and the offloads go with it. */
export function redirect(a: Assembler): void {
  a.call(skb.BPF_FUNC_redirect);
  a.exit();
}

/**
 * Delivers the frame to the port in slot r8, and ends. `peer`: this program runs where bpf_redirect_peer may be
 * used (on ingress). A slot without a port drops, counted for slot `from`; a frame that is too long for the port is
 * counted for that. Loses r7 and r9.
 */
export function deliver(a: Assembler, from: number, peer: boolean): void {
  const gone = a.unique('gone');
  const toPeer = a.unique('to_peer');
  const oversize = a.unique('oversize');
  element(a, 'ports', 'r8');
  a.jump('eq', 'r0', 0, gone);
  a.mov('r7', 'r0');
  a.load('u32', 'r9', 'r7', layout.PORT_IFINDEX);
  a.jump('eq', 'r9', 0, gone);
  a.load('u32', 'r2', 'r7', layout.PORT_LONGEST);
  ifOversize(a, 'r2', oversize);
  countFrame(a, 'tx', 'r8');
  if (peer) {
    a.load('u32', 'r1', 'r7', layout.PORT_FLAGS);
    a.jump('set', 'r1', layout.PORT_PEER, toPeer);
  }
  a.mov('r1', 'r9');
  a.mov('r2', 0);
  redirect(a);
  if (peer) {
    a.label(toPeer);
    redirectToPeer(a);
  }
  dropAt(a, gone, 'dropGone', from);
  dropAt(a, oversize, 'dropOversize', 'r8');
}

/** The frame arrives at the other end of the veth r9, as if it had been sent through it; ends. */
export function redirectToPeer(a: Assembler): void {
  const ours = a.unique('ours');
  // It came in as another's (its MAC is not this interface's), and before Linux 6.15 would stay so at the peer.
  a.load('u32', 'r1', 'r6', skb.SKB_PKT_TYPE);
  a.jump('eq', 'r1', skb.PACKET_HOST, ours);
  a.mov('r1', 'r6');
  a.mov('r2', skb.PACKET_HOST);
  a.call(skb.BPF_FUNC_skb_change_type);
  a.label(ours);
  a.mov('r1', 'r9');
  a.mov('r2', 0);
  a.call(skb.BPF_FUNC_redirect_peer);
  a.exit();
}
