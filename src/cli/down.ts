/** `netferry down`: the daemon ends, as by SIGTERM. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { SetupError } from '../sys/errors.js';
import type { Attach, Context } from './context.js';
import { printJson } from './io.js';

/** ms that the daemon may take, and between looks. */
const PATIENCE = 30_000;
const POLL = 100;

export function addDown(program: Command, attach: Attach): void {
  const command = program
    .command('down')
    .description('end the daemon; returns once it is gone')
    .option('--close-vifs', 'on a Xen host: close guests’ vifs, instead of leaving them to a successor')
    .addHelpText(
      'after',
      `
On a Xen host guests' vifs stay connected: the next netferry up goes on with them, and so does kernel netback
(modprobe xen_netback). With --close-vifs guests see their interfaces go; see docs/xen.md.
`,
    );
  attach(command, (context) => down(context, command.opts<{ closeVifs?: boolean }>()));
}

async function down(
  { io, client, json, directory }: Context,
  options: { closeVifs?: boolean },
): Promise<undefined> {
  const { pid } = await client.status();
  await client.down({ closeVifs: options.closeVifs === true });
  const deadline = performance.now() + PATIENCE;
  while (isAlive(pid)) {
    if (performance.now() > deadline)
      throw new SetupError(
        `the daemon in ${directory} (pid ${pid}) still ends after ${PATIENCE / 1000} s`,
        'look at its log',
      );
    await sleep(POLL);
  }
  if (json) printJson(io, { ended: pid });
  else io.stdout.write(`the daemon (pid ${pid}) has ended\n`);
}

/** One that has ended may still wait for its parent to notice. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
