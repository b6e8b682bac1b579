/** A port that every frame vanishes in, without a look at its bytes: a card that fetches them by DMA. */
import { F_SETTLED } from '../../../assembly/layout.js';
import type { Arena } from '../../arena/arena.js';
import { type PortBlock, portBlock } from '../../datapath/frames.js';
import type { Port } from '../../datapath/port.js';

export class SinkPort implements Port {
  readonly id: number;
  readonly name = 'sink';
  readonly list: number;
  readonly counters: number;
  /** A card takes addresses: what is only granted is brought into memory of the back end first. */
  readonly takesGrants = false;
  readonly descriptors: readonly number[] = [];
  readonly fenced = 0;
  frames = 0;
  readonly #u32: Uint32Array;

  /** `block`: PORT_BLOCK bytes. */
  constructor(arena: Arena, id: number, block: number) {
    const laid: PortBlock = portBlock(block);
    this.id = id;
    this.list = laid.list;
    this.counters = laid.counters;
    this.#u32 = arena.u32;
  }

  pull(waiting: number): number {
    return waiting;
  }

  push(list: number, n: number): void {
    for (let i = 0; i < n; i++) this.#u32[(this.#u32[list / 4 + i] + F_SETTLED) / 4] = 1;
    this.frames += n;
  }

  localize(): void {}

  release(n: number): number {
    return n;
  }

  flush(): void {}

  arm(): boolean {
    return false;
  }

  wake(): void {}

  close(): void {}
}
