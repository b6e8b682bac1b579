/**
 * The end of a port's program for group frames, by tail call: a copy to every other port, one to the wire, and what
 * is left goes to the host. The sender's slot is in skb->cb[0].
 */
import * as skb from '../../abi/bpf_skb.js';
import { Assembler, type Program } from '../assembler.js';
import * as piece from './fragments.js';
import * as layout from './layout.js';

export function portGroup(): Program {
  const a = new Assembler('netferry_group');
  a.mov('r6', 'r1');
  a.load('u32', 'r7', 'r6', skb.SKB_CB);
  piece.copyToPorts(a, 'r7');
  piece.config(a, 'r7', layout.CONFIG_UPLINK);
  a.jump('eq', 'r7', 0, 'copied'); // the copies were all
  piece.setMark(a, layout.ROUTED);
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
  a.label('copied');
  piece.verdict(a, skb.TC_ACT_SHOT);
  return a.assemble();
}
