/** Runs the plan's scenarios, one process each, and reports on the second serial port. Ends with the plan. */
import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plan, Report } from '../protocol.js';
import { loadScenario } from '../scenario.js';
import { Logs } from './logs.js';
import { Dom0 } from './place.js';
import type { ScenarioMessage } from './run_scenario.js';
import { kernelLog, MARK, sweep } from './sweep.js';

const PLAN = '/lab/plan.json';
const PORT = '/dev/ttyS1';
const RUNNER = fileURLToPath(new URL('./run_scenario.js', import.meta.url));
/** Milliseconds between two looks at the logs. */
const LOOK = 2000;

type End = Extract<ScenarioMessage, { type: 'end' }>;

const port = openSync(PORT, 'w');
const dom0 = new Dom0();
const logs = new Logs((file, text) => report({ type: 'log', file, text }));

function report(line: Report): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let sent = 0; sent < bytes.length; ) sent += writeSync(port, bytes, sent);
}

/** Resolves with how it ended; a scenario that takes too long is killed with all that it started. */
function runScenario(name: string, seconds: number, { backend, settings }: Plan): Promise<End> {
  return new Promise((resolve) => {
    let end: End = { type: 'end', outcome: 'failed', message: 'the scenario’s process ended without a word' };
    let last = 'it began';
    const child = spawn(
      process.execPath,
      ['--enable-source-maps', RUNNER, name, backend, JSON.stringify(settings)],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        env: { ...process.env, ...MARK },
      },
    );
    const limit = setTimeout(() => {
      const message = `not done after ${seconds} s; last: ${last}`;
      end = { type: 'end', outcome: 'failed', message };
      child.kill('SIGKILL');
    }, seconds * 1000);
    child.on('message', (message: ScenarioMessage) => {
      if (message.type === 'end') end = message;
      else if (message.type === 'figures') report({ ...message, scenario: name });
      else {
        last = message.text;
        report({ ...message, scenario: name });
      }
    });
    child.on('exit', () => {
      clearTimeout(limit);
      resolve(end);
    });
  });
}

async function main(): Promise<void> {
  const plan = JSON.parse(readFileSync(PLAN, 'utf8')) as Plan;
  const xen = (await dom0.ok('xl info xen_version')).trim();
  const kernel = (await dom0.ok('uname -r')).trim();
  report({ type: 'up', uptime: Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]), xen, kernel });
  report({ type: 'log', file: 'dom0-kernel.log', text: (await kernelLog(dom0)).text });
  const look = setInterval(() => logs.collect(), LOOK);
  let tainted = '';
  for (const name of plan.scenarios) {
    const begin = performance.now();
    report({ type: 'begin', scenario: name });
    const scenario = await loadScenario(name);
    let { outcome, message } = await runScenario(name, scenario.seconds, plan);
    const seconds = (performance.now() - begin) / 1000;
    const { text, complaint } = await kernelLog(dom0);
    if (text !== '') report({ type: 'log', file: 'dom0-kernel.log', text });
    if (complaint !== '') {
      tainted = 'its kernel complained';
      message = `dom0’s kernel complained: ${complaint}\n${message}`;
      outcome = 'failed';
    }
    logs.collect();
    report({ type: 'end', scenario: name, outcome, seconds, message });
    tainted ||= await sweep(dom0);
    if (tainted !== '') break;
  }
  clearInterval(look);
  logs.collect();
  report({ type: 'done', tainted });
}

await main();
