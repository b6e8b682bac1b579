/** Seeded random numbers (mulberry32), so that a failure can be had again from the seed it printed. */
export type Random = (below: number) => number;

/** `random(n)` is 0 … n - 1. */
export function randomSource(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Without a seed of your own, a run is the same as the last one: a red test then means a changed program. */
const DEFAULT_SEED = 20060907;

/** The seed of a fuzz test: NETFERRY_SEED, a number or `random`, which takes one of the clock. */
export function seedOf(environment: NodeJS.ProcessEnv = process.env): number {
  const given = environment.NETFERRY_SEED ?? String(DEFAULT_SEED);
  return given === 'random' ? Date.now() >>> 0 : Number(given) >>> 0;
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random(choices.length)];
}
