/**
 * Our netfront in a real Xen domain, in place of its kernel's: rings and pages from gntalloc, event channels from
 * evtchn, and eth0 a tap. It announces its pages, so that a back end with the transfer "static" maps them once.
 */
import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { XenbusStateInitialising } from '../abi/xenbus.js';
import { Arena } from '../arena/arena.js';
import { instantiateLoops } from '../arena/loops.js';
import { Frontend } from '../netif/frontend.js';
import { Shard } from '../shard/shard.js';
import { SetupError } from '../sys/errors.js';
import { NativePlatform } from '../xen/native/platform.js';
import { openNativeXenstore } from '../xen/native/xenstore.js';
import type { XenStore } from '../xen/xenstore.js';
import { type GrantedRam, grantRam } from './granted_ram.js';
import type { RunningGuest } from './guest.js';
import { announce, openGuestInterface } from './interface.js';
import { link, lost } from './link.js';

const ARENA_SIZE = 64 * 2 ** 20;
const MTU = 1500;

export interface XenGuestOptions {
  /** Number of the vif, as in `device/vif/0`. */
  readonly vif: number;
  /** The interface to make. */
  readonly device: string;
  readonly addresses: readonly string[];
  /** Default: the toolstack's word, else 1500. */
  readonly mtu?: number;
  /** Default 1; fewer where the back end takes no more. */
  readonly queues?: number;
}

export interface RunningXenGuest extends RunningGuest {
  readonly mac: string;
  /** Pages that the back end keeps mapped: 0 where its transfer is not "static". */
  readonly announced: number;
}

/** Connects a vif of the domain that we run in. Throws SetupError. */
export async function joinOwnVif(options: XenGuestOptions): Promise<RunningXenGuest> {
  const store = await openNativeXenstore();
  try {
    return await joinVif(store, options);
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Connects this domain's vif. `store`: this domain's, ours from here on. Throws SetupError. */
export async function joinVif(store: XenStore, options: XenGuestOptions): Promise<RunningXenGuest> {
  const directory = `device/vif/${options.vif}`;
  const owner = kernelDriver(options.vif);
  if (owner !== undefined)
    throw new SetupError(
      `vif ${options.vif} is the kernel's (${owner})`,
      `let go of it: echo vif-${options.vif} > /sys/bus/xen/drivers/${owner}/unbind`,
    );
  const backend = await store.tryRead(`${directory}/backend-id`);
  if (backend === undefined)
    throw new SetupError(`this domain has no vif ${options.vif}`, 'xl network-attach gives it one');
  const frontend = new Frontend(store, directory);
  if ((await store.tryRead(`${directory}/state`)) !== String(XenbusStateInitialising)) await frontend.reset();
  const offer = await frontend.discover();

  const arena = Arena.create((options.queues ?? 1) * ARENA_SIZE);
  const loops = instantiateLoops(arena);
  const platform = new NativePlatform(arena, loops);
  const count = Math.min(options.queues ?? 1, offer.queues);
  const queues = grantQueues(arena, Number(backend), count);
  const shard = new Shard(arena, platform);
  const fail = (error: Error) => {
    process.stderr.write(`netferry: the datapath failed: ${error.stack ?? error.message}\n`);
    process.exit(1);
  };
  shard.onFailure = fail;
  const undo = async () => {
    await shard.close();
    for (const queue of queues) queue.close();
    platform.close();
    store.close();
  };
  const { mac } = offer;
  let announced: number;
  try {
    const mtu = options.mtu ?? Number((await store.tryRead(`${directory}/mtu`)) ?? MTU);
    const { addresses } = options;
    const settings = { mac, mtu, addresses: [...addresses], gateway: [] };
    const tap = openGuestInterface(options.device, settings, count);
    const { events } = shard;
    announced = await link({
      arena,
      loops,
      shard,
      queues,
      tap,
      frontend,
      offer,
      openChannel: () => events.channel(events.bindUnbound(Number(backend))),
      notifier: ({ port }) => events.notifier(port),
    });
    announce(tap.name, mac);
  } catch (error) {
    await undo();
    throw error;
  }
  return {
    mac,
    announced,
    lost: lost(shard, frontend, store.closed, 'xenstore'),
    close: async (orderly) => {
      if (orderly) await frontend.close().catch(() => {}); // a back end that goes meanwhile needs no good-bye
      await undo();
    },
  };
}

/** Pages for each queue. Throws what grantRam throws; nothing is left then. */
function grantQueues(arena: Arena, backend: number, count: number): GrantedRam[] {
  const queues: GrantedRam[] = [];
  try {
    while (queues.length < count) queues.push(grantRam(arena, backend));
  } catch (error) {
    for (const queue of queues) queue.close();
    throw error;
  }
  return queues;
}

/** The driver that the kernel has bound to a vif of ours, if any. */
function kernelDriver(vif: number): string | undefined {
  const path = `/sys/bus/xen/devices/vif-${vif}/driver`;
  return existsSync(path) ? basename(readlinkSync(path)) : undefined;
}
