/** The experiments, in the order of the talk. Each is one file of this folder that exports one Experiment. */
import type { Experiment } from '../experiment.js';
import { bridge } from './bridge.js';
import { flipVsCopy } from './flip_vs_copy.js';
import { grantCopy } from './grant_copy.js';
import { guestToGuest } from './guest_to_guest.js';
import { mapping } from './mapping.js';
import { profile } from './profile.js';
import { scaling } from './scaling.js';
import { segmentation } from './segmentation.js';
import { staticBuffer } from './static_buffer.js';
import { transmit } from './transmit.js';

export const EXPERIMENTS: readonly Experiment[] = [
  bridge,
  profile,
  flipVsCopy,
  mapping,
  transmit,
  guestToGuest,
  grantCopy,
  staticBuffer,
  segmentation,
  scaling,
];
