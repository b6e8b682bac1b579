/** The results of a run, as they are kept: one JSON file, versioned, from which the report can be made again. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { makeDirectories } from '../sys/directories.js';
import { SetupError } from '../sys/errors.js';
import type { Findings } from './experiment.js';
import { machineFacts } from './machine_facts.js';

export const RESULTS_FILE = 'results.json';
export const REPORT_FILE = 'report.html';
export const FORMAT = 'netferry-lab';
/** Raised when a reader of the earlier one would misunderstand. */
export const VERSION = 1;

const place = z.union([z.number(), z.string()]);

const point = z.strictObject({
  x: place,
  median: z.number(),
  low: z.number(),
  high: z.number(),
  samples: z.int().min(0),
  outliers: z.int().min(0),
  wide: z.boolean(),
});

const axis = z.strictObject({
  label: z.string(),
  unit: z.string(),
  scale: z.enum(['linear', 'log', 'names']),
});

/** Of experiment.ts: `satisfies` below holds the two together. */
const findings = z.strictObject({
  charts: z
    .array(
      z.strictObject({
        title: z.string(),
        x: axis,
        y: axis,
        series: z
          .array(z.strictObject({ variant: z.string(), points: z.array(point).readonly() }))
          .readonly(),
        marks: z
          .array(z.strictObject({ at: z.number(), label: z.string() }))
          .readonly()
          .exactOptional(),
      }),
    )
    .readonly(),
  tables: z
    .array(
      z.strictObject({
        title: z.string(),
        columns: z.array(z.string()).readonly(),
        rows: z.array(z.array(place).readonly()).readonly(),
      }),
    )
    .readonly(),
  verdicts: z
    .array(
      z.strictObject({
        agrees: z.enum(['agrees', 'differs', 'unclear', 'not comparable']),
        sentence: z.string(),
      }),
    )
    .readonly(),
  method: z.array(z.string()).readonly(),
  missing: z.array(z.string()).readonly(),
}) satisfies z.ZodType<Findings>;

/** One call of `measure`: every sample, those set aside too, in the order in which they were taken. */
const measurement = z.strictObject({
  /** CPU that the main thread was pinned to; null: it was not. */
  cpu: z.int().min(0).nullable(),
  /** Of the order of turns. */
  seed: z.int(),
  rounds: z.int().min(0),
  /** Fewer rounds than planned: the time was over. */
  short: z.boolean(),
  cases: z.array(z.strictObject({ variant: z.string(), x: place, samples: z.array(z.number()) })),
});

const about = {
  name: z.string().min(1),
  title: z.string(),
  question: z.string(),
  talk: z.string(),
  /** How long it took. */
  seconds: z.number().min(0),
  measurements: z.array(measurement),
};

const experimentResult = z.discriminatedUnion('outcome', [
  z.strictObject({ ...about, outcome: z.literal('done'), findings }),
  z.strictObject({
    ...about,
    /**
     * missing: this machine cannot, and `reason` says what it lacks. stopped: the user ended it while it ran, or
     * before it could. What had been measured by then is in `measurements`.
     */
    outcome: z.enum(['missing', 'failed', 'stopped']),
    reason: z.string(),
  }),
]);

export const results = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  effort: z.enum(['quick', 'full']),
  /** Not all that was asked for: the user stopped it, or the process died on the way. */
  partial: z.boolean(),
  seconds: z.number().min(0),
  machine: machineFacts,
  /** The bounds in force, see stats.ts and budget.ts. */
  statistics: z.strictObject({
    confidence: z.number(),
    wide: z.number(),
    fences: z.number(),
    judgeFrom: z.int(),
    leastSpread: z.number(),
    least: z.int(),
    most: z.int(),
  }),
  experiments: z.array(experimentResult),
});

export type Results = z.infer<typeof results>;
export type ExperimentResult = z.infer<typeof experimentResult>;
export type MeasurementResult = z.infer<typeof measurement>;

/** What is wrong with an experiment's findings, `charts[0].title: …`; undefined when they are sound. */
export function findingsProblem(found: unknown): string | undefined {
  const parsed = findings.safeParse(found);
  return parsed.success ? undefined : firstProblem(parsed.error);
}

/**
 * Makes `directory` if need be, and tries that files can be made in it: better now than after twenty minutes.
 * Throws SetupError.
 */
export function prepareOut(directory: string): void {
  const probe = join(directory, `.netferry-lab-${process.pid}`);
  try {
    makeDirectories(resolve(directory));
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (cause) {
    throw new SetupError(`cannot write into ${directory}: ${codeOf(cause)}`, 'choose another --out', {
      cause,
    });
  }
}

/** Puts `text` in the place of directory/name at once: a reader finds the old file or the new one. Throws SetupError. */
export function replaceFile(directory: string, name: string, text: string): void {
  const path = join(directory, name);
  try {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  } catch (cause) {
    rmSync(`${path}.new`, { force: true });
    throw new SetupError(`cannot write ${path}: ${codeOf(cause)}`, '', { cause });
  }
}

export function writeResults(directory: string, found: Results): void {
  replaceFile(directory, RESULTS_FILE, `${JSON.stringify(found)}\n`);
}

/** Reads directory/results.json. Throws SetupError with the file and, where it can, the key. */
export function readResults(directory: string): Results {
  const path = join(directory, RESULTS_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const hint = 'name a directory that netferry lab run wrote';
    throw new SetupError(`cannot read ${path}: ${codeOf(cause)}`, hint, { cause });
  }
  return parseResults(text, path);
}

/** `source`: what errors call it. */
export function parseResults(text: string, source: string): Results {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new SetupError(`${source}: no JSON: ${(cause as Error).message}`, '', { cause });
  }
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version !== VERSION) {
    const hint = version > VERSION ? 'a newer netferry wrote it' : 'run the lab again';
    throw new SetupError(`${source}: version: is ${version}, known is ${VERSION}`, hint);
  }
  const parsed = results.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new SetupError(`${source}: ${firstProblem(parsed.error)}`, '', { cause: parsed.error });
}

/** `experiments[2].findings.charts[0].title: Invalid input: …` */
function firstProblem(error: z.ZodError): string {
  const [issue] = error.issues;
  const path = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return `${path.replace(/^\./, '') || 'the whole'}: ${issue.message}`;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
