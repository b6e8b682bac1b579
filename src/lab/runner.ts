/** Runs experiments one after the other; whatever becomes of one, the others run, and all of it is in the results. */
import { SetupError } from '../sys/errors.js';
import { affinity, pinTo } from '../sys/sched.js';
import { Allotment, BOUNDS, type Bounds, shareOf } from './budget.js';
import type { Case, Effort, Experiment, LabRun, Series } from './experiment.js';
import { lookAround } from './machine_facts.js';
import { type Measurement, measure, prepare } from './measure.js';
import { type ExperimentResult, FORMAT, findingsProblem, type Results, VERSION } from './results.js';
import { DEFAULT_SEED } from './rounds.js';
import { CONFIDENCE, FENCES, JUDGE_FROM, LEAST_SPREAD, toSeries, WIDE } from './stats.js';

/** Told what goes on. Often called: a listener that draws limits itself. */
export interface LabProgress {
  begin(experiment: Experiment, index: number, count: number): void;
  /** `done`: part of the whole run, 0 … 1, by time. */
  tick(done: number, secondsLeft: number): void;
  note(text: string): void;
  end(result: ExperimentResult, index: number, count: number): void;
}

export interface LabOptions {
  readonly experiments: readonly Experiment[];
  readonly effort: Effort;
  /** Netferry's. */
  readonly version: string;
  /** Stops the run: the experiment that runs ends, those after it do not begin. */
  readonly signal: AbortSignal;
  /** After a stop: do not wait for the experiment to clean up. */
  readonly hurry?: AbortSignal;
  readonly progress?: LabProgress;
  /** Given what there is after each experiment. The last time it is complete, or the run was stopped. */
  readonly save?: (results: Results) => void;
  readonly seed?: number;
  /** Other than the effort's. */
  readonly bounds?: Bounds;
}

/** How long a stopped experiment may take to clean up. */
const CLEAN_UP_MS = 10_000;
const TICK_MS = 250;
/** Of a kept sample; its noise is far above. */
const DIGITS = 7;

/** Resolves with what there is, however it went. Rejects only with what `save` or `progress` throw. */
export async function runLab(o: LabOptions): Promise<Results> {
  const bounds = o.bounds ?? BOUNDS[o.effort];
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const budget = bounds.seconds * o.experiments.length;
  const found: ExperimentResult[] = [];
  const results = (partial: boolean): Results => ({
    ...head,
    partial,
    seconds: elapsed(),
    experiments: found,
  });
  const stopped = () => found.some((one) => one.outcome === 'stopped');
  const head = {
    format: FORMAT,
    version: VERSION,
    effort: o.effort,
    machine: lookAround(o.version),
    statistics: {
      confidence: CONFIDENCE,
      wide: WIDE,
      fences: FENCES,
      judgeFrom: JUDGE_FROM,
      leastSpread: LEAST_SPREAD,
      least: bounds.least,
      most: bounds.most,
    },
  } as const;
  let latest = results(false);
  for (const [index, experiment] of o.experiments.entries()) {
    const after = o.experiments.length - index - 1;
    const seconds = shareOf(budget - elapsed(), after + 1, bounds);
    o.progress?.begin(experiment, index, o.experiments.length);
    const one = new Trial(o, bounds, experiment, seconds, (secondsLeft) => {
      const all =
        Math.max(0, secondsLeft) +
        after * Math.min(bounds.seconds, shareOf(budget - elapsed(), after + 1, bounds));
      o.progress?.tick(elapsed() / (elapsed() + all), all);
    });
    const result = await one.run();
    found.push(result);
    o.progress?.end(result, index, o.experiments.length);
    latest = results(after > 0 || stopped());
    o.save?.(latest);
  }
  return latest;
}

/** One experiment's run. */
class Trial {
  readonly #o: LabOptions;
  readonly #bounds: Bounds;
  readonly #experiment: Experiment;
  readonly #allotment: Allotment;
  readonly #tick: (secondsLeft: number) => void;
  readonly #start = performance.now();
  readonly #cpus = affinity();
  readonly #measured: { cpu: number | null; seed: number; measurement: Measurement }[] = [];
  #expectedEnd: number;

  constructor(
    o: LabOptions,
    bounds: Bounds,
    experiment: Experiment,
    seconds: number,
    tick: (secondsLeft: number) => void,
  ) {
    this.#o = o;
    this.#bounds = bounds;
    this.#experiment = experiment;
    this.#allotment = new Allotment(experiment, this.#start, seconds);
    this.#expectedEnd = this.#allotment.end;
    this.#tick = tick;
  }

