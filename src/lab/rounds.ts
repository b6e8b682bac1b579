/**
 * In which order cases take their turns. A round samples every case once, so a machine that drifts drifts for all
 * alike. Within a round each case leaves its caches, its heat and its debts to the next; so who follows whom changes
 * from round to round: the rounds are the rows of a Williams square (E. J. Williams, 1949), a Latin square in which
 * every case follows every other exactly once (twice, over two squares, when their number is odd).
 */

/** The same numbers again from the same seed (mulberry32): `random(n)` is 0 … n - 1. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Endless rounds, each a permutation of 0 … count - 1. The cases' places in the square and the order of its rows are
 * drawn with `seed`; after the last row the next square is drawn anew.
 */
export function* rounds(count: number, seed: number): Generator<number[], never, void> {
  const random = randomSource(seed);
  for (;;) {
    const places = shuffled(count, random);
    for (const row of shuffled(count % 2 === 0 ? count : 2 * count, random)) {
      const turns = Array.from({ length: count }, (_, i) => places[(zigzag(i, count) + row) % count]);
      yield row < count ? turns : turns.reverse();
    }
    if (count === 0) yield [];
  }
}

/** 0, n - 1, 1, n - 2, 2 …: the steps between neighbours are all different modulo n. */
function zigzag(i: number, n: number): number {
  return i % 2 === 0 ? i / 2 : n - (i + 1) / 2;
}

/** Fisher–Yates. */
export function shuffled(count: number, random: (below: number) => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** The seed when nobody gives another: the first day of the talk's conference. */
export const DEFAULT_SEED = 20060907;

/**
 * Runs every variant `repetitions` times, in rounds as above. Variants never overlap. What a variant throws ends the
 * whole run.
 */
export async function interleave<K extends string, T>(
  variants: Record<K, (repetition: number) => T | Promise<T>>,
  repetitions: number,
  seed: number = DEFAULT_SEED,
): Promise<Record<K, T[]>> {
  const names = Object.keys(variants) as K[];
  const values = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, T[]>;
  const turns = rounds(names.length, seed);
  for (let i = 0; i < repetitions; i++) {
    for (const turn of turns.next().value) values[names[turn]].push(await variants[names[turn]](i));
  }
  return values;
}
