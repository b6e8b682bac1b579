/** Netferry itself between two namespaces: a daemon and two guests, all of this measurement's own. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Vif } from '../../daemon/api.js';
import { ControlClient } from '../../daemon/client.js';
import type { TransferName } from '../../transfer/transfer.js';
import { end, Namespaces, Netns } from './netns.js';
import type { Running } from './running.js';

const BIN = fileURLToPath(new URL('../../../../bin/netferry.js', import.meta.url));

/** Ours while it runs: what others have, and the daemon's own word. */
export interface RunningNetferry extends Running {
  /** The daemon's process; `pids` holds those of the guests, too. */
  readonly daemon: number;
  /** The daemon's namespace, where its host port is; and the host port's address. */
  readonly hub: Netns;
  readonly addressHub: string;
  vifs(): Promise<Vif[]>;
}

export interface NetferryOptions {
  /** Arguments of the daemon's Node, as `--perf-basic-prof`. */
  readonly node?: readonly string[];
  /** Further arguments of `netferry up`. */
  readonly up?: readonly string[];
  /** What the daemon's namespace needs before it starts, as an interface for --uplink. */
  readonly prepare?: (hub: Netns) => Promise<void>;
  /** Arguments of `netferry guest run -d`, a guest a list. Default: guests a and b with addresses of the daemon's choice. */
  readonly guests?: readonly (readonly string[])[];
  /** Ends everything at once when it is aborted. */
  readonly signal?: AbortSignal;
}

/** A daemon with its guests; A and B are the first two (the same where there is one). Throws SetupError, leaving nothing behind. */
export async function startNetferry(
  transfer: TransferName,
  options: NetferryOptions = {},
): Promise<RunningNetferry> {
  const spaces = await Namespaces.open();
  const directory = mkdtempSync(join(tmpdir(), 'netferry-traffic-'));
  let stopDaemon = async () => {};
  let stopped: Promise<void> | undefined;
  const everything = async () => {
    await stopDaemon();
    await spaces.close();
    rmSync(directory, { recursive: true, force: true });
  };
  const stop = () => {
    options.signal?.removeEventListener('abort', stop);
    stopped ??= everything();
    return stopped;
  };
  options.signal?.addEventListener('abort', stop);
  try {
    options.signal?.throwIfAborted();
    const hub = await spaces.add();
    await options.prepare?.(hub);
    options.signal?.throwIfAborted(); // `stop` has run already then, and would not see the daemon
    const program = [process.execPath, ...(options.node ?? []), BIN, '--dir', directory];
    const daemon = hub.spawn([
      ...program,
      'up',
      '--platform',
      'embedded',
      '--transfer',
      transfer,
      ...(options.up ?? []),
    ]);
    daemon.stdout.resume();
    daemon.stderr.resume();
    stopDaemon = () => endGently(daemon);
    const client = new ControlClient({ directory, uid: process.getuid?.() ?? 0 });
    const status = await until(async () => client.status(), options.signal);
    const wanted = options.guests ?? [['a'], ['b']];
    for (const guest of wanted) {
      const run = [process.execPath, BIN, '--dir', directory, 'guest', 'run', '-d', ...guest];
      await hub.exec(run, 30_000, options.signal);
    }
    const guests = await client.guests();
    const [a, b = a] = wanted.map(([name]) => guests.find((guest) => guest.name === name)!);
    return {
      nsA: new Netns(a.pid),
      nsB: new Netns(b.pid),
      addressA: bare(a.addresses),
      addressB: bare(b.addresses),
      hub,
      addressHub: bare(status.host?.addresses ?? ['']),
      daemon: daemon.pid!,
      pids: [daemon.pid!, ...guests.map((guest) => guest.pid)],
      vifs: () => client.vifs(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first address, without its prefix length. */
const bare = (addresses: readonly string[]) => addresses[0].split('/')[0];

/** SIGTERM, so that it ends its guests; after ten seconds it is killed. */
async function endGently(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const gone = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGTERM');
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, 10_000);
  });
  await Promise.race([gone, late]);
  clearTimeout(timer);
  await end(daemon);
}

async function until<T>(probe: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      signal?.throwIfAborted();
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
