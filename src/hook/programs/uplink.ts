/**
 * The two programs of the uplink.
 *
 *   ingress, what the wire sends:   a port's MAC → that port · group → a copy to every port, and on to the host
 *   egress, what the host sends:    a port's MAC → that port · group → a copy to every port, and on to the wire
 *
 * All else goes on untouched, and so does what carries the mark: a port's frame for the host or the wire, which a
 * redirect brings through here once more. Who is seen on the wire is behind no port: a MAC that was learned is forgotten.
 */

import * as skb from '../../abi/bpf_skb.js';
import { ETH_DEST } from '../../abi/if_ether.js';
import { Assembler, type Program } from '../assembler.js';
import * as piece from './fragments.js';
import { toGroup } from './group.js';
import * as layout from './layout.js';
import { forgetSource, learnedReceiver } from './learning.js';

export function uplinkIngress(): Program {
  return uplink('netferry_in', layout.SLOT_WIRE, true);
}

export function uplinkEgress(): Program {
  return uplink('netferry_out', layout.SLOT_HOST, false);
}

/** `from`: the slot whose frames these are. */
function uplink(name: string, from: number, peer: boolean): Program {
  const a = new Assembler(name);
  a.mov('r6', 'r1');
  piece.ifRouted(a, 'routed');
  piece.ethernetHeader(a, 'pass');
  piece.macKey(a, 'r9', ETH_DEST, piece.STACK_DESTINATION);
  if (from === layout.SLOT_WIRE) {
    piece.config(a, 'r1', layout.CONFIG_FLAGS);
    a.jump('set', 'r1', layout.PORT_LEARN, 'somebody_learns');
    a.label('receiver');
  }
  a.jump('set', 'r9', 1, 'group');
  piece.lookup(a, 'macs', piece.STACK_DESTINATION);
  a.jump('eq', 'r0', 0, 'unlisted');
  a.load('u32', 'r8', 'r0', layout.MAC_SLOT);
  a.jump('lt', 'r8', layout.SLOT_PORTS, 'pass');
  a.label('deliver');
  piece.countFrame(a, 'rx', from);
  piece.deliver(a, from, peer);

  a.label('unlisted');
  learnedReceiver(a, 'pass');
  a.goto('deliver');

  a.label('group');
  piece.ifReserved(a, 'r9', 'pass');
  piece.config(a, 'r1', layout.CONFIG_GROUPS);
  a.jump('eq', 'r1', 0, 'pass');
  piece.countFrame(a, 'rx', from);
  toGroup(a, from);
  a.label('pass');
  piece.verdict(a, skb.TC_ACT_UNSPEC);

  a.label('routed');
  piece.setMark(a, 0);
  piece.verdict(a, skb.TC_ACT_UNSPEC);
  if (from === layout.SLOT_WIRE) {
    a.label('somebody_learns');
    forgetSource(a);
    a.goto('receiver');
  }
  return a.assemble();
}
