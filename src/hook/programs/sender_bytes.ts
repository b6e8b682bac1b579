/**
 * What the checks of a sender are made of: bytes of the frame on the stack, and what the maps say of them.
 *
 * Registers: r7 the source MAC as key; r8 protocol; r9 offset in the frame.
 */
import * as skb from '../../abi/bpf_skb.js';
import type { Assembler } from '../assembler.js';
import type { Register } from '../operations.js';
import { lookup, STACK_ADDRESS, STACK_BYTES, stackAddress } from './fragments.js';
import * as layout from './layout.js';

/** u32: where ends what of the frame is looked at. */
export const STACK_END = -100;
/** u32: where the packet ends. */
export const STACK_WHOLE = -104;
/** u32: what is known of an IPv6 packet, NOBODY or FRAGMENT. */
export const STACK_STATE = -108;

/** Its source is :: */
export const NOBODY = 1;
/** It is the first fragment of one. */
export const FRAGMENT = 2;

/**
 * Of a frame with its tags, no more than this is looked at to tell its sender: as much as the user-space datapath has at
 * hand (assembly/senders_layout.ts, SENDER_BYTES), so that both let through the same.
 */
export const LOOKED_AT = 128;

/** STACK_BYTES = `length` bytes of the frame from r9 + `offset`; goes to `short` if they lie behind the end. */
export function read(a: Assembler, offset: number, length: number, short: string): void {
  within(a, offset + length, short);
  a.mov('r1', 'r6');
  a.mov('r2', 'r9');
  if (offset !== 0) a.alu('add', 'r2', offset);
  stackAddress(a, 'r3', STACK_BYTES);
  a.mov('r4', length);
  a.call(skb.BPF_FUNC_skb_load_bytes);
  a.jump('ne', 'r0', 0, short);
}

/** Goes to `short` unless `length` bytes from r9 on are before the end. Uses r1 and r2. */
export function within(a: Assembler, length: number, short: string): void {
  a.load('u32', 'r1', 'r10', STACK_END);
  a.mov('r2', 'r9');
  a.alu('add', 'r2', length);
  a.jump('gt', 'r2', 'r1', short);
}

/** Goes to `yes` if the IPv4 address in `from`, as it lies in the frame, is the port's, else to `no`. */
export function ifIpv4Known(a: Assembler, from: Register, yes: string, no: string): void {
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_FAMILY, 4);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES, from);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES + 4, 0);
  a.store('u64', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES + 8, 0);
  lookup(a, 'addresses', STACK_ADDRESS);
  a.jump('ne', 'r0', 0, yes);
  a.goto(no);
}

/** The same of the IPv6 address in STACK_BYTES. */
export function ifIpv6Known(a: Assembler, yes: string, no: string): void {
  a.load('u64', 'r1', 'r10', STACK_BYTES);
  a.load('u64', 'r2', 'r10', STACK_BYTES + 8);
  a.store('u32', 'r10', STACK_ADDRESS + layout.ADDRESS_FAMILY, 6);
  a.store('u64', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES, 'r1');
  a.store('u64', 'r10', STACK_ADDRESS + layout.ADDRESS_BYTES + 8, 'r2');
  lookup(a, 'addresses', STACK_ADDRESS);
  a.jump('ne', 'r0', 0, yes);
  a.goto(no);
}

/** Goes to `bad` unless the six bytes at STACK_BYTES + `at` (a multiple of 4) are the source MAC. */
export function isSource(a: Assembler, at: number, bad: string): void {
  a.load('u32', 'r1', 'r10', STACK_BYTES + at);
  a.load('u16', 'r2', 'r10', STACK_BYTES + at + 4);
  a.alu('lsh', 'r2', 32);
  a.alu('or', 'r1', 'r2');
  a.jump('ne', 'r1', 'r7', bad);
}
