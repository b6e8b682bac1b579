/** The demo's pings and bulk transfers: endpoints started where they belong, and what the back end counted meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Vif } from '../daemon/api.js';
import type { ControlClient } from '../daemon/client.js';
import { SetupError } from '../sys/errors.js';
import type { PingResult, SinkResult } from './demo_endpoint.js';

const ENDPOINT = fileURLToPath(new URL('./demo_endpoint.js', import.meta.url));
/** USER_HZ, in which /proc/PID/stat counts on every architecture Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100;
const PING_COUNT = 10;
const PING_SIZE = 56;

/** Where an endpoint can run. */
export interface Place {
  readonly name: string;
  /** Addresses without prefix, IPv4 first. */
  readonly addresses: readonly string[];
  /** The command line that runs `command` there. */
  enter(command: readonly string[]): string[];
  /** Its port among all ports. */
  isPort(vif: Vif): boolean;
}

export interface PingReport extends PingResult {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

export interface TransferReport extends SinkResult {
  readonly from: string;
  readonly to: string;
  readonly bytesPerSecond: number;
  /** Frames that the sender's port took in; a GSO frame is one. */
  readonly frames: number;
  /** Bytes. */
  readonly averageFrame: number;
  /** Of all ports: pieces copied, interrupts raised, frames dropped by reason. */
  readonly copies: number;
  readonly notifications: number;
  readonly drops: Readonly<Record<string, number>>;
  /** The daemon's CPU seconds for each 10⁹ bytes. */
  readonly cpuSecondsPerGb: number;
}

export class Traffic {
  readonly #client: ControlClient;
  readonly #daemon: number;
  readonly #children = new Set<ChildProcess>();

  /** `daemon`: the back end's process. */
  constructor(client: ControlClient, daemon: number) {
    this.#client = client;
    this.#daemon = daemon;
  }

  async ping(from: Place, to: Place, address: string): Promise<PingReport> {
    const endpoint = this.#start(from, ['ping', address, String(PING_COUNT), String(PING_SIZE)]);
    const result = (await endpoint.last()) as PingResult;
    return { from: from.name, to: to.name, address, ...result };
  }

  /** `progress` is told the bytes that have arrived. */
  async transfer(
    from: Place,
    to: Place,
    seconds: number,
    progress: (bytes: number) => void,
  ): Promise<TransferReport> {
    const address = from.addresses[0];
    const source = this.#start(from, ['source', address, String(seconds)]);
    const { port } = (await source.next()) as { port: number };
    const before = await this.#look();
    const sink = this.#start(to, ['sink', address, String(port)]);
    const result = (await sink.last((message) =>
      progress((message as { bytes: number }).bytes),
    )) as SinkResult;
    const after = await this.#look();
    return { from: from.name, to: to.name, ...result, ...difference(before, after, from, result) };
  }

  /** Ends what still runs. */
  stop(): void {
    for (const child of this.#children) {
      child.stdin?.destroy(); // what nsenter has started sees the end of its stdin
      child.kill('SIGKILL');
    }
  }

  async #look(): Promise<Look> {
    return { vifs: await this.#client.vifs(), cpu: cpuSeconds(this.#daemon) };
  }

  #start(place: Place, args: readonly string[]): Endpoint {
    const [file, ...rest] = place.enter([process.execPath, ENDPOINT, ...args]);
    const child = spawn(file, rest, { stdio: 'pipe' });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return new Endpoint(child, `${args[0]} in ${place.name}`);
  }
}

/** A running endpoint: its JSON lines, and its last words when it fails. */
class Endpoint {
  readonly #what: string;
  readonly #lines: AsyncIterableIterator<string>;
  readonly #ended: Promise<void>;
  #complaint = '';

  constructor(child: ChildProcess, what: string) {
    this.#what = what;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text;
    });
    child.on('error', (error) => {
      this.#complaint += error.message;
    });
    child.stdin!.on('error', () => {}); // it has ended; its exit says so
    this.#ended = once(child, 'close').then(
      () => {},
      () => {},
    );
  }

  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    await this.#ended;
    throw new SetupError(
      `${this.#what}: ${this.#complaint.trim().split('\n').at(-1) || 'ended early'}`,
      HINT,
    );
  }

  /** The last message, once it has ended; `each` is shown those before it. */
  async last(each: (message: unknown) => void = () => {}): Promise<unknown> {
    let message = await this.next();
    for await (const line of this.#lines) {
      each(message);
      message = JSON.parse(line);
    }
    await this.#ended;
    if (this.#complaint)
      throw new SetupError(`${this.#what}: ${this.#complaint.trim().split('\n').at(-1)}`, HINT);
    return message;
  }
}

const HINT = 'a firewall on this machine may refuse it; see: netferry doctor';

interface Look {
  readonly vifs: readonly Vif[];
  readonly cpu: number;
}

function difference(before: Look, after: Look, from: Place, result: SinkResult) {
  const sum = (look: Look, count: (vif: Vif) => number, only: (vif: Vif) => boolean = () => true) =>
    look.vifs.filter(only).reduce((total, vif) => total + count(vif), 0);
  const grown = (count: (vif: Vif) => number, only?: (vif: Vif) => boolean) =>
    sum(after, count, only) - sum(before, count, only);
  const sender = (vif: Vif) => from.isPort(vif);
  const frames = grown((vif) => vif.counters?.in.frames ?? 0, sender);
  const bytes = grown((vif) => vif.counters?.in.bytes ?? 0, sender);
  const reasons = new Set(after.vifs.flatMap((vif) => Object.keys(vif.counters?.drops ?? {})));
  const drops: Record<string, number> = {};
  for (const reason of reasons) {
    const n = grown((vif) => vif.counters?.drops[reason] ?? 0);
    if (n > 0) drops[reason] = n;
  }
  return {
    bytesPerSecond: result.seconds > 0 ? result.bytes / result.seconds : 0,
    frames,
    averageFrame: frames > 0 ? bytes / frames : 0,
    copies: grown((vif) => vif.counters?.copies.count ?? 0),
    notifications: grown((vif) => vif.counters?.notifications ?? 0),
    drops,
    cpuSecondsPerGb: result.bytes > 0 ? ((after.cpu - before.cpu) * 1e9) / result.bytes : 0,
  };
}

/** User and system time of a process so far: fields 14 and 15 of /proc/PID/stat (proc(5)). */
function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the name, may hold spaces and brackets; field 3 follows its last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch (cause) {
    throw new SetupError('the daemon has ended in the middle of the demo', 'see: netferry doctor', { cause });
  }
}
