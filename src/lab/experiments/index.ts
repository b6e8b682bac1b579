/** The experiments, in the order of the talk. Each is one file of this folder that exports one Experiment. */
import type { Experiment } from '../experiment.js';
import { grantCopy } from './grant_copy.js';
import { profile } from './profile.js';
import { scaling } from './scaling.js';
import { segmentation } from './segmentation.js';
import { staticBuffer } from './static_buffer.js';
import { transmit } from './transmit.js';

export const EXPERIMENTS: readonly Experiment[] = [
  profile,
  transmit,
  grantCopy,
  staticBuffer,
  segmentation,
  scaling,
];
