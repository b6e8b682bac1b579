/** `netferry guest run | list | exec | rm` */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type GuestInfo, HYPERVISOR_SOCKET } from '../daemon/api.js';
import type { LaunchOptions } from '../guest/launch.js';
import { SetupError } from '../sys/errors.js';
import type { Attach, Context } from './context.js';
import { addGuestJoin } from './guest_join.js';
import { exitCodeOf, note, painter, printJson } from './io.js';
import {
  collectCidrs,
  parseGuestName,
  parseMac,
  parseMtu,
  parseQueues,
  parseRate,
  parseTransfer,
  TRANSFERS,
  type TransferName,
  UsageError,
} from './options.js';
import { table } from './text.js';

interface RunOptions {
  readonly mac?: string;
  readonly ip?: string[];
  readonly mtu?: number;
  readonly transfer?: TransferName;
  readonly queues?: number;
  readonly rate?: { readonly bytes: number; readonly interval: number };
  readonly strictIp?: boolean;
  readonly detach?: boolean;
}

export function addGuest(program: Command, attach: Attach): void {
  const group = program
    .command('guest')
    .description('embedded guests: processes with a network of their own');
  const run = group
    .command('run')
    .description('start a guest; its eth0 is a Xen netfront on the daemon’s netback')
    .usage('[options] NAME [-- COMMAND…]')
    .argument('<name>', 'what it is called', parseGuestName)
    .option('--mac <mac>', 'its MAC address (default: the daemon chooses)', parseMac)
    .option(
      '--ip <cidr>',
      'an address, several times if need be (default: of the host port’s networks; without one none: ask DHCP)',
      collectCidrs,
    )
    .option('--mtu <bytes>', 'of eth0 (default: the host port’s)', parseMtu)
    .option('--transfer <name>', `${TRANSFERS.join(', ')} (default: the daemon’s)`, parseTransfer)
    .option(
      '--queues <number>',
      'queues of its vif, as far as the daemon offers them (default: 1)',
      parseQueues,
    )
    .option('--rate <rate>', 'what it may send, as 10Mb/s or 1MB/s@20ms (default: no limit)', parseRate)
    .option('--strict-ip', 'it may be sender of its own addresses only (IP, ARP, ND)')
    .option('-d, --detach', 'return once its network is up')
    .addHelpText(
      'after',
      `
Without --detach the guest lives as long as COMMAND, or until Ctrl-C. COMMAND's exit code is passed on.

Examples:
  netferry guest run web --ip 10.1.0.2/24 -d
  netferry guest run shell -- bash
  netferry guest run tenant --rate 100Mb/s --strict-ip -d
  netferry guest run big --mtu 9000 --transfer grant-copy -- iperf3 -s
`,
    );
  attach(run, (context) => runGuest(context, nameOf(run), run.opts<RunOptions>()), true);

  addGuestJoin(group, attach);

  const list = group.command('list').description('the guests there are');
  attach(list, listGuests);

  const exec = group
    .command('exec')
    .description('run a command inside a guest, with its network')
    .usage('NAME -- COMMAND…')
    .argument('<name>', 'which guest', parseGuestName)
    .addHelpText(
      'after',
      `
The command's exit code is passed on. With --json its output is collected: { exit, stdout, stderr }.

Examples:
  netferry guest exec web -- ip addr
  netferry guest exec web -- ping -c 3 10.1.0.1
`,
    );
  attach(exec, (context) => execInGuest(context, nameOf(exec)), true);

  const rm = group
    .command('rm')
    .description('end guests; returns once they are gone')
    .argument('<names...>', 'which guests');
  attach(rm, (context) => removeGuests(context, (rm.processedArgs as [string[]])[0].map(parseGuestName)));
}

const nameOf = (command: Command) => (command.processedArgs as [string])[0];

