/** Starting a guest's process in network and pid namespaces of its own, and a user namespace when we are not root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SetupError } from '../sys/errors.js';
import type { TransferName } from '../transfer/transfer.js';
import type { GuestRequest } from './options.js';

export interface LaunchOptions {
  /** Socket on which the daemon makes domains. */
  readonly socket: string;
  readonly name: string;
  readonly mac?: string;
  readonly addresses?: readonly string[];
  readonly mtu?: number;
  readonly transfer?: TransferName;
  readonly queues?: number;
  readonly rate?: NonNullable<GuestRequest['rate']>;
  readonly strictIp?: boolean;
  /** Runs inside, on our terminal; the guest ends with it. */
  readonly command?: readonly string[];
  /** Lives on when we end. */
  readonly detach: boolean;
}

export interface GuestMainOptions {
  readonly socket: string;
  readonly request: GuestRequest;
  readonly command?: readonly string[];
}

export interface LaunchedGuest {
  readonly domid: number;
  /** Exit code of the command, or of the guest. */
  readonly exited: Promise<number>;
  stop(): void;
}

/** Resolves when eth0 is up and connected. Throws SetupError with the guest's or the daemon's words. */
export async function launchGuest(options: LaunchOptions): Promise<LaunchedGuest> {
  const { name, mac, addresses, mtu, transfer, queues, rate, strictIp } = options;
  const request: GuestRequest = {
    name,
    ...(mac !== undefined && { mac }),
    ...(addresses !== undefined && { addresses: [...addresses] }),
    ...(mtu !== undefined && { mtu }),
    ...(transfer !== undefined && { transfer }),
    ...(queues !== undefined && { queues }),
    ...(rate !== undefined && { rate }),
    ...(strictIp !== undefined && { strictIp }),
  };
  const main: GuestMainOptions = {
    socket: options.socket,
    request,
    ...(options.command && { command: options.command }),
  };
  // As pid 1 of its own pid namespace the guest takes everything inside with it when it dies, however it dies.
  const unshare = ['unshare', '--net', '--pid', '--fork', '--kill-child=KILL'];
  if (process.getuid?.() !== 0) unshare.push('--user', '--map-root-user');
  const argv = [
    ...unshare,
    '--',
    process.execPath,
    fileURLToPath(new URL('./main.js', import.meta.url)),
    JSON.stringify(main),
  ];
  if (!options.detach) argv.unshift('setpriv', '--pdeathsig', 'KILL', '--');
  const stdio = options.detach ? 'ignore' : 'inherit';
  const child = spawn(argv[0], argv.slice(1), {
    stdio: [stdio, stdio, stdio, 'pipe'],
    detached: options.detach,
  });
  const exited = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? (signal ? 137 : 1)));
  });
  const domid = await outcomeOf(child, exited);
  if (options.detach) child.unref();
  return { domid, exited, stop: () => stop(child.pid) };
}

/** unshare ignores SIGTERM while it waits for its child, which is the guest. */
function stop(unshare: number | undefined): void {
  try {
    const children = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8');
    for (const pid of children.split(' ').filter(Boolean)) process.kill(Number(pid), 'SIGTERM');
  } catch {
    // gone already
  }
}

async function outcomeOf(child: ChildProcess, exited: Promise<number>): Promise<number> {
  const missing = new Promise<never>((_, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new SetupError(
          `unshare: ${error.code ?? error.message}`,
          'install util-linux (unshare, nsenter, setpriv)',
        ),
      );
    });
  });
  const pipe = child.stdio[3] as Readable;
  let text = '';
  const told = (async () => {
    // One line; the pipe itself stays open in unshare, which waits beside the guest.
    for await (const chunk of pipe) {
      text += String(chunk);
      if (text.endsWith('\n')) return;
    }
  })();
  await Promise.race([told, missing]);
  const outcome =
    text === ''
      ? undefined
      : (JSON.parse(text) as { ok: boolean; domid: number; error: string; hint: string });
  if (outcome?.ok) return outcome.domid;
  if (outcome) throw new SetupError(outcome.error, outcome.hint);
  const code = await Promise.race([exited, missing]);
  const hint =
    'not root: user namespaces must be allowed (netferry doctor says); root: CAP_SYS_ADMIN is needed';
  throw new SetupError(`the guest's process ended before it was connected (exit code ${code})`, hint);
}
