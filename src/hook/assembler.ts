/**
 * An assembler for eBPF (no clang, no BTF): one method an instruction, labels for jumps, maps by name until the
 * program is linked with their descriptors.
 *
 *   const a = new Assembler('example');
 *   a.load('u32', 'r2', 'r1', SKB_MARK);
 *   a.jump('ne', 'r2', 0, 'marked');
 *   a.mov('r0', TC_ACT_UNSPEC); a.exit();
 *   a.label('marked');
 *   a.mov('r0', TC_ACT_SHOT); a.exit();
 *   const program = a.assemble();
 *
 * A wrong register, range or label is the author's mistake: AssemblyError, when the instruction is written.
 */
import * as insn from '../abi/bpf_insn.js';
import { list } from './listing.js';
import * as op from './operations.js';

/** A mistake in a program's source: which program, which instruction, what is wrong. */
export class AssemblyError extends Error {
  override readonly name = 'AssemblyError';
}

/** Where a map's descriptor goes. */
interface Relocation {
  /** Index of the (two-slot) instruction. */
  readonly at: number;
  readonly map: string;
}

/** A program whose jumps are resolved; its maps are still names. */
export class Program {
  readonly name: string;
  /** Label → index of the instruction it stands before. */
  readonly labels: ReadonlyMap<string, number>;
  readonly #code: Uint8Array;
  readonly #relocations: readonly Relocation[];

  constructor(
    name: string,
    code: Uint8Array,
    labels: ReadonlyMap<string, number>,
    relocations: readonly Relocation[],
  ) {
    this.name = name;
    this.labels = labels;
    this.#code = code;
    this.#relocations = relocations;
  }

  /** Number of 8-byte slots. */
  get length(): number {
    return this.#code.length / insn.INSN_SIZE;
  }