async function runGuest(context: Context, name: string, options: RunOptions): Promise<number> {
  const { io, json, directory, client, tail } = context;
  if (tail?.length === 0)
    throw new UsageError('there is no command after --', 'netferry guest run NAME -- COMMAND…');
  if (json && tail && !options.detach) {
    throw new UsageError(
      '--json would mix with what the command prints',
      'run it with --detach, or by guest exec --json',
    );
  }
  await mustMakeGuests(context, name); // no daemon: say so before anything is made
  const { launchGuest } = await import('../guest/launch.js');
  const wanted: LaunchOptions = {
    socket: join(directory, HYPERVISOR_SOCKET),
    name,
    detach: options.detach === true,
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    ...(options.ip === undefined ? {} : { addresses: options.ip }),
    ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    ...(options.transfer === undefined ? {} : { transfer: options.transfer }),
    ...(options.queues === undefined ? {} : { queues: options.queues }),
    ...(options.rate === undefined ? {} : { rate: options.rate }),
    ...(options.strictIp === undefined ? {} : { strictIp: options.strictIp }),
    ...(tail === undefined ? {} : { command: [...tail] }),
  };
  // From the first moment on, Ctrl-C ends the guest and not only us. While a command of ours has the terminal,
  // Ctrl-C is its own affair; what is sent to us alone is passed on.
  let stop = () => {};
  let stopped = false;
  const release = io.onStop((reason) => {
    if (tail && (reason === 'SIGINT' || reason === 'EPIPE')) return;
    stopped = true;
    stop();
  });
  try {
    const guest = await launchGuest(wanted);
    stop = () => guest.stop();
    if (stopped) guest.stop();
    if (options.detach || !tail) {
      const info = await client.guest(name);
      if (json) printJson(io, info);
      else io.stdout.write(`${guestLine(info)}${options.detach ? '' : '; Ctrl-C ends it'}\n`);
      if (options.detach) return 0;
    }
    const code = await guest.exited;
    return stopped && !tail ? 0 : code;
  } finally {
    release();
  }
}

/** Throws SetupError where the daemon makes none. */
async function mustMakeGuests({ client }: Context, name: string): Promise<void> {
  const { platform } = await client.status();
  if (platform !== 'native') return;
  throw new SetupError(
    'this daemon serves a Xen host: its guests are made by the toolstack',
    `xl create ${name}.cfg; or a daemon of its own: netferry --dir /tmp/mine up --platform embedded`,
  );
}

function guestLine({ name, domid, mac, addresses, mtu }: GuestInfo): string {
  return `guest ${name} is up: domain ${domid}, eth0 ${[mac, ...addresses].join(' ')}, MTU ${mtu}`;
}

async function listGuests({ io, client, json }: Context): Promise<undefined> {
  const guests = await client.guests();
  if (json) {
    printJson(io, guests);
    return;
  }
  const paint = painter(io, io.stdout);
  const native = guests.length === 0 && (await client.status()).platform === 'native';
  if (native)
    note(io, 'the guests of a Xen host are its toolstack’s: xl list; their vifs: netferry vif list');
  else if (guests.length === 0) note(io, 'no guests; start one: netferry guest run NAME');
  const rows = guests.map((guest) => [
    guest.name,
    String(guest.domid),
    String(guest.pid),
    guest.mac,
    guest.addresses.join(' ') || '-',
    String(guest.mtu),
    paint(guest.state === 'connected' ? 'green' : 'yellow', guest.state),
    guest.transfer,
  ]);
  const head = ['NAME', 'DOMAIN', 'PID', 'MAC', 'ADDRESSES', 'MTU', 'STATE', 'TRANSFER'];
  io.stdout.write(
    table(
      head.map((title) => paint('dim', title)),
      rows,
      [1, 2, 5],
    ),
  );
}

async function execInGuest({ io, client, json, tail }: Context, name: string): Promise<number> {
  if (tail === undefined || tail.length === 0) {
    throw new UsageError('there is no command to run', `netferry guest exec ${name} -- COMMAND…`);
  }
  const guest = await client.guest(name);
  const { enterCommand } = await import('../guest/enter.js');
  const [file, ...args] = enterCommand(guest.pid, tail);
  const child = spawn(file, args, { stdio: json ? ['inherit', 'pipe', 'pipe'] : 'inherit' });
  const printed = json ? Promise.all([textOf(child.stdout), textOf(child.stderr)]) : undefined;
  // A terminal sends Ctrl-C to the command as well, so we only wait for it; what is sent to us alone goes on.
  const release = io.onStop((reason) => {
    if (reason !== 'SIGINT' && reason !== 'EPIPE') terminate(child.pid);
  });
  try {
    const exit = await exitCodeOf(child);
    if (printed) {
      const [stdout, stderr] = await printed;
      printJson(io, { exit, stdout, stderr });
    }
    return exit;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new SetupError(`cannot run ${file}: ${code}`, 'install it: apt-get install util-linux', { cause });
  } finally {
    release();
  }
}

/** SIGTERM for nsenter's child, if it made one (it keeps the signal to itself), or for the process itself. */
function terminate(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    for (const one of children.length > 0 ? children.map(Number) : [pid]) process.kill(one, 'SIGTERM');
  } catch {} // it has just ended
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  stream?.setEncoding('utf8');
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

async function removeGuests({ io, client, json }: Context, names: readonly string[]): Promise<undefined> {
  const wanted = [...new Set(names)];
  await client.named(wanted); // all of them, or none
  for (const name of wanted) {
    await client.removeGuest(name);
    if (!json) io.stdout.write(`guest ${name} is gone\n`);
  }
  if (json) printJson(io, { removed: wanted });
}
