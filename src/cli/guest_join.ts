/** `netferry guest join`: in a real Xen domain, our netfront instead of the kernel's. */
import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { SetupError } from '../sys/errors.js';
import type { Attach, Context } from './context.js';
import { exitCodeOf, printJson } from './io.js';
import { collectCidrs, parseInterfaceName, parseMtu, parseQueues, parseVif, UsageError } from './options.js';

interface JoinOptions {
  readonly vif: number;
  readonly dev: string;
  readonly ip?: string[];
  readonly mtu?: number;
  readonly queues?: number;
}

/** The back end went away under us; as an embedded guest says it. */
const EXIT_LOST = 3;

export function addGuestJoin(group: Command, attach: Attach): void {
  const join = group
    .command('join')
    .description('in a Xen domain: carry its vif by our netfront instead of the kernel’s')
    .usage('[options] [-- COMMAND…]')
    .option('--vif <number>', 'which of the domain’s vifs', parseVif, 0)
    .option('--dev <device>', 'the interface to make', parseInterfaceName, 'eth0')
    .option('--ip <cidr>', 'an address, several times if need be (default: none: ask DHCP)', collectCidrs)
    .option('--mtu <bytes>', 'of the interface (default: the toolstack’s)', parseMtu)
    .option('--queues <number>', 'as far as the back end takes them (default: 1)', parseQueues)
    .addHelpText(
      'after',
      `
The vif must not be the kernel's: where xen-netfront has it, unbind it first (the error says how). The interface lives
as long as COMMAND, or until Ctrl-C. All its pages are granted once and announced, so that a back end with
--transfer static (ours) maps them once. Needs the modules xen-evtchn, xen-gntdev, xen-gntalloc and tun.

Examples:
  netferry guest join --ip 10.1.0.2/24
  netferry guest join --vif 1 --dev eth1 -- dhclient -d eth1
`,
    );
  attach(join, (context) => joinVif(context, join.opts<JoinOptions>()), true);
}

async function joinVif({ io, json, tail }: Context, options: JoinOptions): Promise<number> {
  if (tail?.length === 0)
    throw new UsageError('there is no command after --', 'netferry guest join -- COMMAND…');
  const { joinOwnVif } = await import('../guest/xen_guest.js');
  const { vif, dev: device, ip: addresses = [], mtu, queues } = options;
  let stop = () => {};
  const stopped = new Promise<number>((resolve) => {
    stop = () => resolve(0);
  });
  // From the terminal Ctrl-C is the command's to answer, and we end with it.
  const release = io.onStop((reason) => {
    if (!tail || (reason !== 'SIGINT' && reason !== 'EPIPE')) stop();
  });
  try {
    const guest = await joinOwnVif({
      vif,
      device,
      addresses,
      ...(mtu === undefined ? {} : { mtu }),
      ...(queues === undefined ? {} : { queues }),
    });
    const { mac } = guest;
    if (json) printJson(io, { vif, device, mac, addresses, announced: guest.announced });
    else if (!tail)
      io.stdout.write(`vif ${vif} is up: ${[device, mac, ...addresses].join(' ')}; Ctrl-C ends it\n`);
    const lost = guest.lost.then((why) => {
      io.stderr.write(`netferry: vif ${vif}: ${why}\n`);
      return EXIT_LOST;
    });
    const code = await Promise.race([stopped, lost, ...(tail ? [run(tail)] : [])]);
    await Promise.race([
      guest.close(code !== EXIT_LOST),
      new Promise((resolve) => setTimeout(resolve, 3000)),
    ]);
    return code;
  } finally {
    release();
  }
}

async function run([program, ...rest]: readonly string[]): Promise<number> {
  try {
    return await exitCodeOf(spawn(program, rest, { stdio: 'inherit' }));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new SetupError(`cannot run ${program}: ${code}`, '', { cause });
  }
}
