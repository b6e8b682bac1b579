/**
 * The process that holds a hook, in the network namespace where it was started. One JSON line in, `[method, ...args]`
 * of class Hook (`new` makes it), one line out, `{ value }` or `{ error }`. It is a process of its own so that a
 * test can kill it.
 */
import { createInterface } from 'node:readline';
import { Hook } from '../../../src/hook/hook.js';
import type { HookOptions } from '../../../src/hook/options.js';
import { SetupError } from '../../../src/sys/errors.js';

let hook: Hook | undefined;

function answer(method: string, args: unknown[]): unknown {
  if (method === 'new') {
    hook = new Hook(args[0] as HookOptions);
    return hook.uplink?.mode;
  }
  if (!hook) throw new Error('no hook');
  if (method === 'detached') {
    const [lost, all] = [hook.lost(), [...(hook.uplink ? [hook.uplink] : []), ...hook.ports()]];
    return all.filter(({ ifindex }) => lost.has(ifindex)).map(({ name }) => name);
  }
  if (method === 'promiscuous') return hook.uplink?.promiscuous();
  if (method === 'uplinkThrough') return hook.uplink?.shortcut.through;
  if (method === 'portThrough') return hook.ports().find(({ id }) => id === args[0])?.shortcut.through;
  const call = Reflect.get(hook, method) as (...args: unknown[]) => unknown;
  return call.apply(hook, args);
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [method, ...args] = JSON.parse(line) as [string, ...unknown[]];
    let reply: unknown;
    try {
      reply = { value: answer(method, args) };
    } catch (error) {
      const { message, stack } = error as Error;
      reply = { error: { message, hint: error instanceof SetupError ? error.hint : (stack ?? '') } };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  })
  .on('close', () => process.exit(0));
