/** `netferry up`: the daemon in the foreground. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { CONTROL_SOCKET, type Status } from '../daemon/api.js';
import type { Claim } from '../daemon/claim.js';
import type { DaemonOptions, HostDriver } from '../daemon/options.js';
import { SetupError } from '../sys/errors.js';
import { type Attach, type Context, ENTRY } from './context.js';
import { exitCodeOf, note, printJson } from './io.js';
import { freeNetwork } from './network.js';
import {
  collectCidrs,
  HOST_DRIVERS,
  PLATFORMS,
  parseAgeing,
  parseHostDriver,
  parseInterfaceName,
  parseMode,
  parseMtu,
  parsePlatform,
  parseQueues,
  parseThreads,
  parseTransfer,
  TRANSFERS,
  type TransferName,
  UsageError,
} from './options.js';

interface UpOptions {
  readonly host: boolean;
  readonly hostName?: string;
  readonly hostIp?: string[];
  readonly hostDriver?: HostDriver;
  readonly mtu?: number;
  readonly uplink?: string;
  readonly throughUplink?: boolean;
  readonly mode?: 'tcx' | 'clsact';
  readonly ageing?: number;
  readonly transfer?: TransferName;
  readonly platform: 'auto' | 'embedded' | 'native';
  readonly closeVifs?: boolean;
  readonly queues?: number;
  readonly threads?: number;
  readonly logJson?: boolean;
  readonly rootless?: boolean;
}

const HOST_NAME = 'nf0';
const HOST_MTU = 1500;

export function addUp(program: Command, attach: Attach): void {
  const command = program
    .command('up')
    .description('run the daemon in the foreground, until SIGTERM or Ctrl-C')
    .option(
      '--uplink <device>',
      'join the network behind this interface, which stays as it is; the host port is then left out',
      parseInterfaceName,
    )
    .option(
      '--host-ip <cidr>',
      'an address of the host port, several times if need be (default: a free private network)',
      collectCidrs,
    )
    .option('--host-name <name>', `the host port’s interface (default: ${HOST_NAME})`, parseInterfaceName)
    .option(
      '--host-driver <name>',
      `on a Xen host, what the host port is: ${HOST_DRIVERS.join(' or ')} (default: tap; docs/xen.md compares them)`,
      parseHostDriver,
    )
    .option('--no-host', 'without a host port')
    .option(
      '--mtu <bytes>',
      `the host port’s MTU, and guests’ (default: the uplink’s, or ${HOST_MTU})`,
      parseMtu,
    )
    .option(
      '--transfer <name>',
      `how guests’ bytes are moved: ${TRANSFERS.join(', ')} (default: persistent; on a Xen host grant-copy)`,
      parseTransfer,
    )
    .option(
      '--platform <name>',
      `where guests live: ${PLATFORMS.join(', ')}; auto is native on a Xen host`,
      parsePlatform,
      'auto',
    )
    .option(
      '--close-vifs',
      'on a Xen host: close guests’ vifs at the end, instead of leaving them to a successor',
    )
    .option(
      '--queues <number>',
      'queues that a guest may have (default: as there are CPUs, 4 at most)',
      parseQueues,
    )
    .option(
      '--threads <number>',
      'datapath threads; a guest’s queues are spread over them (default: 1)',
      parseThreads,
    )
    .option(
      '--through-uplink',
      'guests’ frames for the wire always pass through the uplink (default: they skip a veth that nothing filters)',
    )
    .option('--mode <how>', 'attach eBPF by tcx or clsact (default: tcx where the kernel has it)', parseMode)
    .option('--ageing <seconds>', 'until a learned MAC is forgotten (default: 300)', parseAgeing)
    .option('--log-json', 'log as JSON lines')
    .addOption(new Option('--rootless', 'inside the namespaces already').hideHelp())
    .addHelpText(
      'after',
      `
With --uplink guests are on the physical network and reach the host at its addresses there. The host port is made only
when --host-ip or --host-name asks for it: a network of its own between host and guests.

On a Xen host (dom0 or a driver domain) the guests are Xen's: each vif that a toolstack makes is served. When the daemon
ends, vifs stay connected, and the next one goes on with them: guests notice a pause. See docs/xen.md.

Without root the daemon runs in user and network namespaces of its own: guests reach each other and the host
port, but the host port is not on this machine's network.

Examples:
  netferry up --uplink eth0
  netferry up --host-ip 10.1.0.1/24 --host-ip fd00:1::1/64
  netferry up --dir /tmp/mine --no-host
`,
    );
  attach(command, (context) => up(context, command.opts<UpOptions>()));
}

async function up(context: Context, options: UpOptions): Promise<number> {
  if (!options.host && (options.hostIp || options.hostName || options.mtu)) {
    throw new UsageError('--no-host leaves nothing to name, address or size', 'drop --no-host, or the other');
  }
  if (options.hostDriver !== undefined && !options.host)
    throw new UsageError('--no-host leaves no port to drive', 'drop --no-host, or --host-driver');
  if (options.hostDriver === 'netfront' && options.uplink !== undefined)
    throw new UsageError(
      '--host-driver netfront does not go with --uplink',
      'leave it out: the port is a tap then',
    );
  const { io, directory } = context;
  if (options.uplink !== undefined) {
    const { lackingCapabilities } = await import('../daemon/doctor.js');
    const lacking = io.uid === 0 ? lackingCapabilities(true) : [];
    if (options.rootless || io.uid !== 0 || lacking.length > 0) throw withoutRoot(options.uplink, lacking);
  }
  // Before anything else: from here on nobody else starts, or cleans up, in this directory.
  const { claimDirectory } = await import('../daemon/claim.js');
  const claim = await claimDirectory(directory, io.uid);
  try {
    if (claim.tookOver) note(io, `${directory}: taking over from a daemon that did not clean up`);
    return await upIn(context, options, claim);
  } catch (error) {
    claim.release();
    throw error;
  }
}

async function upIn(context: Context, options: UpOptions, claim: Claim): Promise<number> {
  const { io, directory } = context;
  const { canMakeTaps, userNamespaceProblem } = await import('../daemon/doctor.js');
  const { choosePlatform, whyNotNative } = await import('../daemon/xen_host.js');
  if (!canMakeTaps(io.uid) && !options.rootless) {
    if (options.platform === 'native') choosePlatform('native', false);
    const problem = userNamespaceProblem();
    if (problem !== undefined) {
      throw new SetupError(
        `you are not root, and this system gives you no user namespace (${problem})`,
        'run it as root: sudo netferry up; or see: netferry doctor',
      );
    }
    claim.release(); // the daemon itself claims it, in the namespace
    return upInNamespace(context);
  }
  const { startDaemon } = await import('../daemon/daemon.js');
  const wanted = options.uplink === undefined || options.hostIp || options.hostName;
  const host: DaemonOptions['host'] =
    options.host && wanted
      ? {
          name: options.hostName ?? HOST_NAME,
          addresses: options.hostIp ?? freeNetwork(0).host,
          mtu: options.mtu ?? HOST_MTU,
          ...(options.hostDriver === undefined ? {} : { driver: options.hostDriver }),
        }
      : null;
  const platform = choosePlatform(options.platform, !options.rootless && canMakeTaps(io.uid));
  const why = platform === 'embedded' && options.platform === 'auto' ? whyNotNative() : undefined;
  if (options.hostDriver === 'netfront' && platform !== 'native')
    throw new UsageError(
      '--host-driver netfront needs a Xen host',
      'leave it out: the host port is a tap then',
    );
  if (why !== undefined) note(io, `Xen’s own guests are not served: ${why}`);
  const stop = stopRequest(context);
  const daemon = await startDaemon(
    {
      directory,
      host,
      kernel: {
        ...(options.uplink === undefined ? {} : { uplink: options.uplink }),
        ...(options.throughUplink ? { throughUplink: true } : {}),
        ...(options.mode === undefined ? {} : { mode: options.mode }),
        ...(options.ageing === undefined ? {} : { ageing: options.ageing }),
      },
      ...(options.mtu === undefined ? {} : { guestMtu: options.mtu }),
      ...(options.transfer === undefined ? {} : { transfer: options.transfer }),
      platform,
      closeVifs: options.closeVifs === true,
      ...(options.queues === undefined ? {} : { queues: options.queues }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      log: options.logJson ? 'json' : 'pretty',
      rootless: options.rootless === true,
    },
    claim,
  );
  const status = await daemon.status();
  if (context.json) printJson(io, status);
  else io.stdout.write(`${readyLine(status)}\n`);
  await Promise.race([daemon.closed, stop.requested]);
  const closed = daemon.close().then(() => (daemon.failed ? 1 : 0));
  const code = await Promise.race([closed, stop.insisted]);
  stop.release();
  return code;
}

/** `lacking`: what one who is root by name has not. */
function withoutRoot(uplink: string, lacking: readonly string[]): SetupError {
  if (lacking.length > 0) {
    return new SetupError(
      `there is no way to ${uplink} without ${lacking.join(', ')}`,
      'give them to the container or service that this runs in',
    );
  }
  return new SetupError(
    `without root there is no way to ${uplink}`,
    'run it as root: sudo netferry up --uplink …',
  );
}

