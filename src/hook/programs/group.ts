/**
 * What becomes of group frames, by tail call from all other programs: the verifier takes its time for the loop, so it
 * stands here alone. The slot that the frame came from is in skb->cb[0].
 *
 *   of a port              a copy to every other port, one to the wire, and what is left goes to the host
 *   of the wire, the host  a copy to every port, and on, as if nothing had been
 */
import * as skb from '../../abi/bpf_skb.js';
import { Assembler, type Program } from '../assembler.js';
import type { Register } from '../operations.js';
import * as piece from './fragments.js';
import * as layout from './layout.js';

const CB_LENGTH = skb.SKB_CB + 4;

export function groupFrames(): Program {
  const a = new Assembler('netferry_group');
  a.mov('r6', 'r1');
  a.load('u32', 'r7', 'r6', skb.SKB_CB);
  copyToPorts(a, 'r7');
  a.jump('lt', 'r7', layout.SLOT_PORTS, 'pass');
  piece.config(a, 'r7', layout.CONFIG_UPLINK);
  a.jump('eq', 'r7', 0, 'copied'); // the copies were all
  piece.setMark(a, layout.ROUTED);
  piece.config(a, 'r2', layout.CONFIG_LONGEST);
  piece.ifOversize(a, 'r2', 'oversize');
  a.mov('r1', 'r6');
  a.mov('r2', 'r7');
  a.mov('r3', 0);
  a.call(skb.BPF_FUNC_clone_redirect);
  a.jump('ne', 'r0', 0, 'wire_refused');
  piece.countFrame(a, 'tx', layout.SLOT_WIRE);
  a.label('host');
  piece.countFrame(a, 'tx', layout.SLOT_HOST);
  a.mov('r1', 'r7');
  a.mov('r2', skb.BPF_F_INGRESS);
  piece.redirect(a);
  a.label('wire_refused');
  piece.countDrop(a, 'dropClone', layout.SLOT_WIRE);
  a.goto('host');
  a.label('oversize');
  piece.countDrop(a, 'dropOversize', layout.SLOT_WIRE);
  a.goto('host');
  a.label('copied');
  piece.verdict(a, skb.TC_ACT_SHOT);
  a.label('pass');
  piece.verdict(a, skb.TC_ACT_UNSPEC);
  return a.assemble();
}

/** Hands a frame of slot `from` to it. Comes back only where it has not been loaded. */
export function toGroup(a: Assembler, from: number): void {
  a.mov('r1', from);
  a.store('u32', 'r6', skb.SKB_CB, 'r1');
  a.mov('r1', 'r6');
  a.loadMap('r2', 'programs');
  a.mov('r3', layout.PROGRAM_GROUP);
  a.call(skb.BPF_FUNC_tail_call);
}

/**
 * Copies the frame to every receiver of group frames but the slot in register `except`. Loses r8, r9 and all
 * addresses in the frame. The verifier walks the loop once for each of 512 receivers, which takes it 60 ms.
 */
function copyToPorts(a: Assembler, except: Register): void {
  lengthToTake(a);
  a.mov('r9', 0);
  a.label('next_receiver');
  a.jump('ge', 'r9', layout.SLOTS, 'all_received'); // the bound that the verifier sees
  piece.config(a, 'r1', layout.CONFIG_GROUPS);
  a.jump('ge', 'r9', 'r1', 'all_received');
  piece.element(a, 'groups', 'r9');
  a.jump('eq', 'r0', 0, 'all_received');
  a.alu('add', 'r9', 1);
  a.load('u32', 'r2', 'r0', layout.GROUP_IFINDEX);
  a.load('u16', 'r8', 'r0', layout.GROUP_SLOT);
  a.load('u16', 'r3', 'r0', layout.GROUP_LONGEST);
  a.jump('eq', 'r2', 0, 'next_receiver');
  a.jump('eq', 'r8', except, 'next_receiver');
  a.load('u32', 'r4', 'r6', CB_LENGTH);
  a.jump('gt', 'r4', 'r3', 'receiver_oversize');
  a.mov('r1', 'r6');
  a.mov('r3', 0);
  a.call(skb.BPF_FUNC_clone_redirect);
  a.jump('ne', 'r0', 0, 'receiver_refused');
  piece.countFrame(a, 'tx', 'r8');
  a.goto('next_receiver');
  a.label('receiver_refused');
  piece.countDrop(a, 'dropClone', 'r8');
  a.goto('next_receiver');
  a.label('receiver_oversize');
  piece.countDrop(a, 'dropOversize', 'r8');
  a.goto('next_receiver');
  a.label('all_received');
}

/**
 * skb->cb[1] = what `ifOversize` compares, once for many receivers. From there the verifier takes any value, so it walks
 * their loop once. Uses r1 and r2.
 */
function lengthToTake(a: Assembler): void {
  a.load('u32', 'r2', 'r6', skb.SKB_LEN);
  a.load('u32', 'r1', 'r6', skb.SKB_GSO_SIZE);
  a.jump('eq', 'r1', 0, 'length_known');
  a.alu('add', 'r1', piece.HEADERS_LEAST);
  a.jump('ne', 'r1', piece.GSO_BY_FRAGS + piece.HEADERS_LEAST, 'cut');
  a.mov('r1', 0);
  a.label('cut');
  a.jump('le', 'r2', 'r1', 'length_known');
  a.mov('r2', 'r1');
  a.label('length_known');
  a.store('u32', 'r6', CB_LENGTH, 'r2');
}
