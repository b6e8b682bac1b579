import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { chosen, lookAround, machineFacts } from '../../src/lab/machine_facts.js';
import {
  parseResults,
  prepareOut,
  RESULTS_FILE,
  type Results,
  readResults,
  VERSION,
  writeResults,
} from '../../src/lab/results.js';
import { SetupError } from '../../src/sys/errors.js';
import { syntheticResults } from './synthetic.js';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'netferry-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('what is written is read back the same, and nothing else is left beside it', (t) => {
  const dir = directory(t);
  const written = syntheticResults();
  writeResults(dir, written);
  assert.deepEqual(readResults(dir), written);
  assert.deepEqual(readdirSync(dir), [RESULTS_FILE]);
});

/** Results with one thing changed: `change` is given them as plain JSON. */
// biome-ignore lint/suspicious/noExplicitAny: it breaks them on purpose
function broken(change: (results: any) => void): string {
  const copy: unknown = JSON.parse(JSON.stringify(syntheticResults()));
  change(copy);
  return JSON.stringify(copy);
}

const rows: [name: string, text: string, message: RegExp][] = [
  ['no JSON', '{', /^FILE: no JSON: /],
  ['nothing', '', /^FILE: no JSON: /],
  ['a list', '[]', /^FILE: the whole: /],
  ['null', 'null', /^FILE: the whole: /],
  ['another format', broken((r) => (r.format = 'x')), /^FILE: format: /],
  ['another version', broken((r) => (r.version = VERSION + 1)), /^FILE: version: is 2, known is 1$/],
  ['no version', broken((r) => delete r.version), /^FILE: version: /],
  ['a key too many', broken((r) => (r.machine.hostname = 'x')), /^FILE: machine: .*hostname/],
  ['a date that is none', broken((r) => (r.machine.date = 'yesterday')), /^FILE: machine\.date: /],
  ['a string for a number', broken((r) => (r.experiments[0].measurements[0].cases[0].samples[0] = '1')),
    /^FILE: experiments\[0\]\.measurements\[0\]\.cases\[0\]\.samples\[0\]: .*number/],
  ['a median that was not finite', broken((r) => (r.experiments[0].findings.charts[0].series[0].points[0].median = null)),
    /^FILE: experiments\[0\]\.findings\.charts\[0\]\.series\[0\]\.points\[0\]\.median: /],
  ['an unknown verdict', broken((r) => (r.experiments[0].findings.verdicts[0].agrees = 'maybe')),
    /^FILE: experiments\[0\]\.findings\.verdicts\[0\]\.agrees: /],
  ['an unknown outcome', broken((r) => (r.experiments[1].outcome = 'fine')), /^FILE: experiments\[1\]\.outcome: /],
  ['done without findings', broken((r) => delete r.experiments[0].findings), /^FILE: experiments\[0\]\.findings: /],
]; // biome-ignore format: one row each

for (const [name, text, message] of rows) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parseResults(text, 'FILE'),
      (error) => error instanceof SetupError && message.test(error.message) && !error.message.includes('\n'),
      JSON.stringify(message.source),
    );
  });
}

test('a directory without results, or that is none: the file is named, and what to do', (t) => {
  const dir = directory(t);
  assert.throws(() => readResults(dir), { message: `cannot read ${dir}/results.json: ENOENT` });
  writeFileSync(join(dir, 'file'), '');
  assert.throws(() => readResults(join(dir, 'file')), /file\/results\.json: ENOTDIR/);
});

test('the directory for results is made and tried before anything runs', (t) => {
  const dir = directory(t);
  const deep = join(dir, 'a', 'b', 'c');
  prepareOut(deep);
  assert.deepEqual(readdirSync(deep), []);
  prepareOut(deep);
  writeFileSync(join(dir, 'file'), '');
  assert.throws(() => prepareOut(join(dir, 'file', 'x')), /cannot write into .*file\/x: ENOTDIR/);
  assert.throws(() => prepareOut('/proc/netferry/x'), /cannot write into \/proc\/netferry\/x: ENOENT/);
});

test('a file that cannot be put in place is an error with its path', (t) => {
  const dir = directory(t);
  mkdirSync(join(dir, RESULTS_FILE));
  assert.throws(() => writeResults(dir, syntheticResults()), /cannot write .*results\.json: /);
  assert.deepEqual(readdirSync(dir), [RESULTS_FILE], 'no half file');
});

test('machine facts: what this machine tells, in the schema’s form, without names of host or user', () => {
  const facts = lookAround('1.2.3');
  assert.deepEqual(machineFacts.parse(facts), facts);
  assert.ok(facts.allowed.length >= 1 && facts.memory > 0 && facts.kernel !== '');
  assert.match(facts.commit ?? '0123456789ab', /^[0-9a-f]{12}(-dirty)?$/);
  assert.equal(chosen('always [madvise] never'), 'madvise');
  assert.equal(chosen(null), null);
  const results: Results = syntheticResults();
  assert.ok(!JSON.stringify(results).includes(process.env.HOSTNAME ?? '\0'));
});
