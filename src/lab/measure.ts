/** Takes the samples: warms all cases up, then samples them in rounds until they suffice or the time is over. */
import type { Case } from './experiment.js';
import { rounds } from './rounds.js';

/** A case is warmed up until it has run this long, or this often: V8 has compiled it, caches hold what they will. */
const WARM_MS = 40;
const WARM_SAMPLES = 20;
/** However slow the cases are: fewer samples have no interval at all. */
export const LEAST_EVER = 3;
/** How long at most the event loop waits for its turn (signals, progress), unless one sample takes longer. */
const YIELD_MS = 50;

/** How long and how often. Times are of performance.now(). */
export interface Plan {
  /** Rounds that are made even when that takes longer than `until`, but not longer than `limit`. */
  readonly least: number;
  readonly most: number;
  /** From then on no round is begun, once there are `least`. */
  readonly until: number;
  /** From then on no round is begun, once there are LEAST_EVER. */
  readonly limit: number;
  readonly seed: number;
  /** Its reason is thrown between two samples. */
  readonly signal: AbortSignal;
}

/** A case and all its samples, in the order in which they were taken. */
export interface Sampled {
  readonly variant: string;
  readonly x: number | string;
  readonly samples: number[];
}

/** What there is so far; grows while it is measured, so that a run that is stopped has it. */
export interface Measurement {
  readonly cases: readonly Sampled[];
  /** Whole rounds. */
  rounds: number;
  /** The time was over before there were as many rounds as planned. */
  short: boolean;
}

/** An empty measurement of these cases. Throws RangeError if two are alike. */
export function prepare(cases: readonly Case[]): Measurement {
  const seen = new Set<string>();
  for (const { variant, x } of cases) {
    const key = JSON.stringify([variant, x]);
    if (seen.has(key)) throw new RangeError(`two cases are both ${variant} at ${x}`);
    seen.add(key);
  }
  return { cases: cases.map(({ variant, x }) => ({ variant, x, samples: [] })), rounds: 0, short: false };
}

/**
 * Fills `measurement` (of the same cases). `onProgress` is told by when it expects to be through, as performance.now()
 * will show. Throws what a case throws, RangeError when a sample is not a finite number, and the signal's reason.
 */
export async function measure(
  cases: readonly Case[],
  measurement: Measurement,
  plan: Plan,
  onProgress: (end: number) => void = () => {},
): Promise<void> {
  if (cases.length === 0) return;
  let lastYield = performance.now();
  const breathe = async () => {
    if (performance.now() - lastYield > YIELD_MS) {
      await new Promise((resolve) => setImmediate(resolve));
      lastYield = performance.now();
    }
    plan.signal.throwIfAborted();
  };
  for (const one of cases) {
    const start = performance.now();
    for (let i = 0; i < WARM_SAMPLES && (i === 0 || performance.now() - start < WARM_MS); i++) {
      await breathe();
      await sample(one);
    }
    onProgress(plan.until);
  }
  const order = rounds(cases.length, plan.seed);
  const start = performance.now();
  for (;;) {
    const begun = performance.now();
    for (const turn of order.next().value) {
      await breathe();
      measurement.cases[turn].samples.push(await sample(cases[turn]));
      onProgress(expectedEnd(plan, measurement.rounds, start, begun));
    }
    measurement.rounds++;
    const now = performance.now();
    const round = (now - start) / measurement.rounds;
    if (measurement.rounds >= plan.most) return;
    if (measurement.rounds >= plan.least && now + round > plan.until) return;
    if (measurement.rounds >= LEAST_EVER && now + round > plan.limit) {
      measurement.short = measurement.rounds < plan.least;
      return;
    }
  }
}

async function sample(one: Case): Promise<number> {
  const value = await one.sample();
  if (!Number.isFinite(value)) throw new RangeError(`a sample of ${one.variant} at ${one.x} is ${value}`);
  return value;
}

/** After the first round there is a rate to go by. */
function expectedEnd(plan: Plan, done: number, start: number, now: number): number {
  if (done === 0) return plan.until;
  const round = (now - start) / done;
  const least = now + Math.max(0, plan.least - done) * round;
  const most = now + (plan.most - done) * round;
  return Math.min(Math.max(plan.until, least), most, Math.max(plan.limit, now + round));
}
