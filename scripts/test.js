// `npm test [-- PATTERN…]`: every compiled test, or those whose path contains a pattern, one file at a time
// (the tests make interfaces and namespaces and measure nothing; two cores are few).
//
// What was skipped is listed at the end with its reason. With CI=true a skip fails the run unless a line of
// .ci/allowed-skips (a regular expression; # begins a comment) matches `FILE: TEST: REASON`.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const wanted = process.argv.slice(2);
const files = readdirSync('dist/test', { recursive: true })
  .filter((f) => f.endsWith('.test.js'))
  .filter((f) => wanted.length === 0 || wanted.some((w) => f.includes(w)))
  .map((f) => `dist/test/${f}`)
  .sort();
if (files.length === 0) {
  console.error(`no test file matches: ${wanted.join(' ')}`);
  process.exit(2);
}

process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim();
let failed = 0;
const skipped = new Set();
// A file whose processes outlive a failure would never end.
const events = run({ files, concurrency: 1, timeout: 600_000 });
events.on('test:fail', ({ todo }) => {
  if (todo === undefined) failed++;
});
const noteSkip = ({ file, name, skip }) => {
  if (skip === undefined || skip === false) return;
  skipped.add(`${file ? relative('.', file) : '?'}: ${name}: ${skip === true ? 'no reason given' : skip}`);
};
events.on('test:pass', noteSkip);
const report = events.compose(new spec());
report.pipe(process.stdout);
await new Promise((resolve) => report.once('end', resolve));

const list = '.ci/allowed-skips';
const allowed = (existsSync(list) ? readFileSync(list, 'utf8').split('\n') : [])
  .map((line) => line.replace(/(^|\s)#.*/, '').trim())
  .filter((line) => line !== '')
  .map((line) => new RegExp(line));
const unexpected = [...skipped].filter((skip) => !allowed.some((pattern) => pattern.test(skip)));
if (skipped.size > 0) console.log(`\nskipped:\n${[...skipped].map((skip) => `  ${skip}`).join('\n')}`);
if (process.env.CI === 'true' && unexpected.length > 0) {
  console.error(
    `\nthese must run in CI (or be allowed in ${list}):\n${unexpected.map((skip) => `  ${skip}`).join('\n')}`,
  );
  failed++;
}
process.exit(failed > 0 ? 1 : 0);