function readyLine({ version, pid, host, uplink, directory, xen }: Status): string {
  const place = xen ? `serving Xen guests from domain ${xen.domid}, ` : '';
  const wire = uplink ? `uplink ${uplink.name} by ${uplink.mode}, ` : '';
  const port = host ? `host port ${[host.name, ...host.addresses].join(' ')}` : 'no host port';
  return `netferry ${version} is up: pid ${pid}, ${place}${wire}${port}, control ${join(directory, CONTROL_SOCKET)}`;
}

interface StopRequest {
  readonly requested: Promise<void>;
  /** Asked a second time: whoever it is will not wait for an orderly end. Resolves with the exit code. */
  readonly insisted: Promise<number>;
  release(): void;
}

/** A daemon does not end because the reader of its output has. */
function stopRequest({ io }: Context): StopRequest {
  let release = () => {};
  let first = () => {};
  const requested = new Promise<void>((resolve) => {
    first = resolve;
  });
  let times = 0;
  const insisted = new Promise<number>((resolve) => {
    release = io.onStop((reason) => {
      if (reason === 'EPIPE') return;
      if (times++ === 0) first();
      else resolve(1);
    });
  });
  return { requested, insisted, release };
}

/** Runs this same command once more as root of new user and network namespaces; ends when it ends. */
async function upInNamespace(context: Context): Promise<number> {
  const { io, directory, argv } = context;
  note(io, 'not root: the daemon and its host port live in a network namespace of their own');
  // The channel is a lifeline: when this process dies, the daemon sees it closed.
  const child = spawn(
    'unshare',
    [
      '--user',
      '--map-root-user',
      '--net',
      process.execPath,
      ENTRY,
      ...argv,
      '--dir',
      directory,
      '--rootless',
    ],
    { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] },
  );
  const release = io.onStop((reason) => {
    if (reason !== 'EPIPE') child.kill('SIGTERM');
  });
  try {
    return await exitCodeOf(child);
  } finally {
    release();
  }
}
