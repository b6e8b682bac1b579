/**
 * Traffic between network namespaces in short turns, many a second: two processes, each on a CPU of its own, that make
 * their sockets in whichever namespaces a turn is between.
 *
 *   near, on the first CPU ──── sends, or asks ────►  far, on the last: receives, or answers
 *
 * One kind of generator for all contestants, so what differs is what lies between. Streams are cubic from their first
 * segment on. Needs CAP_SYS_ADMIN (setns).
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SetupError } from '../../sys/errors.js';
import { now } from './clock.js';
import type { FarFigures, Kind, NearFigures, Window } from './load_jobs.js';
import type { Answer, Command } from './load_main.js';
import { end, type Netns } from './netns.js';

const MAIN = fileURLToPath(new URL('./load_main.js', import.meta.url));
const PORT = 9000;
/** From the order to the start: both processes have read it by then. */
const HEAD_START_MS = 1;
/** Before a flow is counted: ARP is settled, TCP's window has grown, the receiver is awake. */
const SETTLE_MS: Readonly<Record<Kind, number>> = { udp: 5, tcp: 10, roundTrips: 3 };
/** More than any turn takes. */
const PATIENCE_MS = 10_000;
/** A turn in which nothing arrived at all (a process was kept off its CPU, a first segment was lost) is made again. */
const ATTEMPTS = 4;

/** A namespace with its address. */
export interface Box {
  readonly ns: Netns;
  readonly address: string;
}

export interface Route {
  readonly from: Box;
  readonly to: Box;
}

/** Of 64-byte frames as fast as they go. */
export interface FrameFigures {
  /** A second, that arrived. */
  readonly rate: number;
  /** Seconds of the whole machine for a frame that arrived. */
  readonly cpu: number;
  /** Seconds of the sender's process for a frame it sent: the whole way, up to the receiver's socket or backlog. */
  readonly senderCpu: number;
}

export interface StreamFigures {
  readonly bitsPerSecond: number;
  /** Seconds of the whole machine for 10⁹ bytes. */
  readonly cpu: number;
}

/** Of a datagram's way there and the answer's way back, µs. */
export interface TripFigures {
  readonly p50: number;
  readonly p99: number;
}

export class LoadPair {
  readonly #near: Player<NearFigures>;
  readonly #far: Player<FarFigures>;
  #repeated = 0;

  private constructor(near: Player<NearFigures>, far: Player<FarFigures>) {
    this.#near = near;
    this.#far = far;
  }

  /** `cpus`: those that may be used, ascending. Aborting `signal` ends both processes, and what is asked of them. */
  static start(cpus: readonly number[], signal: AbortSignal): LoadPair {
    signal.throwIfAborted();
    const first = cpus[0] ?? 0;
    return new LoadPair(
      new Player<NearFigures>('near', first, signal),
      new Player<FarFigures>('far', cpus.at(-1) ?? first, signal),
    );
  }

  /** All of these throw SetupError when nothing arrives, and the signal's reason. `ms`: what is counted. */
  async frames(route: Route, ms: number): Promise<FrameFigures> {
    const { near, far } = await this.#turn('udp', route, ms);
    const rate = far.amount / far.seconds;
    return { rate, cpu: near.busySeconds / near.seconds / rate, senderCpu: near.cpuSeconds / near.amount };
  }

  async streams(route: Route, ms: number, streams: number): Promise<StreamFigures> {
    const { near, far } = await this.#turn('tcp', route, ms, streams);
    const rate = far.amount / far.seconds;
    return { bitsPerSecond: rate * 8, cpu: (near.busySeconds / near.seconds / rate) * 1e9 };
  }

  async roundTrips(route: Route, ms: number): Promise<TripFigures> {
    const { near } = await this.#turn('roundTrips', route, ms);
    return { p50: near.p50, p99: near.p99 };
  }

  /** Turns made again because nothing had arrived. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Ends both processes. */
  async close(): Promise<void> {
    await Promise.all([this.#near.close(), this.#far.close()]);
  }

  async #turn(kind: Kind, { from, to }: Route, ms: number, streams = 1) {
    const common = { op: 'open', kind, port: PORT, streams } as const;
    for (let attempt = 1; ; attempt++) {
      await this.#far.tell({ ...common, pid: to.ns.pid, to: from.address });
      await this.#near.tell({ ...common, pid: from.ns.pid, to: to.address });
      const begin = now() + HEAD_START_MS;
      const start = begin + SETTLE_MS[kind];
      const window: Window = { begin, from: start, until: start + ms };
      const [far, near] = await Promise.all([this.#far.run(window), this.#near.run(window)]);
      await Promise.all([this.#near.tell({ op: 'close' }), this.#far.tell({ op: 'close' })]);
      if (near.amount > 0 && far.amount > 0) return { near, far };
      if (attempt === ATTEMPTS)
        throw new SetupError(`${kind}: nothing arrives from ${from.address} at ${to.address}`);
      this.#repeated++;
    }
  }
}

/** One of the two processes. */
class Player<F> {
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #signal: AbortSignal;
  readonly #abort = () => void this.#child.kill('SIGKILL');
  #said = '';
  #waiting: { answer: (answer: Answer<F>) => void; gone: (error: unknown) => void } | undefined;
  #dead: SetupError | undefined;

  constructor(name: 'near' | 'far', cpu: number, signal: AbortSignal) {
    this.#name = name;
    this.#signal = signal;
    const argv = ['--pdeathsig', 'KILL', '--', process.execPath, MAIN, name, String(cpu)];
    // Like all that lives in our namespaces, in a session of its own: Ctrl-C is for us alone.
    this.#child = spawn('setpriv', argv, { stdio: 'pipe', detached: true });
    this.#child.stdin.on('error', () => {}); // its end is told by `close`
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.answer(JSON.parse(line) as Answer<F>);
    });
    this.#child.once('error', (error) => this.#gone(error.message));
    this.#child.once('close', (code) =>
      this.#gone(this.#said.trim().split('\n').at(-1) || `exit code ${code}`),
    );
    signal.addEventListener('abort', this.#abort);
  }

  /** Waits for its answer. */
  async tell(command: Command): Promise<void> {
    await this.#ask(command);
  }

  async run(window: Window): Promise<F> {
    const answer = await this.#ask({ op: 'run', ...window });
    if (!('figures' in answer)) throw new SetupError(`traffic, ${this.#name} end: no figures`);
    return answer.figures;
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    await end(this.#child);
  }

  async #ask(command: Command): Promise<Answer<F>> {
    this.#signal.throwIfAborted();
    if (this.#dead) throw this.#dead;
    let timer: NodeJS.Timeout | undefined;
    try {
      const answer = await new Promise<Answer<F>>((resolve, reject) => {
        this.#waiting = { answer: resolve, gone: reject };
        const late = () =>
          reject(new SetupError(`traffic, ${this.#name} end: no answer within ${PATIENCE_MS} ms`));
        timer = setTimeout(late, PATIENCE_MS);
        this.#child.stdin.write(`${JSON.stringify(command)}\n`);
      });
      if ('problem' in answer) throw new SetupError(`traffic, ${this.#name} end: ${answer.problem}`);
      return answer;
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #gone(why: string): void {
    this.#dead ??= new SetupError(`traffic, ${this.#name} end: ${why}`);
    this.#waiting?.gone(this.#dead);
    this.#waiting = undefined;
  }
}
