/** How long a run may take, and how that is shared out. */
import type { Effort, Experiment } from './experiment.js';

export interface Bounds {
  /** What one experiment is meant to take. */
  readonly seconds: number;
  /** Rounds of each measurement, unless its cases are too slow for the least. */
  readonly least: number;
  readonly most: number;
}

/**
 * Ten experiments and their set-up stay below 3 minutes, or 20. From 7 samples on there is a 95 % interval even when
 * the outlier policy sets one aside; with 15 the interval leaves out the three at either end.
 */
export const BOUNDS: Readonly<Record<Effort, Bounds>> = {
  quick: { seconds: 15, least: 7, most: 25 },
  full: { seconds: 105, least: 15, most: 75 },
};

/** What others left or took changes an experiment's share, within these parts of what it is meant to take. */
const LEAST_SHARE = 1 / 3;
const MOST_SHARE = 2;
/** An experiment whose cases are slow may overdraw by this part of its share to make its least rounds. */
const OVERDRAFT = 0.5;

/** Seconds for the next of `count` experiments that are still to run, when `left` seconds are left for all. */
export function shareOf(left: number, count: number, bounds: Bounds): number {
  return Math.min(MOST_SHARE * bounds.seconds, Math.max(LEAST_SHARE * bounds.seconds, left / count));
}

/** The times of one experiment's calls of `measure`, in milliseconds of performance.now(). */
export class Allotment {
  readonly #end: number;
  readonly #limit: number;
  readonly #calls: number | undefined;
  #made = 0;

  /** `start`: when the experiment began. */
  constructor(experiment: Experiment, start: number, seconds: number) {
    this.#end = start + seconds * 1000;
    this.#limit = this.#end + OVERDRAFT * seconds * 1000;
    this.#calls = experiment.measurements;
  }

  /** When the experiment should be through. */
  get end(): number {
    return this.#end;
  }

  /** For the next call: of the time left its even share if the experiment said how many there are, else half. */
  next(now: number): { until: number; limit: number } {
    const left = Math.max(0, this.#end - now);
    const calls = this.#calls === undefined ? 2 : Math.max(1, this.#calls - this.#made);
    this.#made++;
    return { until: now + left / calls, limit: this.#limit };
  }
}
