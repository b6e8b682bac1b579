/** A tap of the daemon's own as a port of the datapath. */
import { HEADER_READ } from '../../assembly/tap_layout.js';
import type { Arena } from '../arena/arena.js';
import { type PortCounters, readCounters } from '../datapath/counters.js';
import { PORT_BLOCK } from '../datapath/frames.js';
import type { Shard } from '../shard/shard.js';
import type { TapSpec } from '../shard/spec.js';
import { fillBuffers, stackSize, TAP_MEMORY } from '../tap/tap_port.js';
import type { Undo } from './undo.js';
import type { PortIds } from './vifs.js';

/** Frames of the kernel's in flight at most. */
const BUFFERS = 96;

/** Where ports are made. */
export interface Datapath {
  readonly arena: Arena;
  readonly shard: Shard;
  readonly ports: PortIds;
}

export interface AttachedTap {
  readonly io: 'io_uring' | 'plain';
  readonly counters: () => PortCounters;
}

/** Attaches an open tap, which stays the caller's. What was made is taken back by `undo`, also when this throws. */
export async function attachTap(
  { arena, shard, ports }: Datapath,
  tap: Pick<TapSpec, 'name' | 'fd' | 'mac' | 'uplink' | 'isolated'>,
  undo: Undo,
): Promise<AttachedTap> {
  const allocate = (bytes: number) => {
    const address = arena.allocate(bytes, tap.name);
    undo.push(() => arena.free(address, bytes));
    return address;
  };
  const block = allocate(PORT_BLOCK);
  const memory = allocate(TAP_MEMORY);
  const buffers = allocate(stackSize(BUFFERS));
  fillBuffers(arena, buffers, allocate(BUFFERS * 65536), BUFFERS);
  const id = ports.take();
  undo.push(() => ports.give(id));
  const spec = { ...tap, kind: 'tap', id, block, memory, buffers, header: HEADER_READ } as const;
  const { io = 'plain' } = await shard.attach(spec);
  undo.push(() => shard.detach(id));
  return { io, counters: () => readCounters(arena, block) };
}
