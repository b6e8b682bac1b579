/** What the kernel's eBPF verifier has against a program, for people. */
import { errnoName, SetupError } from './errors.js';

/** Lines of the log shown; the whole is in `log`. */
const LAST_LINES = 12;

/** A program that the verifier refused. The message names the instruction and the objection, the hint ends the log. */
export class VerifierError extends SetupError {
  override readonly name = 'VerifierError';
  readonly program: string;
  readonly errno: number;
  /** `EACCES`. */
  readonly code: string;
  /** Index of the instruction the verifier stopped at; undefined when its log does not say. */
  readonly instruction: number | undefined;
  /** What it has against it, in its own words. */
  readonly objection: string;
  readonly log: string;

  /** `where`: what the program's author calls that instruction. */
  constructor(
    program: string,
    errno: number,
    log: string,
    where: (instruction: number) => string = () => '',
  ) {
    const { instruction, code, objection, lines } = readLog(log);
    const place =
      instruction === undefined ? '' : ` at instruction ${instruction}${where(instruction)}, ${code}`;
    super(
      `the kernel refuses the eBPF program ${program}${place}: ${objection || errnoName(errno)}`,
      `the verifier's last lines:\n${lines.slice(-LAST_LINES).join('\n')}`,
    );
    this.program = program;
    this.errno = errno;
    this.code = errnoName(errno);
    this.instruction = instruction;
    this.objection = objection;
    this.log = log;
  }
}

interface LogSummary {
  instruction: number | undefined;
  /** That instruction as the verifier prints it. */
  code: string;
  objection: string;
  lines: string[];
}

/** The log is one line an instruction walked, `12: (71) r0 = *(u8 *)(r1 +0)   ; state`, then the objection. */
export function readLog(log: string): LogSummary {
  const lines = log
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !line.startsWith('processed '));
  let last = -1;
  for (const [i, line] of lines.entries()) if (/^\d+: \([0-9a-f]{2}\)/.test(line)) last = i;
  const match = /^(\d+): \([0-9a-f]{2}\) ([^;]*)/.exec(lines[last] ?? '');
  // After a look back at how a register came about, lines of its own kind follow.
  const state = /^(mark_precise|\d+: R\d|from |old state:|cur state:)/;
  const objection = lines.slice(last + 1).filter((line) => !state.test(line));
  const named = /(?:^|\b)insn (\d+)/.exec(objection.at(-1) ?? '');
  const fallback = named ? Number(named[1]) : undefined;
  return {
    instruction: match ? Number(match[1]) : fallback,
    code: (match?.[2] ?? '').trim(),
    objection: objection.at(-1) ?? '',
    lines,
  };
}
