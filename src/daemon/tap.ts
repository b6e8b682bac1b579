/** A tap of the daemon's own as a port of the datapath: a queue of it for each thread. */
import { closeSync } from 'node:fs';
import { HEADER_READ } from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import { type PortCounters, readCounters } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import type { TapSpec } from '../shard/spec.js';
import type { Threads } from '../shard/threads.js';
import { openTap, openTapQueue } from '../sys/tun.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import type { Undo } from './undo.js';
import type { PortIds } from './vifs.js';

/** Frames of the kernel's in flight at most. */
const BUFFERS = 96;

/** Where ports are made. */
export interface Datapath {
  readonly arena: Arena;
  readonly threads: Threads;
  readonly ports: PortIds;
}

export interface AttachedTap {
  readonly io: 'io_uring' | 'plain';
  readonly counters: () => PortCounters;
}

/** Creates a tap with a queue for each thread; descriptors that `undo` closes. Throws as openTap. */
export function createTap({ threads }: Datapath, name: string, undo: Undo): number[] {
  const multiQueue = threads.shards.length > 1;
  const fds: number[] = [];
  undo.push(() => {
    for (const fd of fds) closeSync(fd);
  });
  fds.push(openTap(name, { multiQueue }).fd);
  while (fds.length < threads.shards.length) fds.push(openTapQueue(name));
  return fds;
}

/**
 * Attaches a tap by its queues (createTap), which stay the caller's. What was made is taken back by `undo`, also when this
 * throws.
 */
export async function attachTap(
  { arena, threads, ports }: Datapath,
  {
    fds,
    ...tap
  }: Pick<TapSpec, 'name' | 'mac' | 'uplink' | 'isolated'> & { readonly fds: readonly number[] },
  undo: Undo,
): Promise<AttachedTap> {
  const allocate = (bytes: number) => {
    const address = arena.allocate(bytes, tap.name);
    undo.push(() => arena.free(address, bytes));
    return address;
  };
  const id = ports.take();
  undo.push(() => ports.give(id));
  const parts = fds.map((fd, thread) => {
    const block = allocate(PORT_BLOCK);
    const memory = allocate(TAP_MEMORY);
    const buffers = allocate(stackSize(BUFFERS));
    fillBuffers(arena, buffers, allocate(BUFFERS * 65536), BUFFERS);
    const spec: TapSpec = { ...tap, kind: 'tap', id, fd, block, memory, buffers, header: HEADER_READ };
    return { thread, spec };
  });
  const { io = 'plain' } = await threads.attach(id, tap.mac, parts);
  undo.push(() => threads.detach(id));
  const blocks = parts.map(({ spec }) => spec.block);
  return { io, counters: () => readCounters(arena, ...blocks) };
}
