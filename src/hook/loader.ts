/** An assembled program into the kernel. */
import { loadClassifier } from '../sys/bpf.js';
import { VerifierError } from '../sys/verifier_error.js';
import type { Program } from './assembler.js';

/**
 * Loads a classifier whose maps are `maps`, by name; returns its descriptor, the caller's to close.
 * Throws SysError, and VerifierError with the place in the program's own labels.
 */
export function loadProgram(program: Program, maps: Readonly<Record<string, number>>): number {
  try {
    return loadClassifier(program.name, program.link(maps));
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    const where = (instruction: number) => ` (${program.place(instruction)})`;
    throw new VerifierError(program.name, error.errno, error.log, where);
  }
}
