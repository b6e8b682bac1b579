// `npm test [-- PATTERN…]`: every compiled test, or those whose path contains a pattern, one file at a time
// (the tests make interfaces and namespaces and measure nothing; two cores are few).
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

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
const args = ['--test', '--test-concurrency=1', '--enable-source-maps', ...files];
const run = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exit(run.status ?? 1);