  async run(): Promise<ExperimentResult> {
    if (this.#o.signal.aborted) return this.#without('stopped', NOT_BEGUN);
    const ticker = setInterval(() => this.#tick((this.#expectedEnd - performance.now()) / 1000), TICK_MS);
    const running = this.#attempt();
    const over = new AbortController();
    try {
      return await Promise.race([running, this.#givenUp(over.signal)]);
    } finally {
      clearInterval(ticker);
      over.abort();
      // Whatever the experiment did to it, the next one begins with all of them.
      pinTo(this.#cpus);
    }
  }

  /** Never rejects. */
  async #attempt(): Promise<ExperimentResult> {
    const { signal } = this.#o;
    try {
      const missing = await this.#experiment.missing();
      if (signal.aborted) return this.#without('stopped', NOT_BEGUN);
      if (missing !== undefined) return this.#without('missing', missing);
      const findings = await this.#experiment.run(this.#labRun());
      if (signal.aborted) return this.#without('stopped', STOPPED);
      const problem = findingsProblem(findings);
      if (problem !== undefined) return this.#without('failed', `its findings are not sound: ${problem}`);
      return { ...this.#about(), outcome: 'done', findings };
    } catch (error) {
      if (signal.aborted) return this.#without('stopped', STOPPED);
      return this.#without('failed', reasonOf(error));
    }
  }

  /** Resolves some time after a stop. `over`: nobody waits for that any more. */
  #givenUp(over: AbortSignal): Promise<ExperimentResult> {
    const { signal, hurry } = this.#o;
    return new Promise((resolve) => {
      const giveUp = () =>
        resolve(this.#without('stopped', `${STOPPED}; it had not cleaned up when it was left`));
      const onStop = () => {
        setTimeout(giveUp, CLEAN_UP_MS).unref();
        hurry?.addEventListener('abort', giveUp, { once: true, signal: over });
      };
      signal.addEventListener('abort', onStop, { once: true, signal: over });
    });
  }

  #labRun(): LabRun {
    return {
      effort: this.#o.effort,
      cpus: this.#cpus,
      signal: this.#o.signal,
      note: (text) => this.#o.progress?.note(text),
      measure: (cases, repetitions) => this.#measure(cases, repetitions),
    };
  }

  async #measure(cases: readonly Case[], repetitions?: number): Promise<Series[]> {
    const { signal, seed: chosen = DEFAULT_SEED } = this.#o;
    const measurement = prepare(cases);
    const cpu = this.#experiment.pinned === false ? null : pinned(this.#cpus[this.#cpus.length - 1]);
    // Another order for each call, the same in each run.
    const seed = chosen + this.#measured.length;
    this.#measured.push({ cpu, seed, measurement });
    const { until, limit } = this.#allotment.next(performance.now());
    const { least, most } =
      repetitions === undefined ? this.#bounds : { least: repetitions, most: repetitions };
    const rest = this.#allotment.end - until;
    try {
      await measure(cases, measurement, { least, most, until, limit, seed, signal }, (end) => {
        this.#expectedEnd = end + rest;
      });
    } finally {
      if (cpu !== null) pinTo(this.#cpus);
    }
    return toSeries(measurement.cases);
  }

  #without(outcome: 'missing' | 'failed' | 'stopped', reason: string): ExperimentResult {
    return { ...this.#about(), outcome, reason };
  }

  #about() {
    const { name, title, question, talk } = this.#experiment;
    const measurements = this.#measured.map(({ cpu, seed, measurement: { rounds, short, cases } }) => ({
      cpu,
      seed,
      rounds,
      short,
      cases: cases.map(({ variant, x, samples }) => ({
        variant,
        x,
        samples: samples.map((value) => Number(value.toPrecision(DIGITS))),
      })),
    }));
    return { name, title, question, talk, seconds: (performance.now() - this.#start) / 1000, measurements };
  }
}

/** Pins the main thread; null where the kernel refuses, and then the results say that it was not pinned. */
function pinned(cpu: number): number | null {
  try {
    pinTo([cpu]);
    return cpu;
  } catch (error) {
    if (error instanceof SetupError) return null;
    throw error;
  }
}

const NOT_BEGUN = 'the lab was stopped before it began';
const STOPPED = 'the lab was stopped while it ran';

/** One line. What is not a SetupError is a mistake of the experiment's: its kind says more than its message. */
function reasonOf(error: unknown): string {
  if (error instanceof SetupError) return error.hint ? `${error.message} (${error.hint})` : error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
