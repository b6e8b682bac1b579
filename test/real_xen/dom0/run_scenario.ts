/** One scenario as a process of its own: `node run_scenario.js NAME BACKEND SETTINGS`, with the agent at its IPC channel. */
import { loadScenario, Skip } from '../scenario.js';
import { Lab } from './lab.js';

/** To the agent. */
export type ScenarioMessage =
  | { readonly type: 'step'; readonly text: string }
  | { readonly type: 'figures'; readonly name: string; readonly value: unknown }
  | { readonly type: 'end'; readonly outcome: 'passed' | 'failed' | 'skipped'; readonly message: string };

/** Resolves once the agent has it. */
function send(message: ScenarioMessage): Promise<void> {
  return new Promise((resolve) => process.send!(message, undefined, {}, () => resolve()));
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

const [name, backend, settings] = process.argv.slice(2);
const lab = new Lab(
  {
    step: (text) => void send({ type: 'step', text }),
    figures: (file, value) => void send({ type: 'figures', name: file, value }),
  },
  backend === 'kernel' ? 'kernel' : 'netferry',
  JSON.parse(settings) as Record<string, string>,
);
let end: ScenarioMessage = { type: 'end', outcome: 'passed', message: '' };
try {
  const scenario = await loadScenario(name);
  await scenario.run(lab);
} catch (error) {
  const skipped = error instanceof Skip;
  end = {
    type: 'end',
    outcome: skipped ? 'skipped' : 'failed',
    message: skipped ? error.message : describe(error),
  };
}
try {
  await lab.end();
} catch (error) {
  if (end.outcome === 'passed')
    end = { type: 'end', outcome: 'failed', message: `while clearing up: ${describe(error)}` };
}
await send(end);
process.exit(0);
