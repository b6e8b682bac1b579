/** Netferry as a contestant: a daemon and two guests, in namespaces of the benchmark's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GuestInfo, Vif } from '../src/daemon/api.js';
import { ControlClient } from '../src/daemon/client.js';
import type { TransferName } from '../src/transfer/transfer.js';
import { end, Namespaces, Netns } from './netns.js';
import type { Rival, Running } from './rivals/rival.js';
import { tapsMissing } from './rivals/rival.js';

const BIN = fileURLToPath(new URL('../../bin/netferry.js', import.meta.url));

/** Ours while it runs: what the rivals have, and the daemon's own word. */
export interface RunningNetferry extends Running {
  /** The daemon's process; `pids` holds those of the guests, too. */
  readonly daemon: number;
  vifs(): Promise<Vif[]>;
}

/** Netferry's `start` also tells which process is the daemon. */
export interface Ourselves extends Rival {
  start(): Promise<RunningNetferry>;
}

export function netferry(transfer: TransferName): Ourselves {
  return {
    name: `netferry, ${transfer}`,
    notes: [`transfer ${transfer}`],
    missing: tapsMissing,
    start: () => start(transfer),
  };
}

async function start(transfer: TransferName): Promise<RunningNetferry> {
  const spaces = await Namespaces.open();
  const directory = mkdtempSync(join(tmpdir(), 'netferry-bench-'));
  const hub = await spaces.add();
  const daemon = hub.spawn([process.execPath, BIN, '--dir', directory, 'up', '--transfer', transfer]);
  daemon.stdout.resume();
  daemon.stderr.resume();
  const gone = new Promise((resolve) => daemon.once('exit', resolve));
  const stop = async () => {
    daemon.kill('SIGTERM');
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 10_000))]);
    await end(daemon);
    await spaces.close();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const client = new ControlClient({ directory, uid: process.getuid?.() ?? 0 });
    await until(async () => client.status());
    for (const name of ['a', 'b'])
      await hub.exec([process.execPath, BIN, '--dir', directory, 'guest', 'run', '-d', name]);
    const guests = await client.guests();
    const [a, b] = ['a', 'b'].map((name) => guests.find((guest) => guest.name === name)!);
    const bare = (guest: GuestInfo) => guest.addresses[0].split('/')[0];
    return {
      nsA: new Netns(a.pid),
      nsB: new Netns(b.pid),
      addressA: bare(a),
      addressB: bare(b),
      daemon: daemon.pid!,
      pids: [daemon.pid!, a.pid, b.pid],
      vifs: () => client.vifs(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function until<T>(probe: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
