/**
 * The program on a port's ingress, for what the guest behind it sends. One a port: its slot is in its code.
 *
 *   sender   source MAC is the port's, or one the table gives it, or one it may learn; then, if the port has
 *            addresses, what `sender.ts` checks
 *   receiver another port · the host, through the uplink's ingress · a group: a copy to every other port, one to the
 *            wire, and the host · nobody known: the wire, or, without an uplink, the fallback port
 */

import { BPF_NOEXIST } from '../../abi/bpf.js';
import * as skb from '../../abi/bpf_skb.js';
import { ETH_DEST, ETH_SOURCE } from '../../abi/if_ether.js';
import { Assembler, type Program } from '../assembler.js';
import * as piece from './fragments.js';
import * as layout from './layout.js';
import { checkSender } from './sender.js';

export function portIngress(slot: number): Program {
  const a = new Assembler('netferry_port');
  a.mov('r6', 'r1');
  piece.ethernetHeader(a, 'runt');
  piece.macKey(a, 'r7', ETH_SOURCE, piece.STACK_SOURCE);
  piece.macKey(a, 'r9', ETH_DEST, piece.STACK_DESTINATION);
  piece.countFrame(a, 'rx', slot);
  piece.element(a, 'ports', slot);
  a.jump('eq', 'r0', 0, 'spoofed_mac');
  a.load('u32', 'r8', 'r0', layout.PORT_FLAGS);
  a.load('u64', 'r1', 'r0', layout.PORT_MAC);
  a.jump('ne', 'r7', 'r1', 'other_source');
  a.label('source_known');
  a.jump('set', 'r8', layout.PORT_CHECKED, 'check_sender');

  a.label('sender_known');
  a.jump('set', 'r9', 1, 'group');
  piece.lookup(a, 'macs', piece.STACK_DESTINATION);
  a.jump('eq', 'r0', 0, 'unknown');
  a.load('u32', 'r8', 'r0', layout.MAC_SLOT);
  a.jump('eq', 'r8', layout.SLOT_HOST, 'host');
  a.jump('eq', 'r8', slot, 'echo');
  a.label('deliver');
  piece.deliver(a, slot, true);

  a.label('host');
  toUplink(a, layout.SLOT_HOST, skb.BPF_F_INGRESS);
  a.label('unknown');
  piece.config(a, 'r7', layout.CONFIG_FLAGS);
  a.jump('set', 'r7', layout.PORT_PEER, 'beyond_uplink');
  toUplink(a, layout.SLOT_WIRE, 0);
  a.label('beyond_uplink');
  piece.config(a, 'r9', layout.CONFIG_UPLINK);
  a.jump('eq', 'r9', 0, 'no_uplink');
  piece.countFrame(a, 'tx', layout.SLOT_WIRE);
  piece.redirectToPeer(a);
  a.label('no_uplink');
  piece.config(a, 'r8', layout.CONFIG_FALLBACK);
  a.jump('eq', 'r8', 0, 'unknown_receiver');
  a.jump('eq', 'r8', slot, 'unknown_receiver');
  a.goto('deliver');

  a.label('group');
  piece.ifReserved(a, 'r9', 'reserved');
  a.mov('r1', slot);
  a.store('u32', 'r6', skb.SKB_CB, 'r1');
  a.mov('r1', 'r6');
  a.loadMap('r2', 'programs');
  a.mov('r3', layout.PROGRAM_GROUP);
  a.call(skb.BPF_FUNC_tail_call); // comes back only if there is no such program
  a.goto('gone');
  a.label('check_sender');
  checkSender(a, slot, 'sender_checked');
  a.label('sender_checked');
  a.load('u64', 'r9', 'r10', piece.STACK_DESTINATION);
  a.goto('sender_known');
  otherSource(a, slot);

  piece.dropAt(a, 'runt', 'dropRunt', slot);
  piece.dropAt(a, 'spoofed_mac', 'dropSpoofedMac', slot);
  piece.dropAt(a, 'spoofed_arp', 'dropSpoofedArp', slot);
  piece.dropAt(a, 'spoofed_nd', 'dropSpoofedNd', slot);
  piece.dropAt(a, 'spoofed_ip', 'dropSpoofedIp', slot);
  piece.dropAt(a, 'reserved', 'dropReserved', slot);
  piece.dropAt(a, 'echo', 'dropEcho', slot);
  piece.dropAt(a, 'unknown_receiver', 'dropUnknown', slot);
  piece.dropAt(a, 'gone', 'dropGone', slot);
  piece.dropAt(a, 'learn_full', 'dropLearnFull', slot);
  return a.assemble();
}

