/**
 * MACs that programs find by themselves: behind ports that may learn, and, when one of those is seen on the wire,
 * behind no port any more.
 *
 * A guest writes what it likes as source, so what it can do with that is bounded: each port learns so many, all
 * together so many, and what the table's owner entered (`macs`) goes first and is never written by a program. A MAC
 * learned behind one port and seen behind another has moved, as a bridge would have it, if there is room for it there.
 */
import { BPF_EXIST, BPF_NOEXIST } from '../../abi/bpf.js';
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
  a.jump('eq', 'r7', 0, 'spoofed_mac'); // a bridge drops it too: is_valid_ether_addr in br_handle_frame
  piece.lookup(a, 'macs', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, 'unlisted_source');
  a.load('u32', 'r1', 'r0', layout.MAC_SLOT);
  a.jump('eq', 'r1', slot, 'source_known');
  a.goto('spoofed_mac');

  a.label('unlisted_source');
  a.jump('set', 'r8', layout.PORT_LEARN, 'may_learn');
  a.goto('spoofed_mac');
  a.label('may_learn');
  piece.lookup(a, 'learned', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, 'new_source');
  a.load('u32', 'r1', 'r0', layout.LEARNED_SLOT);
  a.jump('ne', 'r1', slot, 'moved_source');
  a.mov('r7', 'r0');
  a.call(skb.BPF_FUNC_ktime_get_ns);
  a.store('u64', 'r7', layout.LEARNED_SEEN, 'r0');
  a.load('u64', 'r7', 'r10', piece.STACK_SOURCE);
  a.goto('source_known');

  a.label('moved_source');
  a.mov('r7', 'r1');
  ifFull(a, slot, 'learn_full');
  enter(a, slot, BPF_EXIST);
  count(a, 'r7', -1);
  a.load('u64', 'r7', 'r10', piece.STACK_SOURCE);
  a.goto('source_known');

  a.label('new_source');
  ifFull(a, slot, 'learn_full');
  enter(a, slot, BPF_NOEXIST);
  a.goto('source_known');
}

/** r8 = the port behind which the destination was learned; if it was not, or no port learns, goes to `missing`. */
export function learnedReceiver(a: Assembler, missing: string): void {
  const some = a.unique('somebody_learns');
  piece.config(a, 'r1', layout.CONFIG_FLAGS);
  a.jump('set', 'r1', layout.PORT_LEARN, some);
  a.goto(missing);
  a.label(some);
  piece.lookup(a, 'learned', piece.STACK_DESTINATION);
  a.jump('eq', 'r0', 0, missing);
  a.load('u32', 'r8', 'r0', layout.LEARNED_SLOT);
}

/**
 * The uplink's ingress, with the frame's first byte at r2: forgets its source, if that was learned. Who was behind a
 * port is elsewhere now (a guest that migrated announces itself so), or a guest has borrowed a neighbour's MAC. Loses
 * r0 … r5 and r7.
 */
export function forgetSource(a: Assembler): void {
  const unknown = a.unique('source_not_learned');
  piece.macKey(a, 'r7', ETH_SOURCE, piece.STACK_SOURCE);
  piece.lookup(a, 'learned', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, unknown);
  a.load('u32', 'r7', 'r0', layout.LEARNED_SLOT);
  a.loadMap('r1', 'learned');
  piece.stackAddress(a, 'r2', piece.STACK_SOURCE);
  a.call(skb.BPF_FUNC_map_delete_elem);
  a.jump('ne', 'r0', 0, unknown); // another CPU was faster
  count(a, 'r7', -1);
  a.label(unknown);
}

/** Goes to `label` if a slot has learned as many as it may, or is none that learns. Loses r0 … r5. */
function ifFull(a: Assembler, slot: number, label: string): void {
  piece.element(a, 'learns', slot);
  a.jump('eq', 'r0', 0, label);
  a.load('u32', 'r1', 'r0', 0);
  a.store('u32', 'r10', piece.STACK_ENTRY, 'r1');
  piece.element(a, 'limits', slot);
  a.jump('eq', 'r0', 0, label);
  a.load('u32', 'r1', 'r0', 0);
  a.load('u32', 'r2', 'r10', piece.STACK_ENTRY);
  a.alu32('sub', 'r1', 'r2');
  a.jump32('sle', 'r1', 0, label);
}

/** Adds to what a slot has learned. Loses r0 … r5. Several CPUs at once may let it have a few more than its limit. */
function count(a: Assembler, slot: Register | number, by: 1 | -1): void {
  const missing = a.unique('no_count');
  piece.element(a, 'learns', slot);
  a.jump('eq', 'r0', 0, missing);
  a.mov('r1', by);
  a.atomic('add', 'u32', 'r0', 0, 'r1');
  a.label(missing);
}

/**
 * Enters the source MAC as learned here, and counts it. If it cannot be, the program goes on elsewhere: learn_full if
 * there is no room for all, or as another CPU had it meanwhile. Loses r0 … r5.
 */
function enter(a: Assembler, slot: number, flags: number): void {
  a.store('u32', 'r10', piece.STACK_ENTRY + layout.LEARNED_SLOT, slot);
  a.store('u32', 'r10', piece.STACK_ENTRY + layout.LEARNED_SLOT + 4, 0);
  a.call(skb.BPF_FUNC_ktime_get_ns);
  a.store('u64', 'r10', piece.STACK_ENTRY + layout.LEARNED_SEEN, 'r0');
  a.loadMap('r1', 'learned');
  piece.stackAddress(a, 'r2', piece.STACK_SOURCE);
  piece.stackAddress(a, 'r3', piece.STACK_ENTRY);
  a.mov('r4', flags);
  a.call(skb.BPF_FUNC_map_update_elem);
  const entered = a.unique('entered');
  a.jump('eq', 'r0', 0, entered);
  piece.lookup(a, 'learned', piece.STACK_SOURCE);
  a.jump('eq', 'r0', 0, 'learn_full');
  a.load('u64', 'r7', 'r10', piece.STACK_SOURCE);
  a.load('u32', 'r1', 'r0', layout.LEARNED_SLOT);
  a.jump('eq', 'r1', slot, 'source_known');
  a.goto('spoofed_mac');
  a.label(entered);
  count(a, slot, 1);
}
