/** `node lab_process.js run [NAME…] [options]`: netferry's own `lab run`, with test/lab/fakes.ts for experiments. */
import { Command } from 'commander';
import { createContext } from '../../src/cli/context.js';
import { processIo } from '../../src/cli/io.js';
import { type RunOptions, runExperiments } from '../../src/cli/lab.js';
import { endless, failing, lacking, yardstick } from '../lab/fakes.js';

const io = processIo();
const argv = process.argv.slice(2);
const program = new Command('netferry').option('--dir <directory>').option('--json');
const run = program
  .command('run')
  .argument('[names...]')
  .option('--quick')
  .option('--full')
  .option('--out <dir>');
run.action(async () => {
  const names = run.args;
  const all = [yardstick, failing, lacking];
  // The one without an end runs only when it is called by name.
  const experiments = names.includes('endless') ? [...all, endless()] : all;
  const context = createContext(io, argv, undefined, run);
  process.exitCode = await runExperiments(context, names, run.opts<RunOptions>(), experiments);
});
await program.parseAsync(argv, { from: 'user' });
