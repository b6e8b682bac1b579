/** eBPF bytes as text, in the notation of the kernel's verifier and of `bpftool prog dump xlated`. */
import * as insn from '../abi/bpf_insn.js';
import * as skb from '../abi/bpf_skb.js';
import { ATOMICS } from './operations.js';

export interface Line {
  /** Index of the instruction, in slots. */
  readonly at: number;
  /** `(b7) r0 = 5` */
  readonly text: string;
}

const WIDTH_NAMES: Record<number, string> = {
  [insn.BPF_B]: 'u8',
  [insn.BPF_H]: 'u16',
  [insn.BPF_W]: 'u32',
  [insn.BPF_DW]: 'u64',
};
const ALU_SIGNS: Record<number, string> = {
  [insn.BPF_ADD]: '+=',
  [insn.BPF_SUB]: '-=',
  [insn.BPF_MUL]: '*=',
  [insn.BPF_DIV]: '/=',
  [insn.BPF_OR]: '|=',
  [insn.BPF_AND]: '&=',
  [insn.BPF_LSH]: '<<=',
  [insn.BPF_RSH]: '>>=',
  [insn.BPF_MOD]: '%=',
  [insn.BPF_XOR]: '^=',
  [insn.BPF_MOV]: '=',
  [insn.BPF_ARSH]: 's>>=',
};
const JUMP_SIGNS: Record<number, string> = {
  [insn.BPF_JEQ]: '==',
  [insn.BPF_JGT]: '>',
  [insn.BPF_JLT]: '<',
  [insn.BPF_JGE]: '>=',
  [insn.BPF_JLE]: '<=',
  [insn.BPF_JSET]: '&',
  [insn.BPF_JNE]: '!=',
  [insn.BPF_JSGT]: 's>',
  [insn.BPF_JSLT]: 's<',
  [insn.BPF_JSGE]: 's>=',
  [insn.BPF_JSLE]: 's<=',
};
const HELPERS = new Map(
  Object.entries(skb)
    .filter(([name]) => name.startsWith('BPF_FUNC_'))
    .map(([name, id]) => [id, name.slice('BPF_FUNC_'.length)]),
);

interface Instruction {
  code: number;
  target: number;
  source: number;
  offset: number;
  immediate: number;
}

function read(view: DataView, at: number): Instruction {
  const start = at * insn.INSN_SIZE;
  const registers = view.getUint8(start + insn.INSN_CODE + 1);
  return {
    code: view.getUint8(start + insn.INSN_CODE),
    target: registers & 15,
    source: registers >> 4,
    offset: view.getInt16(start + insn.INSN_OFF, true),
    immediate: view.getInt32(start + insn.INSN_IMM, true),
  };
}

/** One line an instruction; `maps` names those that the instruction at an index loads. */
export function list(code: Uint8Array, maps: ReadonlyMap<number, string> = new Map()): Line[] {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const lines: Line[] = [];
  for (let at = 0; at < code.length / insn.INSN_SIZE; at++) {
    const instruction = read(view, at);
    const hex = instruction.code.toString(16).padStart(2, '0');
    if (instruction.code === (insn.BPF_LD | insn.BPF_IMM | insn.BPF_DW)) {
      const high = read(view, at + 1).immediate;
      lines.push({ at, text: `(${hex}) r${instruction.target} = ${wide(instruction, high, maps.get(at))}` });
      at++;
    } else lines.push({ at, text: `(${hex}) ${plain(instruction)}` });
  }
  return lines;
}

function wide({ source, immediate }: Instruction, high: number, map: string | undefined): string {
  if (source === insn.BPF_PSEUDO_MAP_FD) return `map[${map ?? immediate}]`;
  if (source === insn.BPF_PSEUDO_MAP_VALUE) return `map[${map ?? immediate}][0]+${high}`;
  const value = (BigInt(high >>> 0) << 32n) | BigInt(immediate >>> 0);
  return `0x${value.toString(16)}`;
}

const signed = (value: number) => (value < 0 ? `${value}` : `+${value}`);

function plain(i: Instruction): string {
  const memory = (register: number) => `*(${WIDTH_NAMES[i.code & 0x18]} *)(r${register} ${signed(i.offset)})`;
  switch (i.code & 7) {
    case insn.BPF_LDX:
      return `r${i.target} = ${memory(i.source)}`;
    case insn.BPF_ST:
      return `${memory(i.target)} = ${i.immediate}`;
    case insn.BPF_STX:
      return (i.code & 0xe0) === insn.BPF_ATOMIC
        ? atomic(i, memory(i.target))
        : `${memory(i.target)} = r${i.source}`;
    case insn.BPF_ALU:
    case insn.BPF_ALU64:
      return arithmetic(i);
    default:
      return flow(i);
  }
}

function arithmetic(i: Instruction): string {
  const letter = (i.code & 7) === insn.BPF_ALU ? 'w' : 'r';
  const target = `${letter}${i.target}`;
  const operation = i.code & 0xf0;
  if (operation === insn.BPF_NEG) return `${target} = -${target}`;
  if (operation === insn.BPF_END)
    return `r${i.target} = ${i.code & insn.BPF_TO_BE ? 'be' : 'le'}${i.immediate} r${i.target}`;
  const by = i.code & insn.BPF_X ? `${letter}${i.source}` : `${i.immediate}`;
  return `${target} ${ALU_SIGNS[operation]} ${by}`;
}

function flow(i: Instruction): string {
  const operation = i.code & 0xf0;
  if (operation === insn.BPF_EXIT) return 'exit';
  if (operation === insn.BPF_CALL) return `call ${HELPERS.get(i.immediate) ?? 'helper'}#${i.immediate}`;
  if (operation === insn.BPF_JA) return `goto pc${signed(i.offset)}`;
  const letter = (i.code & 7) === insn.BPF_JMP32 ? 'w' : 'r';
  // As the kernel prints them: registers and small numbers, an immediate in hexadecimal.
  const by = i.code & insn.BPF_X ? `${letter}${i.source}` : `0x${(i.immediate >>> 0).toString(16)}`;
  return `if ${letter}${i.target} ${JUMP_SIGNS[operation]} ${by} goto pc${signed(i.offset)}`;
}

function atomic(i: Instruction, memory: string): string {
  const wideOperand = (i.code & 0x18) === insn.BPF_DW;
  const register = `r${i.source}`; // the kernel prints whole registers, also where 32 bits are meant
  const suffix = wideOperand ? '64' : '';
  const operation = i.immediate & 0xf0;
  const pointer = memory.slice(1);
  if (i.immediate === ATOMICS.xchg) return `${register} = atomic${suffix}_xchg(${pointer}, ${register})`;
  if (i.immediate === ATOMICS.cmpxchg) {
    return `r0 = atomic${suffix}_cmpxchg(${pointer}, r0, ${register})`;
  }
  if (i.immediate & insn.BPF_FETCH) {
    const names: Record<number, string> = {
      [insn.BPF_ADD]: 'add',
      [insn.BPF_OR]: 'or',
      [insn.BPF_AND]: 'and',
      [insn.BPF_XOR]: 'xor',
    };
    return `${register} = atomic${suffix}_fetch_${names[operation]}(${pointer}, ${register})`;
  }
  return `lock ${memory} ${ALU_SIGNS[operation]} ${register}`;
}
