/**
 * The program on a port's ingress, for what the guest behind it sends. One a port: its slot is in its code.
 *
 *   sender   source MAC is the port's, or one the table gives it, or one it may learn; then, if the port has
 *            addresses, what `sender.ts` checks
 *   receiver another port · the host, through the uplink's ingress · a group: a copy to every other port, one to the
 *            wire, and the host · nobody known: the wire, or, without an uplink, the fallback port
 */

import * as skb from '../../abi/bpf_skb.js';
import { ETH_DEST, ETH_SOURCE } from '../../abi/if_ether.js';
import { Assembler, type Program } from '../assembler.js';
import * as piece from './fragments.js';
import { toGroup } from './group.js';
import * as layout from './layout.js';
import { learnedReceiver, otherSource } from './learning.js';
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
  a.jump('eq', 'r0', 0, 'unlisted');
  a.load('u32', 'r8', 'r0', layout.MAC_SLOT);
  a.jump('eq', 'r8', layout.SLOT_HOST, 'host');
  a.label('port');
  a.jump('eq', 'r8', slot, 'echo');
  a.label('deliver');
  piece.deliver(a, slot, true);

  a.label('host');
  toUplink(a, layout.SLOT_HOST, skb.BPF_F_INGRESS);
  a.label('unlisted');
  learnedReceiver(a, 'unknown');
  a.goto('port');
  a.label('unknown');
  piece.config(a, 'r2', layout.CONFIG_LONGEST);
  piece.ifOversize(a, 'r2', 'oversize');
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
  toGroup(a, slot);
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
  piece.dropAt(a, 'oversize', 'dropOversize', layout.SLOT_WIRE);
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
