/** `netferry attach DEV` and `netferry detach DEV`: kernel interfaces as ports. */
import type { Command } from 'commander';
import type { AttachRequest } from '../daemon/api.js';
import type { Attach, Context } from './context.js';
import { printJson } from './io.js';
import { collectAddresses, collectMacs, parseInterfaceName, parseLearn, parsePortName } from './options.js';

interface AttachOptions {
  readonly mac?: string[];
  /** True without a number. */
  readonly learn?: number | true;
  readonly address?: string[];
  readonly name?: string;
}

/** MACs that a port learns with a bare --learn: as many as a machine with containers of its own has. */
const LEARN_MANY = 256;

export function addPorts(program: Command, attach: Attach): void {
  const add = program
    .command('attach')
    .description('make an interface of the kernel a port: a VM’s tap, a container’s veth, vifX.Y, …')
    .argument('<device>', 'an interface in the daemon’s network namespace', parseInterfaceName)
    .option('--mac <mac>', 'a MAC behind it, several times if need be: it may send from these', collectMacs)
    .option('--learn [count]', `learn MACs from what it sends, ${LEARN_MANY} at most or so many`, parseLearn)
    .option(
      '--address <ip>',
      'it may be sender of this address (IP, ARP, ND), several times if need be',
      collectAddresses,
    )
    .option('--name <name>', 'what the port is called (default: as the device)', parsePortName)
    .addHelpText(
      'after',
      `
The interface is brought up and keeps its name. Frames go between it, the guests, the host and the wire by MAC, in the
kernel. With neither --mac nor --learn it learns the one MAC it sends from first. It is attached until it is
detached or the daemon ends: one that vanishes and comes back (a container that starts anew) is attached again.
Frames that are longer than its MTU allows are dropped (oversize), as a bridge drops them.
With an IPv6 --address its link-local address may be the one made of its MAC (EUI-64), which Linux makes unless told
otherwise; another one is given as an --address, too.

Examples:
  netferry attach veth7 --mac 02:00:5e:10:00:07 --address 10.1.0.7
  netferry attach vif3.0 --learn
`,
    );
  attach(add, (context) => attachPort(context, deviceOf(add), add.opts<AttachOptions>()));

  const remove = program
    .command('detach')
    .description('an interface is no port any more; it stays as it is')
    .argument('<device>', 'the interface, or the port’s name', parsePortName);
  attach(remove, (context) => detachPort(context, deviceOf(remove)));
}

const deviceOf = (command: Command) => (command.processedArgs as [string])[0];

async function attachPort(
  { io, client, json }: Context,
  device: string,
  options: AttachOptions,
): Promise<undefined> {
  const { mac, learn, address, name } = options;
  const request: AttachRequest = {
    device,
    ...(name === undefined ? {} : { name }),
    ...(mac === undefined ? {} : { macs: mac }),
    ...(learn === undefined ? {} : { learn: learn === true ? LEARN_MANY : learn }),
    ...(address === undefined ? {} : { addresses: address }),
  };
  const port = await client.attachPort(request);
  if (json) {
    printJson(io, port);
    return;
  }
  const macs = port.macs.length > 0 ? port.macs.join(' ') : 'learns its MAC';
  io.stdout.write(`${device} is attached${port.name === device ? '' : ` as ${port.name}`}: ${macs}\n`);
}

async function detachPort({ io, client, json }: Context, name: string): Promise<undefined> {
  await client.detachPort(name);
  if (json) printJson(io, { detached: name });
  else io.stdout.write(`${name} is detached\n`);
}
