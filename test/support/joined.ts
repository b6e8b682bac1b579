/** Engines joined as datapath threads are, all run by the test's own thread: ports in memory, in parts if need be. */
import { JUNCTION_SIZE } from '../../assembly/junction_layout.js';
import { PORTS_MAX } from '../../assembly/layout.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { Engine } from '../../src/datapath/engine.js';
import { FORWARDING_SIZE } from '../../src/datapath/forwarding.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { JunctionPort } from '../../src/datapath/junction_port.js';
import { MEMORY_PORT_SIZE, MemoryPort } from '../../src/datapath/memory_port.js';

export class Joined {
  readonly arena = Arena.create(1 << 28);
  readonly engines: Engine[];
  /** junctions[a][b]: what thread a has of the way to b. */
  readonly junctions: JunctionPort[][];
  /** wakes[a][b]: how often b woke a. */
  readonly wakes: number[][];
  now = 1;
  readonly #loops;
  #nextPort = 1;

  constructor(threads: number) {
    const { arena } = this;
    const alloc = (bytes: number) => arena.allocate(bytes, 'joined');
    this.#loops = Array.from({ length: threads }, () => instantiateLoops(arena));
    this.engines = this.#loops.map((loops) => new Engine(arena, loops, alloc(FORWARDING_SIZE)));
    this.wakes = this.engines.map(() => this.engines.map(() => 0));
    const rings = this.engines.map(() => this.engines.map(() => alloc(JUNCTION_SIZE)));
    this.junctions = this.engines.map((engine, a) =>
      this.engines.map((_, b) => {
        const port = new JunctionPort(arena, this.#loops[a], {
          id: idOf(b),
          name: `thread ${b}`,
          block: alloc(PORT_BLOCK),
          outbox: rings[a][b],
          inbox: rings[b][a],
          descriptors: [],
          notify: () => this.wakes[b][a]++,
        });
        if (a !== b) engine.attach(port, { anySource: true, threads: 0xffffffff, beyond: 1 << b });
        return port;
      }),
    );
  }

  /** A port with a part on each of `threads`; the first is where the others send what is for it. */
  add(mac: Uint8Array, threads: readonly number[], isolated = false): MemoryPort[] {
    const { arena } = this;
    const id = this.#nextPort++;
    const mask = threads.reduce((bits, thread) => bits | (1 << thread), 0);
    const parts = threads.map((thread, i) => {
      const block = arena.allocate(PORT_BLOCK, 'port');
      const memory = arena.allocate(MEMORY_PORT_SIZE, 'port');
      const port = new MemoryPort(arena, this.#loops[thread], { id, name: `${id}`, block, memory });
      this.engines[thread].attach(port, { mac, threads: i === 0 ? mask : 0xffffffff, isolated });
      return port;
    });
    for (const [thread, engine] of this.engines.entries())
      if (!threads.includes(thread)) engine.forwarding.route(mac, idOf(threads[0]));
    return parts;
  }

  /** One round of each thread, in turn. */
  round(): void {
    for (const engine of this.engines) engine.round(this.now);
  }

  /** Rounds until nothing moves. */
  settle(): void {
    for (let rounds = 0; rounds < 1000; rounds++) {
      const moved = this.engines.map((engine) => engine.round(this.now));
      if (!moved.includes(true)) return;
    }
    throw new Error('it never settles');
  }
}

function idOf(thread: number): number {
  return PORTS_MAX - 1 - thread;
}
