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
import { grantRam } from './granted_ram.js';
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

  const arena = Arena.create(ARENA_SIZE);
  const loops = instantiateLoops(arena);
  const platform = new NativePlatform(arena, loops);
  const ram = grantRam(arena, Number(backend));
  const shard = new Shard(arena, platform);
  const fail = (error: Error) => {
    process.stderr.write(`netferry: the datapath failed: ${error.stack ?? error.message}\n`);
    process.exit(1);
  };
  shard.onFailure = fail;
  const undo = async () => {
    await shard.close();
    ram.close();
    platform.close();
    store.close();
  };
  const { mac } = offer;
  let announced: number;
  try {
    const mtu = options.mtu ?? Number((await store.tryRead(`${directory}/mtu`)) ?? MTU);
    const { addresses } = options;
    const tap = openGuestInterface(options.device, { mac, mtu, addresses: [...addresses], gateway: [] });
    const { events } = shard;
    announced = await link({
      arena,
      loops,
      shard,
      ram,
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

/** The driver that the kernel has bound to a vif of ours, if any. */
function kernelDriver(vif: number): string | undefined {
  const path = `/sys/bus/xen/devices/vif-${vif}/driver`;
  return existsSync(path) ? basename(readlinkSync(path)) : undefined;
}
