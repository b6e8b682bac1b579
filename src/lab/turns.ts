/**
 * One run that yields several figures, as cases of their own: the lab samples every case in turn, and the figures of
 * one round belong to one run. Whichever is asked first runs; the others of that round take what it left for them.
 */
export function sharedRun<K extends string>(
  run: () => Readonly<Record<K, number>> | Promise<Readonly<Record<K, number>>>,
): (key: K) => () => Promise<number> {
  const left = new Map<K, number[]>();
  return (key) => {
    left.set(key, []);
    return async () => {
      const own = left.get(key) as number[];
      const kept = own.shift();
      if (kept !== undefined) return kept;
      const figures = await run();
      for (const [other, queue] of left) if (other !== key) queue.push(figures[other]);
      return figures[key];
    };
  };
}
