/** Memory that every port needs: its descriptors, the list of them, its counters. */
import { COUNTERS_SIZE } from '../../assembly/counters.js';
import { BURST, FRAME_SIZE } from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';

/** Bytes of arena for one port's block. */
export const PORT_BLOCK = COUNTERS_SIZE + BURST * 4 * 2 + BURST * FRAME_SIZE;

/** Addresses within a port's block. */
export interface PortBlock {
  readonly counters: number;
  readonly list: number;
  /** u32[BURST] for the release loops. */
  readonly scratch: number;
  readonly frames: number;
}

/** Lays a port's block out at `address` (PORT_BLOCK zeroed bytes). The same addresses come out every time. */
export function portBlock(address: number): PortBlock {
  const list = address + COUNTERS_SIZE;
  const scratch = list + BURST * 4;
  return { counters: address, list, scratch, frames: scratch + BURST * 4 };
}

/** Enters the addresses of the block's descriptors into its list. */
export function fillList(arena: Arena, block: PortBlock): void {
  for (let i = 0; i < BURST; i++) arena.u32[block.list / 4 + i] = block.frames + i * FRAME_SIZE;
}