/** Sends the frame out of the uplink (flags 0) or into its receive path, and ends; without one goes to no_uplink. */
function toUplink(a: Assembler, receiver: number, flags: number): void {
  piece.config(a, 'r7', layout.CONFIG_UPLINK);
  a.jump('eq', 'r7', 0, 'no_uplink');
  piece.countFrame(a, 'tx', receiver);
  piece.setMark(a, layout.ROUTED);
  a.mov('r1', 'r7');
  a.mov('r2', flags);
  piece.redirect(a);
}

/** The source MAC (r7) is not the port's first: another that the table gives it, or one to learn (flags in r8). */
function otherSource(a: Assembler, slot: number): void {
  a.label('other_source');
  a.jump('set', 'r7', 1, 'spoofed_mac');
  piece.lookup(a, 'macs', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, 'new_source');
  a.load('u32', 'r1', 'r0', layout.MAC_SLOT);
  a.load('u32', 'r2', 'r0', layout.MAC_FLAGS);
  a.jump('ne', 'r1', slot, 'moved_source');
  a.jump('eq', 'r2', 0, 'source_known'); // the table's owner entered it
  a.mov('r7', 'r0');
  a.call(skb.BPF_FUNC_ktime_get_ns);
  a.store('u64', 'r7', layout.MAC_SEEN, 'r0');
  a.load('u64', 'r7', 'r10', piece.STACK_SOURCE);
  a.goto('source_known');

  // Learned from another port and seen here: the machine behind it has moved, as a bridge would have it.
  a.label('moved_source');
  a.jump('eq', 'r2', 0, 'spoofed_mac');
  a.jump('set', 'r8', layout.PORT_LEARN, 'may_move');
  a.goto('spoofed_mac');
  a.label('may_move');
  piece.element(a, 'learned', 'r1');
  a.jump('eq', 'r0', 0, 'spoofed_mac');
  a.mov('r1', -1);
  a.atomic('add', 'u32', 'r0', layout.LEARNED_COUNT, 'r1');
  enter(a, slot, 0);
  a.goto('source_known');

  a.label('new_source');
  a.jump('set', 'r8', layout.PORT_LEARN, 'may_learn');
  a.goto('spoofed_mac');
  a.label('may_learn');
  piece.element(a, 'learned', slot);
  a.jump('eq', 'r0', 0, 'learn_full');
  a.load('u32', 'r1', 'r0', layout.LEARNED_COUNT);
  a.load('u32', 'r2', 'r0', layout.LEARNED_MAX);
  a.jump('ge', 'r1', 'r2', 'learn_full');
  enter(a, slot, BPF_NOEXIST);
  a.goto('source_known');
}

/** Enters the source MAC as learned here. If it cannot be (the table is full, another CPU was faster): learn_full. */
function enter(a: Assembler, slot: number, flags: number): void {
  a.store('u32', 'r10', piece.STACK_ENTRY + layout.MAC_SLOT, slot);
  a.store('u32', 'r10', piece.STACK_ENTRY + layout.MAC_FLAGS, layout.MAC_LEARNED);
  a.call(skb.BPF_FUNC_ktime_get_ns);
  a.store('u64', 'r10', piece.STACK_ENTRY + layout.MAC_SEEN, 'r0');
  a.loadMap('r1', 'macs');
  piece.stackAddress(a, 'r2', piece.STACK_SOURCE);
  piece.stackAddress(a, 'r3', piece.STACK_ENTRY);
  a.mov('r4', flags);
  a.call(skb.BPF_FUNC_map_update_elem);
  const entered = a.unique('entered');
  a.jump('eq', 'r0', 0, entered);
  // Entered meanwhile by another CPU: the next look-up says whose it is.
  piece.lookup(a, 'macs', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, 'learn_full');
  a.load('u32', 'r1', 'r0', layout.MAC_SLOT);
  a.jump('eq', 'r1', slot, 'source_known');
  a.goto('spoofed_mac');
  a.label(entered);
  piece.element(a, 'learned', slot);
  a.jump('eq', 'r0', 0, 'source_known');
  a.mov('r1', 1);
  a.atomic('add', 'u32', 'r0', layout.LEARNED_COUNT, 'r1');
}
