/**
 * An experiment: one question of the talk, asked of this machine. It makes what it needs, hands the lab cases to
 * measure, and says what the figures mean. Warm-up, interleaving, repetitions and intervals are the lab's.
 */

export type Effort = 'quick' | 'full';

/** One point of one curve: something that can be measured again and again. */
export interface Case {
  /** The curve: `flip, other CPU`. */
  readonly variant: string;
  /** The place on the x axis: a size, a number of vifs, or a name. */
  readonly x: number | string;
  /** Takes one sample, in the chart's unit. Runs long enough to be far above the clock's resolution. */
  sample(): number | Promise<number>;
}

/** A measured point: median of the samples that the outlier policy kept, and its 95 % interval. */
export interface Point {
  readonly x: number | string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly samples: number;
  /** Samples that the outlier policy set aside. */
  readonly outliers: number;
  /** The interval is too wide for a verdict (see WIDE in stats.ts). */
  readonly wide: boolean;
}

export interface Series {
  readonly variant: string;
  readonly points: readonly Point[];
}

export interface Axis {
  readonly label: string;
  /** `bytes`, `ns per packet`; empty where x is a name. */
  readonly unit: string;
  readonly scale: 'linear' | 'log' | 'names';
}

export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Values worth a line across the chart: a break-even, the talk's figure. `at`: on the x axis. */
  readonly marks?: readonly { readonly at: number; readonly label: string }[];
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  /** Numbers are shown with thin separators, text as it is. */
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface Verdict {
  /** `unclear`: the intervals are too wide or overlap; then `sentence` says so instead of a verdict. */
  readonly agrees: 'agrees' | 'differs' | 'unclear' | 'not comparable';
  /** One plain sentence, with the figures that carry it. */
  readonly sentence: string;
}

export interface Findings {
  readonly charts: readonly Chart[];
  readonly tables: readonly Table[];
  readonly verdicts: readonly Verdict[];
  /** How it was measured: CPUs, sizes, what stands for what. */
  readonly method: readonly string[];
  /** What this machine could not show, and why. */
  readonly missing: readonly string[];
}

/** What the lab gives an experiment while it runs. */
export interface LabRun {
  readonly effort: Effort;
  /** CPUs that this process may use, ascending. While `measure` runs, the main thread is pinned to the last. */
  readonly cpus: readonly number[];
  /**
   * Warms all cases up, then samples them in turns, a round of all cases after the other, and sums each up.
   * Moves the progress bar. `repetitions`: of each case, by default what the effort asks for.
   */
  measure(cases: readonly Case[], repetitions?: number): Promise<Series[]>;
  /** A line under the progress bar: what is going on when it is not measuring. */
  note(text: string): void;
  /** Aborted when the user stops the lab: end and clean up. */
  readonly signal: AbortSignal;
}

export interface Experiment {
  /** `flip-vs-copy`. */
  readonly name: string;
  readonly title: string;
  readonly question: string;
  /** What the talk said, with its figures. */
  readonly talk: string;
  /** How often it calls `measure`, so that each call gets its even share of the time. */
  readonly measurements?: number;
  /**
   * false: the main thread is not pinned to one CPU while it measures. For samples that start threads or processes:
   * these would inherit the pinning.
   */
  readonly pinned?: boolean;
  /** Why it cannot run here at all; undefined when it can. */
  missing(): string | undefined | Promise<string | undefined>;
  /** Leaves nothing behind, also when it throws. */
  run(lab: LabRun): Promise<Findings>;
}
