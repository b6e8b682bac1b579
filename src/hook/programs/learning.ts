/**
 * MACs that programs find by themselves: behind ports that may learn, and, when one of those is seen on the wire,
 * behind no port any more.
 *
 * A guest writes what it likes as source, so what it can do with that is bounded: each port learns so many, all
 * together so many, and a MAC that the table's owner entered is never learned over. A MAC learned behind one port and
 * seen behind another has moved, as a bridge would have it, if there is room for it there.
 */
import { BPF_NOEXIST } from '../../abi/bpf.js';
import * as skb from '../../abi/bpf_skb.js';
import { ETH_SOURCE } from '../../abi/if_ether.js';
import type { Assembler } from '../assembler.js';
import type { Register } from '../operations.js';
import * as piece from './fragments.js';
import * as layout from './layout.js';

/**
 * A port's program, when the source MAC (r7, and on the stack) is not the port's first: another that the table gives
 * it, or one to learn (flags in r8). Goes to source_known, spoofed_mac or learn_full; there r7 is the source again.
 */
export function otherSource(a: Assembler, slot: number): void {
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

  a.label('moved_source');
  a.jump('eq', 'r2', 0, 'spoofed_mac');
  a.jump('set', 'r8', layout.PORT_LEARN, 'may_move');
  a.goto('spoofed_mac');
  a.label('may_move');
  a.mov('r7', 'r1');
  ifFull(a, slot, 'learn_full');
  count(a, 'r7', -1);
  a.load('u64', 'r7', 'r10', piece.STACK_SOURCE);
  enter(a, slot, 0);
  a.goto('source_known');

  a.label('new_source');
  a.jump('set', 'r8', layout.PORT_LEARN, 'may_learn');
  a.goto('spoofed_mac');
  a.label('may_learn');
  ifFull(a, slot, 'learn_full');
  ifFull(a, layout.LEARNED_ALL, 'learn_full');
  enter(a, slot, BPF_NOEXIST);
  count(a, layout.LEARNED_ALL, 1);
  a.goto('source_known');
}

/**
 * The uplink's ingress, with the frame's first byte at r2: forgets its source, if that was learned. Who was behind a
 * port is elsewhere now (a guest that migrated announces itself so), or a guest has borrowed a neighbour's MAC. Loses
 * r0 … r5 and r7.
 */
export function forgetSource(a: Assembler): void {
  const known = a.unique('source_not_learned');
  piece.macKey(a, 'r7', ETH_SOURCE, piece.STACK_SOURCE);
  piece.lookup(a, 'macs', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, known);
  a.load('u32', 'r1', 'r0', layout.MAC_FLAGS);
  a.jump('ne', 'r1', layout.MAC_LEARNED, known);
  a.load('u32', 'r7', 'r0', layout.MAC_SLOT);
  a.loadMap('r1', 'macs');
  piece.stackAddress(a, 'r2', piece.STACK_SOURCE);
  a.call(skb.BPF_FUNC_map_delete_elem);
  a.jump('ne', 'r0', 0, known); // another CPU was faster
  count(a, 'r7', -1);
  count(a, layout.LEARNED_ALL, -1);
  a.label(known);
}

/** Goes to `label` if a slot has learned as many as it may, or is none that learns. Loses r0 … r5. */
function ifFull(a: Assembler, slot: number, label: string): void {
  piece.element(a, 'learned', slot);
  a.jump('eq', 'r0', 0, label);
  a.load('u32', 'r1', 'r0', layout.LEARNED_COUNT);
  a.load('u32', 'r2', 'r0', layout.LEARNED_MAX);
  a.jump('ge', 'r1', 'r2', label);
}

/**
 * Adds to what a slot has learned. Loses r0 … r5. Several CPUs at once, and the owner's own counting, make it off by a
 * few for as long as it takes the owner to count again.
 */
function count(a: Assembler, slot: Register | number, by: 1 | -1): void {
  const missing = a.unique('nothing_learned');
  piece.element(a, 'learned', slot);
  a.jump('eq', 'r0', 0, missing);
  a.mov('r1', by);
  a.atomic('add', 'u32', 'r0', layout.LEARNED_COUNT, 'r1');
  a.label(missing);
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
  count(a, slot, 1);
}
