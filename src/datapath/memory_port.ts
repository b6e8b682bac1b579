/**
 * One end of an in-memory pair: the engine has the port, the caller has `send` and `receive`. Frames travel with
 * their offload state. For tests, the lab and embedding; it needs no privilege. Bounded: a full queue refuses.
 */
import {
  C_IN_BYTES,
  C_IN_FRAMES,
  C_IN_GSO,
  C_OUT_BYTES,
  C_OUT_FRAMES,
  C_OUT_GSO,
  C_OUT_WAITS,
  DROP_RX_FULL,
} from '../../assembly/counters.js';
import {
  BURST,
  F_COOKIE2,
  F_HEADER,
  F_LEN,
  F_SETTLED,
  F_SINCE,
  F_VERDICT,
  F_VNET,
  HEADER_MAX,
  V_GSO_TYPE,
  VERDICT_DROP,
  VERDICT_GROUP,
  VNET_SIZE,
} from '../../assembly/layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { countUp } from './counters.js';
import { fillList, type PortBlock, portBlock } from './frames.js';
import type { Port } from './port.js';

/** Frames each direction holds. */
export const MEMORY_SLOTS = 64;
/** Bytes of arena for both queues: vnet header and frame side by side in 64 KiB and a bit. */
const SLOT = 65536 + 64;
/** Longest frame. */
const FRAME_MAX = 65535;
export const MEMORY_PORT_SIZE = 2 * MEMORY_SLOTS * SLOT;

/** A frame with its virtio_net_hdr (12 bytes). */
export interface MemoryFrame {
  readonly vnet: Uint8Array;
  readonly bytes: Uint8Array;
}

export class MemoryPort implements Port {
  readonly id: number;
  readonly name: string;
  readonly list: number;
  readonly counters: number;
  readonly takesGrants = false;
  readonly descriptors: readonly number[] = [];
  readonly fenced = 0;
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #block: PortBlock;
  readonly #inbox: number;
  readonly #outbox: number;
  /** Bytes of header a descriptor of this port holds; 0 leaves everything in the fragment (a guest's side). */
  readonly #header: number;
  readonly #lengths = new Uint32Array(2 * MEMORY_SLOTS);
  /** By inbox slot: a frame lies in it until the port releases it. */
  readonly #taken = new Uint8Array(MEMORY_SLOTS);
  #sent = 0;
  #pulled = 0;
  #pushed = 0;
  #received = 0;

