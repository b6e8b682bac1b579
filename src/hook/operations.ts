/** The names of eBPF's operations in this assembler, and their codes. */
import * as insn from '../abi/bpf_insn.js';

/** r0: results; r1 … r5: arguments, lost at each call; r6 … r9: kept over calls; r10: end of the stack, read only. */
export const REGISTERS = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'r10'] as const;
export type Register = (typeof REGISTERS)[number];

/** A register, or a signed 32-bit immediate. */
export type Operand = Register | number;

export const WIDTHS = { u8: insn.BPF_B, u16: insn.BPF_H, u32: insn.BPF_W, u64: insn.BPF_DW } as const;
export type Width = keyof typeof WIDTHS;

export const ALU = {
  add: insn.BPF_ADD,
  sub: insn.BPF_SUB,
  mul: insn.BPF_MUL,
  div: insn.BPF_DIV,
  or: insn.BPF_OR,
  and: insn.BPF_AND,
  lsh: insn.BPF_LSH,
  rsh: insn.BPF_RSH,
  mod: insn.BPF_MOD,
  xor: insn.BPF_XOR,
  mov: insn.BPF_MOV,
  arsh: insn.BPF_ARSH,
} as const;
export type Alu = keyof typeof ALU;

/** Conditions; those with s compare signed, `set` asks for a common bit. */
export const CONDITIONS = {
  eq: insn.BPF_JEQ,
  ne: insn.BPF_JNE,
  gt: insn.BPF_JGT,
  ge: insn.BPF_JGE,
  lt: insn.BPF_JLT,
  le: insn.BPF_JLE,
  sgt: insn.BPF_JSGT,
  sge: insn.BPF_JSGE,
  slt: insn.BPF_JSLT,
  sle: insn.BPF_JSLE,
  set: insn.BPF_JSET,
} as const;
export type Condition = keyof typeof CONDITIONS;

/** What one atomic instruction does to memory. Those that fetch leave the old value in the source register. */
export const ATOMICS = {
  add: insn.BPF_ADD,
  or: insn.BPF_OR,
  and: insn.BPF_AND,
  xor: insn.BPF_XOR,
  fetch_add: insn.BPF_ADD | insn.BPF_FETCH,
  fetch_or: insn.BPF_OR | insn.BPF_FETCH,
  fetch_and: insn.BPF_AND | insn.BPF_FETCH,
  fetch_xor: insn.BPF_XOR | insn.BPF_FETCH,
  xchg: insn.BPF_XCHG,
  /** Compares with r0, leaves the old value there. */
  cmpxchg: insn.BPF_CMPXCHG,
} as const;
export type Atomic = keyof typeof ATOMICS;
