/** The experiments, in the order of the talk. Each is one file of this folder that exports one Experiment. */
import type { Experiment } from '../experiment.js';
import { flipVsCopy } from './flip_vs_copy.js';
import { guestToGuest } from './guest_to_guest.js';
import { mapping } from './mapping.js';
import { staticBuffer } from './static_buffer.js';
import { transmit } from './transmit.js';

export const EXPERIMENTS: readonly Experiment[] = [flipVsCopy, mapping, transmit, guestToGuest, staticBuffer];
