/**
 * One run that yields several figures, as cases of their own: the lab samples every case once a round, and the figures
 * of one round belong to one run. Whichever is asked first runs; the others take what it left for them. What nobody
 * took before the next run (warming up, a case is asked several times in a row) is forgotten.
 */
export function sharedRun<K extends string>(
  run: () => Readonly<Record<K, number>> | Promise<Readonly<Record<K, number>>>,
): (key: K) => () => Promise<number> {
  const left = new Map<K, number>();
  const keys = new Set<K>();
  return (key) => {
    keys.add(key);
    return async () => {
      const kept = left.get(key);
      left.delete(key);
      if (kept !== undefined) return kept;
      const figures = await run();
      for (const other of keys) if (other !== key) left.set(other, figures[other]);
      return figures[key];
    };
  };
}

/**
 * The same of a run that is too slow to be made again and again while its cases warm up: asked once more by a case
 * while others still wait for their figures, it gives the same figure. A round asks every case once, so each round has
 * a run of its own.
 */
export function sharedSlowRun<K extends string>(
  run: () => Promise<ReadonlyMap<K, number>>,
): (key: K) => () => Promise<number> {
  const keys = new Set<K>();
  const waiting = new Set<K>();
  let figures: ReadonlyMap<K, number> = new Map();
  return (key) => {
    keys.add(key);
    return async () => {
      if (waiting.size === 0) {
        figures = await run();
        for (const other of keys) waiting.add(other);
      }
      waiting.delete(key);
      return figures.get(key) ?? Number.NaN;
    };
  };
}