  /** `block`: PORT_BLOCK bytes; `memory`: MEMORY_PORT_SIZE bytes. */
  constructor(
    arena: Arena,
    loops: Loops,
    options: { id: number; name: string; block: number; memory: number; header?: number },
  ) {
    this.#arena = arena;
    this.#loops = loops;
    this.id = options.id;
    this.name = options.name;
    this.#block = portBlock(options.block);
    this.list = this.#block.list;
    this.counters = this.#block.counters;
    fillList(arena, this.#block);
    this.#inbox = options.memory;
    this.#outbox = options.memory + MEMORY_SLOTS * SLOT;
    this.#header = options.header ?? Math.min(128, HEADER_MAX);
  }

  /** Hands a frame to the datapath. False when the queue is full. `vnet`: 12 bytes, zeroes by default. */
  send(bytes: Uint8Array, vnet?: Uint8Array): boolean {
    if (bytes.length > FRAME_MAX) throw new RangeError(`a frame of ${bytes.length} bytes`);
    const index = this.#sent % MEMORY_SLOTS;
    if (this.#taken[index] !== 0) return false; // frames are released in any order: this one still waits
    this.#taken[index] = 1;
    const slot = this.#inbox + index * SLOT;
    this.#arena.u8.fill(0, slot, slot + VNET_SIZE);
    if (vnet) this.#arena.u8.set(vnet.subarray(0, VNET_SIZE), slot);
    this.#arena.u8.set(bytes, slot + VNET_SIZE);
    this.#lengths[index] = bytes.length;
    this.#sent++;
    return true;
  }

  /** The next frame that came out, a copy; undefined when there is none. */
  receive(): MemoryFrame | undefined {
    if (this.#received === this.#pushed) return undefined;
    const index = this.#received++ % MEMORY_SLOTS;
    const slot = this.#outbox + index * SLOT;
    const length = this.#lengths[MEMORY_SLOTS + index];
    return {
      vnet: this.#arena.u8.slice(slot, slot + VNET_SIZE),
      bytes: this.#arena.u8.slice(slot + VNET_SIZE, slot + VNET_SIZE + length),
    };
  }

  pull(waiting: number): number {
    let n = waiting;
    const { u32, u8 } = this.#arena;
    while (n < BURST && this.#pulled !== this.#sent) {
      const index = this.#pulled % MEMORY_SLOTS;
      const frame = u32[this.list / 4 + n];
      const slot = this.#inbox + index * SLOT;
      this.#loops.frameClear(frame, this.id);
      u8.copyWithin(frame + F_VNET, slot, slot + VNET_SIZE);
      this.#loops.frameFromLinear(frame, slot + VNET_SIZE, this.#lengths[index], this.#header);
      u32[(frame + F_COOKIE2) / 4] = index; // F_COOKIE stays 0: there is no buffer a netfront could take over
      this.#pulled++;
      n++;
      this.#tally(frame, C_IN_FRAMES, C_IN_BYTES, C_IN_GSO);
    }
    return n;
  }

  push(list: number, n: number, now: number): void {
    const { u32, u8 } = this.#arena;
    for (let i = 0; i < n; i++) {
      const frame = u32[list / 4 + i];
      if (u32[(frame + F_VERDICT) / 4] >= VERDICT_DROP) continue;
      if (this.#pushed - this.#received >= MEMORY_SLOTS) {
        if (u32[(frame + F_VERDICT) / 4] === VERDICT_GROUP) {
          countUp(this.#arena.u32, this.counters, DROP_RX_FULL, 1);
          continue;
        }
        if (u32[(frame + F_SINCE) / 4] === 0) {
          u32[(frame + F_SINCE) / 4] = now;
          countUp(this.#arena.u32, this.counters, C_OUT_WAITS, 1);
        }
        this.#loops.dropGroups(this.counters, list, i + 1, n); // group frames wait for nobody
        return;
      }
      const index = this.#pushed++ % MEMORY_SLOTS;
      const slot = this.#outbox + index * SLOT;
      u8.copyWithin(slot, frame + F_VNET, frame + F_HEADER);
      this.#lengths[MEMORY_SLOTS + index] = this.#loops.frameLinearize(frame, slot + VNET_SIZE);
      u32[(frame + F_SETTLED) / 4] = 1;
      this.#tally(frame, C_OUT_FRAMES, C_OUT_BYTES, C_OUT_GSO);
    }
  }

  localize(): void {} // its frames lie in its own queue

  release(n: number): number {
    const { u32 } = this.#arena;
    let kept = 0;
    for (let i = 0; i < n; i++) {
      const frame = u32[this.list / 4 + i];
      if (u32[(frame + F_SETTLED) / 4] !== 0) {
        this.#taken[u32[(frame + F_COOKIE2) / 4]] = 0;
        continue;
      }
      u32[this.list / 4 + i] = u32[this.list / 4 + kept];
      u32[this.list / 4 + kept++] = frame;
    }
    return kept;
  }

  flush(): void {}

  arm(waiting: number): boolean {
    return waiting < BURST && this.#pulled !== this.#sent;
  }

  wake(): void {}

  close(): void {}

  #tally(frame: number, frames: number, bytes: number, gso: number): void {
    countUp(this.#arena.u32, this.counters, frames, 1);
    countUp(this.#arena.u32, this.counters, bytes, this.#arena.u32[(frame + F_LEN) / 4]);
    if (this.#arena.u8[frame + V_GSO_TYPE] !== 0) countUp(this.#arena.u32, this.counters, gso, 1);
  }
}
