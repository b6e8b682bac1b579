/**
 * What becomes of group frames, by tail call from all other programs: the verifier takes its time for the loop, so it
 * stands here alone. The slot that the frame came from is in skb->cb[0].
 *
 *   of a port              a copy to every other port, one to the wire, and what is left goes to the host
 *   of the wire, the host  a copy to every port, and on, as if nothing had been
 */
import * as skb from '../../abi/bpf_skb.js';
import { Assembler, type Program } from '../assembler.js';
import * as piece from './fragments.js';
import * as layout from './layout.js';

export function groupFrames(): Program {
  const a = new Assembler('netferry_group');
  a.mov('r6', 'r1');
  a.load('u32', 'r7', 'r6', skb.SKB_CB);
  piece.copyToPorts(a, 'r7');
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
