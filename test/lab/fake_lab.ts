/** A lab that measures each case a few times and sums it up, so that an experiment can be tried by itself. */
import type { Case, Effort, LabRun, Series } from '../../src/lab/experiment.js';

export function fakeLab(samples = 3, effort: Effort = 'quick'): LabRun & { readonly notes: string[] } {
  const notes: string[] = [];
  return {
    effort,
    cpus: [0],
    notes,
    signal: new AbortController().signal,
    note: (text) => notes.push(text),
    async measure(cases: readonly Case[]): Promise<Series[]> {
      const taken = cases.map(() => [] as number[]);
      for (let round = 0; round < samples; round++)
        for (const [i, one] of cases.entries()) taken[i].push(await one.sample());
      const variants = [...new Set(cases.map((one) => one.variant))];
      return variants.map((variant) => ({
        variant,
        points: cases.flatMap((one, i) => {
          if (one.variant !== variant) return [];
          const sorted = taken[i].toSorted((p, q) => p - q);
          const median = sorted[samples >> 1];
          const [low, high] = [sorted[0], sorted[samples - 1]];
          return [{ x: one.x, median, low, high, samples, outliers: 0, wide: false }];
        }),
      }));
    },
  };
}
