/** `netferry lab list | run | report`. The lab itself is loaded only by these: other commands need no plotter. */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Effort, Experiment } from '../lab/experiment.js';
import type { ExperimentResult, Results } from '../lab/results.js';
import { type Attach, type Context, version } from './context.js';
import { note, painter, printJson } from './io.js';
import { UsageError } from './options.js';
import { table } from './text.js';

const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;

export interface RunOptions {
  readonly quick?: boolean;
  readonly full?: boolean;
  readonly out?: string;
}

export function addLab(program: Command, attach: Attach): void {
  const group = program
    .command('lab')
    .description('the talk’s experiments, on this machine: figures, charts and a report');
  const list = group
    .command('list')
    .description('the experiments and their questions')
    .addHelpText('after', EXAMPLES.list);
  attach(list, async (context) => listExperiments(context, await known()));
  const run = group
    .command('run')
    .description('run experiments and write a report')
    .usage('[options] [NAME…]')
    .argument('[names...]', 'which ones (default: all)')
    .option('--quick', 'all in less than 3 minutes (the default)')
    .option('--full', 'narrower intervals; all in less than 20 minutes')
    .option(
      '-o, --out <directory>',
      'where results.json and report.html go (default: lab-results/TIME-EFFORT)',
    )
    .addHelpText('after', EXAMPLES.run);
  attach(run, async (context) => runExperiments(context, run.args, run.opts<RunOptions>(), await known()));
  const report = group
    .command('report')
    .description('make the report anew from results.json')
    .usage('[options] DIR')
    .argument('<directory>', 'what lab run wrote')
    .addHelpText('after', EXAMPLES.report);
  attach(report, (context) => reportAgain(context, report.args[0]));
}

const EXAMPLES = {
  list: `
Examples:
  netferry lab list
  netferry lab list --json
`,
  run: `
An experiment that fails, or that this machine lacks something for, does not stop the others; the report says what
and why. Ctrl-C ends the run: what there is by then is written, and says that it is partial. The report is one file
that needs nothing else: open it in a browser, send it, print it.

Exit code 0 when all ran that can run here, 1 when one failed or none could run, 130 when interrupted.

Examples:
  netferry lab run
  netferry lab run flip-vs-copy grant-copy --full
  netferry lab run --full --out ~/lab --json | jq '.experiments[].outcome'
`,
  report: `
Examples:
  netferry lab report lab-results/2026-11-22-1805-quick
`,
};

async function known(): Promise<readonly Experiment[]> {
  return (await import('../lab/experiments/index.js')).EXPERIMENTS;
}

async function listExperiments(
  { io, json }: Context,
  experiments: readonly Experiment[],
): Promise<undefined> {
  const rows = await Promise.all(
    experiments.map(async (one) => ({
      name: one.name,
      title: one.title,
      question: one.question,
      talk: one.talk,
      missing: (await missingOf(one)) ?? null,
    })),
  );
  if (json) {
    printJson(io, rows);
    return;
  }
  const paint = painter(io, io.stdout);
  const lines = rows.map((one) => [
    one.name,
    one.missing === null ? one.question : paint('yellow', `cannot run here: ${one.missing}`),
  ]);
  const head = ['EXPERIMENT', 'QUESTION'].map((name) => paint('dim', name));
  io.stdout.write(table(head, lines));
}

/** A look that fails is a reason, too. */
async function missingOf(experiment: Experiment): Promise<string | undefined> {
  try {
    return await experiment.missing();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Throws UsageError for bad arguments and SetupError for a directory that cannot be written, before anything runs. */
export async function runExperiments(
  { io, json }: Context,
  names: readonly string[],
  options: RunOptions,
  experiments: readonly Experiment[],
): Promise<number> {
  if (options.quick && options.full) throw new UsageError('--quick and --full are two things', 'choose one');
  if (options.out === '') throw new UsageError('--out is empty', 'name a directory');
  const chosen = choose(experiments, names);
  const effort: Effort = options.full ? 'full' : 'quick';
  const out = resolve(options.out ?? defaultOut(effort));
  const { prepareOut, REPORT_FILE, replaceFile, writeResults } = await import('../lab/results.js');
  prepareOut(out);
  const [{ runLab }, { makeReport }, { labScreen }] = await Promise.all([
    import('../lab/runner.js'),
    import('../lab/report.js'),
    import('./lab_progress.js'),
  ]);
  const stop = new AbortController();
  const hurry = new AbortController();
  const screen = labScreen(io);
  const release = io.onStop(() => {
    if (stop.signal.aborted) hurry.abort();
    else screen.note('stopping; once more and it is left as it is');
    stop.abort();
  });
  let found: Results;
  try {
    found = await runLab({
      experiments: chosen,
      effort,
      version: version(),
      signal: stop.signal,
      hurry: hurry.signal,
      progress: screen,
      save: (results) => writeResults(out, results),
    });
  } finally {
    screen.close();
    release();
  }
  replaceFile(out, REPORT_FILE, makeReport(found));
  if (json) printJson(io, found);
  else printFindings({ io }, found, join(out, REPORT_FILE));
  if (stop.signal.aborted) note(io, `stopped; what there is by now is in ${out}`);
  return exitCode(found, stop.signal.aborted);
}

/** In the lab's order, whatever theirs. */
function choose(experiments: readonly Experiment[], names: readonly string[]): readonly Experiment[] {
  const unknown = names.find((name) => !experiments.some((one) => one.name === name));
  if (unknown !== undefined) {
    const all = experiments.map((one) => one.name).join(', ');
    throw new UsageError(`no experiment is called ${JSON.stringify(unknown)}`, `known: ${all || 'none'}`);
  }
  return names.length === 0 ? experiments : experiments.filter((one) => names.includes(one.name));
}

/** `lab-results/2026-11-22-1805-quick`, by the local clock. */
function defaultOut(effort: Effort, now = new Date()): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString();
  return join('lab-results', `${local.slice(0, 10)}-${local.slice(11, 16).replace(':', '')}-${effort}`);
}

function exitCode({ experiments }: Results, interrupted: boolean): number {
  if (interrupted) return EXIT_INTERRUPTED;
  const failed = experiments.some((one) => one.outcome === 'failed');
  return failed || !experiments.some((one) => one.outcome === 'done') ? EXIT_FAILED : 0;
}

const VERDICT_COLOURS = {
  agrees: 'green',
  differs: 'red',
  unclear: 'yellow',
  'not comparable': 'dim',
} as const;

function printFindings({ io }: Pick<Context, 'io'>, found: Results, report: string): void {
  const paint = painter(io, io.stdout);
  const lines = ({ outcome, ...one }: ExperimentResult): string[][] => {
    if ('reason' in one) return [[one.name, paint('yellow', outcome), one.reason]];
    return one.findings.verdicts.map(({ agrees, sentence }, i) => [
      i === 0 ? one.name : '',
      paint(VERDICT_COLOURS[agrees], agrees),
      sentence,
    ]);
  };
  const head = ['EXPERIMENT', 'THE TALK', 'HERE'].map((name) => paint('dim', name));
  io.stdout.write(`${table(head, found.experiments.flatMap(lines))}\n${report}\n`);
}

async function reportAgain({ io, json }: Context, directory: string): Promise<undefined> {
  const { readResults, REPORT_FILE, replaceFile } = await import('../lab/results.js');
  const found = readResults(directory);
  const { makeReport } = await import('../lab/report.js');
  const path = resolve(directory, REPORT_FILE);
  replaceFile(directory, REPORT_FILE, makeReport(found));
  if (json) printJson(io, { report: path });
  else io.stdout.write(`${path}\n`);
}
