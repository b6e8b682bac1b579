/**
 * One end of many turns of traffic, on one CPU: it makes its sockets in whichever network namespace it is told to, so
 * one process serves them all. Its standard input has a command a line, each answered with one line of JSON. It ends
 * with its input.
 *
 *   node load_main.js near|far CPU
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { inNetns, openNetns } from '../../sys/netns.js';
import { pinTo } from '../../sys/sched.js';
import {
  type End,
  type EndOptions,
  type FarFigures,
  farEnd,
  type NearFigures,
  nearEnd,
  type Window,
} from './load_jobs.js';

export type Command = ({ op: 'open' } & EndOptions) | ({ op: 'run' } & Window) | { op: 'close' };
export type Answer<F> = { figures: F } | { done: true } | { problem: string };

const [, , role, cpu] = process.argv;
const here = openNetns('self');
let end: End<NearFigures | FarFigures> | undefined;

/** Blocks: nothing else is to happen in this process, and no event loop gets in the way of a turn. */
function* lines(): Generator<string> {
  const buffer = Buffer.alloc(4096);
  let text = '';
  for (;;) {
    const length = readSync(0, buffer);
    if (length === 0) return;
    text += buffer.toString('utf8', 0, length);
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
      yield text.slice(0, at);
      text = text.slice(at + 1);
    }
  }
}

function obey(command: Command): Answer<NearFigures | FarFigures> {
  if (command.op === 'run') {
    if (!end) return { problem: 'nothing is open' };
    return { figures: end.run(command) };
  }
  end?.close();
  end = undefined;
  if (command.op === 'close') return { done: true };
  const there = openNetns(command.pid);
  try {
    end = inNetns(here, there, () => (role === 'near' ? nearEnd(command) : farEnd(command)));
  } finally {
    closeSync(there);
  }
  return { done: true };
}

function answer(line: string): Answer<NearFigures | FarFigures> {
  try {
    return obey(JSON.parse(line) as Command);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

pinTo([Number(cpu)]);
for (const line of lines()) writeSync(1, `${JSON.stringify(answer(line))}\n`);
end?.close();