  /** The maps the program refers to. */
  get maps(): string[] {
    return [...new Set(this.#relocations.map(({ map }) => map))];
  }

  /** The instructions as the kernel takes them, with the maps' descriptors filled in. */
  link(descriptors: Readonly<Record<string, number>>): Uint8Array {
    const code = this.#code.slice();
    const view = new DataView(code.buffer);
    for (const { at, map } of this.#relocations) {
      const fd = descriptors[map];
      if (fd === undefined) throw new AssemblyError(`${this.name}: no descriptor for map ${map}`);
      view.setInt32(at * insn.INSN_SIZE + insn.INSN_IMM, fd, true);
    }
    return code;
  }

  /** `label+3` for the third instruction after a label. */
  place(instruction: number): string {
    let best: [string, number] = [this.name, 0];
    for (const [label, at] of this.labels) if (at <= instruction && at >= best[1]) best = [label, at];
    const distance = instruction - best[1];
    return distance === 0 ? best[0] : `${best[0]}+${distance}`;
  }

  /** The program for people, one instruction a line, with its labels and the maps' names. */
  listing(): string {
    const maps = new Map(this.#relocations.map(({ at, map }) => [at, map]));
    const labels = new Map<number, string[]>();
    for (const [label, at] of this.labels) labels.set(at, [...(labels.get(at) ?? []), label]);
    const lines: string[] = [];
    for (const { at, text } of list(this.#code, maps)) {
      for (const label of labels.get(at) ?? []) lines.push(`${label}:`);
      lines.push(`${String(at).padStart(5)}: ${text}`);
    }
    return lines.join('\n');
  }
}

export class Assembler {
  readonly name: string;
  readonly #slots: Uint8Array[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { readonly at: number; readonly label: string }[] = [];
  readonly #relocations: Relocation[] = [];
  #fresh = 0;

  /** `name`: what the kernel's lists show; its first 15 characters. */
  constructor(name: string) {
    this.name = name;
  }

  /** Names the next instruction. */
  label(name: string): void {
    if (this.#labels.has(name)) this.#fail(`label ${name} is there twice`);
    this.#labels.set(name, this.#slots.length);
  }

  /** A label that nobody has used: for pieces that are put in more than once. */
  unique(stem: string): string {
    this.#fresh++;
    return `${stem}_${this.#fresh}`;
  }

  /** 64-bit arithmetic: `to = to OP by`; an immediate is sign-extended. */
  alu(operation: op.Alu, to: op.Register, by: op.Operand): void {
    this.#arithmetic(insn.BPF_ALU64, 64, operation, to, by);
  }

  /** 32-bit arithmetic; the upper half of `to` becomes zero. */
  alu32(operation: op.Alu, to: op.Register, by: op.Operand): void {
    this.#arithmetic(insn.BPF_ALU, 32, operation, to, by);
  }

  mov(to: op.Register, from: op.Operand): void {
    this.alu('mov', to, from);
  }

  neg(register: op.Register): void {
    this.#emit(insn.BPF_ALU64 | insn.BPF_NEG, this.#target(register), 0, 0, 0);
  }

  neg32(register: op.Register): void {
    this.#emit(insn.BPF_ALU | insn.BPF_NEG, this.#target(register), 0, 0, 0);
  }

  /** Host order ⇄ big-endian, of the low 16, 32 or 64 bits; the rest becomes zero. */
  bigEndian(register: op.Register, bits: 16 | 32 | 64): void {
    this.#emit(insn.BPF_ALU | insn.BPF_END | insn.BPF_TO_BE, this.#target(register), 0, 0, bits);
  }

  /** Host order ⇄ little-endian: on a little-endian machine only the cut to `bits`. */
  littleEndian(register: op.Register, bits: 16 | 32 | 64): void {
    this.#emit(insn.BPF_ALU | insn.BPF_END | insn.BPF_TO_LE, this.#target(register), 0, 0, bits);
  }

  /** `to = 64-bit constant`; two slots. */
  mov64(to: op.Register, value: bigint): void {
    if (value < -(1n << 63n) || value >= 1n << 64n) this.#fail(`${value} does not fit 64 bits`);
    const bits = BigInt.asUintN(64, value);
    this.#wide(to, 0, Number(bits & 0xffff_ffffn), Number(bits >> 32n));
  }

  /** `to = the map`, the first argument of the map helpers; two slots. */
  loadMap(to: op.Register, map: string): void {
    this.#relocations.push({ at: this.#slots.length, map });
    this.#wide(to, insn.BPF_PSEUDO_MAP_FD, 0, 0);
  }

  /** `to = address of the value, plus offset` of an array map with one entry; two slots, no call. */
  loadMapValue(to: op.Register, map: string, offset = 0): void {
    if (!Number.isInteger(offset) || offset < 0 || offset >= 1 << 29)
      this.#fail(`offset ${offset} of a map value`);
    this.#relocations.push({ at: this.#slots.length, map });
    this.#wide(to, insn.BPF_PSEUDO_MAP_VALUE, 0, offset);
  }

  /** `to = *(width *)(base + offset)`, zero-extended. */
  load(width: op.Width, to: op.Register, base: op.Register, offset: number): void {
    const code = insn.BPF_LDX | insn.BPF_MEM | op.WIDTHS[width];
    this.#emit(code, this.#target(to), this.#register(base), this.#offset(offset), 0);
  }

  /** `*(width *)(base + offset) = value`; an immediate is sign-extended. */
  store(width: op.Width, base: op.Register, offset: number, value: op.Operand): void {
    const immediate = typeof value === 'number';
    const code = (immediate ? insn.BPF_ST : insn.BPF_STX) | insn.BPF_MEM | op.WIDTHS[width];
    const source = immediate ? 0 : this.#register(value);
    this.#emit(
      code,
      this.#register(base),
      source,
      this.#offset(offset),
      immediate ? this.#immediate(value) : 0,
    );
  }

  /** An atomic change of memory. What fetches needs Linux 5.12. */
  atomic(
    operation: op.Atomic,
    width: 'u32' | 'u64',
    base: op.Register,
    offset: number,
    source: op.Register,
  ): void {
    const code = insn.BPF_STX | insn.BPF_ATOMIC | op.WIDTHS[width];
    this.#emit(
      code,
      this.#register(base),
      this.#register(source),
      this.#offset(offset),
      op.ATOMICS[operation],
    );
  }

  goto(label: string): void {
    this.#jump(insn.BPF_JMP | insn.BPF_JA, 0, 0, label);
  }

  /** Goes to `label` if `a CONDITION b`, all 64 bits. */
  jump(condition: op.Condition, a: op.Register, b: op.Operand, label: string): void {
    this.#compare(insn.BPF_JMP, condition, a, b, label);
  }

  /** The same of the low 32 bits. */
  jump32(condition: op.Condition, a: op.Register, b: op.Operand, label: string): void {
    this.#compare(insn.BPF_JMP32, condition, a, b, label);
  }

  /** Calls helper `id` (BPF_FUNC_*): arguments in r1 … r5, which are lost; result in r0. */
  call(id: number): void {
    this.#emit(insn.BPF_JMP | insn.BPF_CALL, 0, 0, 0, this.#immediate(id));
  }

  /** Ends the program with the verdict in r0. */
  exit(): void {
    this.#emit(insn.BPF_JMP | insn.BPF_EXIT, 0, 0, 0, 0);
  }

  /** Resolves the jumps. */
  assemble(): Program {
    for (const { at, label } of this.#jumps) {
      const to = this.#labels.get(label);
      if (to === undefined) this.#fail(`no label ${label}`, at);
      if (to >= this.#slots.length) this.#fail(`label ${label} stands behind the last instruction`, at);
      const distance = to - at - 1;
      if (distance < -0x8000 || distance > 0x7fff)
        this.#fail(`label ${label} is ${distance} instructions away, 32767 is the most`, at);
      new DataView(this.#slots[at].buffer).setInt16(insn.INSN_OFF, distance, true);
    }
    const code = Buffer.concat(this.#slots);
    return new Program(this.name, Uint8Array.from(code), new Map(this.#labels), [...this.#relocations]);
  }

  #arithmetic(kind: number, bits: number, operation: op.Alu, to: op.Register, by: op.Operand): void {
    const target = this.#target(to);
    if (typeof by !== 'number') {
      this.#emit(kind | insn.BPF_X | op.ALU[operation], target, this.#register(by), 0, 0);
      return;
    }
    const shift = operation === 'lsh' || operation === 'rsh' || operation === 'arsh';
    if (shift && !(by >= 0 && by < bits)) this.#fail(`a shift by ${by} of ${bits} bits`);
    if ((operation === 'div' || operation === 'mod') && by === 0) this.#fail(`${operation} by 0`);
    this.#emit(kind | insn.BPF_K | op.ALU[operation], target, 0, 0, this.#immediate(by));
  }

  #compare(kind: number, condition: op.Condition, a: op.Register, b: op.Operand, label: string): void {
    const code = kind | op.CONDITIONS[condition];
    if (typeof b === 'number') this.#jump(code | insn.BPF_K, this.#register(a), 0, label, this.#immediate(b));
    else this.#jump(code | insn.BPF_X, this.#register(a), this.#register(b), label);
  }

  #jump(code: number, target: number, source: number, label: string, immediate = 0): void {
    this.#jumps.push({ at: this.#slots.length, label });
    this.#emit(code, target, source, 0, immediate);
  }

  #wide(to: op.Register, source: number, low: number, high: number): void {
    this.#emit(insn.BPF_LD | insn.BPF_IMM | insn.BPF_DW, this.#target(to), source, 0, low | 0);
    this.#emit(0, 0, 0, 0, high | 0);
  }

  #register(name: op.Register): number {
    const number = op.REGISTERS.indexOf(name);
    if (number === -1) this.#fail(`${name} is no register`);
    return number;
  }

  #target(name: op.Register): number {
    if (name === 'r10') this.#fail('r10 cannot be written');
    return this.#register(name);
  }

  #offset(value: number): number {
    if (!Number.isInteger(value) || value < -0x8000 || value > 0x7fff)
      this.#fail(`offset ${value} does not fit 16 bits`);
    return value;
  }

  /** Signed, or the same bits written unsigned. */
  #immediate(value: number): number {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0xffff_ffff)
      this.#fail(`${value} does not fit 32 bits; mov64 takes 64`);
    return value | 0;
  }

  #emit(code: number, target: number, source: number, offset: number, immediate: number): void {
    const slot = new DataView(new ArrayBuffer(insn.INSN_SIZE));
    slot.setUint8(insn.INSN_CODE, code);
    slot.setUint8(insn.INSN_CODE + 1, (source << 4) | target);
    slot.setInt16(insn.INSN_OFF, offset, true);
    slot.setInt32(insn.INSN_IMM, immediate, true);
    this.#slots.push(new Uint8Array(slot.buffer));
  }

  #fail(what: string, at = this.#slots.length): never {
    throw new AssemblyError(`${this.name}, instruction ${at}: ${what}`);
  }
}
