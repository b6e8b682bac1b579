/**
 * A vif's private memory: its first queue's state, its own, and then what further queues need. What lies there the
 * datapath thread writes, but for the few words that this file has setters for.
 */
import { CT_HEADROOM, CT_MCAST_ON, CT_SIZE, HEADROOM_MOST } from '../../assembly/control_layout.js';
import { COUNTERS_SIZE } from '../../assembly/counters.js';
import { BOUNCE_STRIDE, BURST, SEG_SIZE } from '../../assembly/layout.js';
import { RATE_SIZE, SET_LIST_SIZE, SET_LISTS } from '../../assembly/netif_layout.js';
import { SENDERS_SIZE } from '../../assembly/senders_layout.js';
import type { Arena } from '../arena/arena.js';
import { portBlock } from '../datapath/frames.js';
import { SOFTWARE_SIZE } from '../datapath/software.js';
import { QUEUE_MEMORY } from './netback_queue.js';

export const VIF_SOFTWARE = QUEUE_MEMORY;
export const VIF_CONTROL = VIF_SOFTWARE + SOFTWARE_SIZE;
export const VIF_RATE = VIF_CONTROL + CT_SIZE;
export const VIF_SENDERS = VIF_RATE + RATE_SIZE;
/** Where there are several queues: the set of them, then a counter block each, then the states of all but the first. */
export const VIF_SET = VIF_SENDERS + SENDERS_SIZE;

const blocks = (queues: number) => VIF_SET + Math.ceil((SET_LISTS + queues * SET_LIST_SIZE) / 8) * 8;
const states = (queues: number) => blocks(queues) + queues * COUNTERS_SIZE;

/** Bytes of arena for all of it. */
export function netbackMemory(queues: number): number {
  return queues === 1 ? VIF_SET : states(queues) + (queues - 1) * QUEUE_MEMORY;
}

/** Address of the state of queue number `q` of a vif with `queues` of them. */
export function queueState(memory: number, queues: number, q: number): number {
  return q === 0 ? memory : memory + states(queues) + (q - 1) * QUEUE_MEMORY;
}

/** Private copies of frames for receivers that cannot take grants, touched only then. */
export const BOUNCE_SIZE = BURST * BOUNCE_STRIDE;
/** Copy segments of one datapath thread, shared by its ports. */
export const SEGMENTS_MAX = 4096;
export const SEGMENTS_SIZE = SEGMENTS_MAX * SEG_SIZE;

/**
 * Where a vif counts: first what its port counts, then, where it has several queues, each of those. `block`: its
 * PORT_BLOCK; `memory`: its private state.
 */
export function netbackCounters(block: number, memory: number, queues: number): number[] {
  const counters = [portBlock(block).counters];
  if (queues > 1) for (let q = 0; q < queues; q++) counters.push(memory + blocks(queues) + q * COUNTERS_SIZE);
  return counters;
}

/** Whether only listed groups go to a vif (request-multicast-control). Any thread may say so at any time. */
export function setMulticastControl(arena: Arena, memory: number, on: boolean): void {
  Atomics.store(arena.u32, (memory + VIF_CONTROL + CT_MCAST_ON) / 4, on ? 1 : 0);
}

/**
 * Octets that are left free in front of what each page receives (xdp-headroom), said as setMulticastControl. Where that
 * is more than half a page it is half a page; each frame says how much it has.
 */
export function setXdpHeadroom(arena: Arena, memory: number, octets: number): void {
  Atomics.store(arena.u32, (memory + VIF_CONTROL + CT_HEADROOM) / 4, Math.min(octets, HEADROOM_MOST));
}
