/**
 * Holds a hook in the network namespace where it was started, until its standard input ends. Its argument is JSON:
 * `{ "mode", "uplink", "ports": [PortOptions …] }`.
 */
import { Hook } from '../../hook/hook.js';
import type { HookOptions, PortOptions } from '../../hook/options.js';

const { ports, ...options } = JSON.parse(process.argv[2]) as HookOptions & { ports: PortOptions[] };
const hook = new Hook(options);
for (const port of ports) hook.addPort(port);
console.log('ready');
process.stdin.on('end', () => hook.close()).resume();
