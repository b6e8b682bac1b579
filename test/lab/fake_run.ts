/** A lab in ten lines: no warm-up to speak of, few samples, the whole range as the interval. */
import type { Case, Effort, LabRun, Point, Series } from '../../src/lab/experiment.js';

export interface FakeRun extends LabRun {
  /** Every case that was measured. */
  readonly measured: Case[];
  readonly notes: string[];
}

/** `replace`: measured instead of the cases' own samples, for verdicts on known data. */
export function fakeRun(
  effort: Effort = 'quick',
  repetitions = 3,
  replace?: (c: Case) => { low: number; median: number; high: number },
  signal: AbortSignal = new AbortController().signal,
): FakeRun {
  const measured: Case[] = [];
  const notes: string[] = [];
  const measure = async (cases: readonly Case[], wanted = repetitions): Promise<Series[]> => {
    measured.push(...cases);
    const samples = cases.map((): number[] => []);
    for (let round = 0; round < Math.min(wanted, repetitions) + 1; round++) {
      for (const [i, one] of cases.entries()) {
        if (signal.aborted) throw new Error('stopped');
        const value = replace ? replace(one).median : await one.sample();
        if (round > 0) samples[i].push(value);
      }
    }
    const points = cases.map((one, i): Point => {
      const sorted = samples[i].sort((a, b) => a - b);
      const own = { low: sorted[0], median: sorted[sorted.length >> 1], high: sorted[sorted.length - 1] };
      return { x: one.x, ...own, ...replace?.(one), samples: sorted.length, outliers: 0, wide: false };
    });
    const names = [...new Set(cases.map((one) => one.variant))];
    return names.map((variant) => ({
      variant,
      points: points.filter((_, i) => cases[i].variant === variant),
    }));
  };
  return { effort, cpus: [0, 1], measure, measured, notes, note: (text) => notes.push(text), signal };
}
