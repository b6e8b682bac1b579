/** The experiments, in the order of the talk. Each is one file of this folder that exports one Experiment. */
import type { Experiment } from '../experiment.js';

export const EXPERIMENTS: readonly Experiment[] = [];
