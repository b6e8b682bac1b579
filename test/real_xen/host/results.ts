/** The folder of a run's consoles, logs and figures, and what is printed. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import type { Outcome } from '../protocol.js';

export interface Result {
  readonly scenario: string;
  readonly outcome: Outcome;
  /** By dom0's clock. */
  readonly seconds: number;
  /** By this machine's. */
  readonly here: number;
  readonly message: string;
}

export class Results {
  readonly folder: string;
  readonly #results: Result[] = [];

  /** An earlier run's results are removed. */
  constructor(folder: string) {
    this.folder = folder;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }

  /** Where a boot's logs go. */
  bootFolder(number: number): string {
    return join(this.folder, `boot-${number}`);
  }

  log(folder: string, file: string, text: string): void {
    appendFileSync(join(folder, basename(file)), text, 'latin1');
  }

  figures(name: string, value: unknown): void {
    writeFileSync(join(this.folder, `${basename(name)}.json`), `${JSON.stringify(value, null, 2)}\n`);
  }

  say(text: string): void {
    console.log(text);
  }

  add(result: Result): void {
    this.#results.push(result);
    const time =
      result.seconds > 0 ? ` (${result.seconds.toFixed(0)} s, here ${result.here.toFixed(0)} s)` : '';
    this.say(`${MARKS[result.outcome]} ${result.scenario}${time}${indent(result.message)}`);
  }

  has(scenario: string): boolean {
    return this.#results.some((result) => result.scenario === scenario);
  }

  /** Prints the closing lines and writes results.json; the process's exit code. With CI=true a skip fails the run. */
  close(): number {
    const count = (outcome: Outcome) => this.#results.filter((result) => result.outcome === outcome).length;
    writeFileSync(join(this.folder, 'results.json'), `${JSON.stringify(this.#results, null, 2)}\n`);
    const failed = this.#results.filter((result) => result.outcome === 'failed');
    const list = (some: readonly Result[]) => some.map(({ scenario }) => `  ${scenario}`).join('\n');
    if (failed.length > 0) this.say(`\nfailed:\n${list(failed)}`);
    // CI installs what is needed (.ci/run): there a skip is a gap that nobody would see.
    const skipped = this.#results.filter((result) => result.outcome === 'skipped');
    const gap = process.env.CI === 'true' && skipped.length > 0;
    if (gap) this.say(`\nthese must run in CI:\n${list(skipped)}`);
    this.say(`\nconsoles and logs: ${relative('.', this.folder)}`);
    this.say(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
    return failed.length > 0 || gap ? 1 : 0;
  }
}

const MARKS: Record<Outcome, string> = { passed: '✔', failed: '✖', skipped: '﹣' };

function indent(message: string): string {
  return message === '' ? '' : `\n${message.trimEnd().replace(/^/gm, '    ')}`;
}
