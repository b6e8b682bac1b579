/**
 * A host with an uplink, guests behind kernel ports, and a remote machine on the wire; each a network namespace:
 *
 *     remote            host                          guest a, b, …
 *   ┌────────┐  wire  ┌──────────────────────────┐  veth  ┌────────┐
 *   │  eth0 ─┼────────┼─ up0   hook   pa, pb, … ─┼────────┼─ eth0  │
 *   └────────┘        └──────────────────────────┘        └────────┘
 *
 * All in 10.209.0.0/24 and fd4e:4652:9::/64: host .1, remote .2, guests from .11 on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Mode } from '../../../src/hook/attachment.js';
import type { Counters } from '../../../src/hook/maps.js';
import type { HookOptions, PortOptions } from '../../../src/hook/options.js';
import { type Background, background, Place, until } from '../../e2e/support/place.js';

const HOLDER = fileURLToPath(new URL('./holder.js', import.meta.url));
const INJECT = fileURLToPath(new URL('./inject_main.js', import.meta.url));
const TAP = fileURLToPath(new URL('./tap_main.js', import.meta.url));
/** setpriv's options: a test that is killed takes its namespaces with it. */
const WITH_US = ['--pdeathsig', 'KILL', '--'];

export interface Machine {
  readonly name: string;
  readonly place: Place;
  readonly link: string;
  readonly mac: string;
  readonly v4: string;
  readonly v6: string;
}

function machine(name: string, place: Place, number: number, link = 'eth0'): Machine {
  const hex = number.toString(16).padStart(2, '0');
  return {
    name,
    place,
    link,
    mac: `02:00:00:09:00:${hex}`,
    v4: `10.209.0.${number}`,
    v6: `fd4e:4652:9::${hex}`,
  };
}

/** A refusal of the hook, as its process reported it. */
export class HookRefusal extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** A hook in a process of its own. */
export class HookProcess {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((line: string) => void)[] = [];

  /** `around`: a command that runs it, if need be. */
  constructor(place: Place, around: readonly string[] = []) {
    const enter = ['nsenter', '--target', `${place.pid}`, '--net', '--', 'setpriv', ...WITH_US, ...around];
    const [file, ...args] = [...enter, process.execPath, HOLDER];
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#lines.on('line', (line) => this.#waiting.shift()?.(line));
  }

  async call<T = unknown>(method: string, ...args: unknown[]): Promise<T> {
    const line = new Promise<string>((resolve) => this.#waiting.push(resolve));
    this.#child.stdin!.write(`${JSON.stringify([method, ...args])}\n`);
    const { value, error } = JSON.parse(await line);
    if (error) throw new HookRefusal(error.message, error.hint);
    return value;
  }

  counters(of: number | 'wire' | 'host'): Promise<Counters> {
    return this.call<Counters>('counters', of);
  }

  /** Ends the process: closes its input (so it exits), or kills it. */
  async end(signal?: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    if (signal) this.#child.kill(signal);
    else this.#child.stdin!.end();
    await gone;
  }
}

export class Lan {
  readonly host: Machine;
  readonly remote: Machine;
  readonly #keepers: Background[];
  readonly #guests: Machine[] = [];
  readonly #hooks: HookProcess[] = [];
  readonly #taps: TapProcess[] = [];

  private constructor(host: Machine, remote: Machine, keepers: Background[]) {
    this.host = host;
    this.remote = remote;
    this.#keepers = keepers;
  }

  static async make(): Promise<Lan> {
    const keepers = [await keeper(), await keeper()];
    const [host, remote] = keepers.map(({ pid }) => new Place(pid));
    const lan = new Lan(machine('host', host, 1, 'up0'), machine('remote', remote, 2), keepers);
    await host.run(`ip link add up0 type veth peer name eth0 netns ${remote.pid}`);
    for (const one of [lan.host, lan.remote]) await dress(one);
    return lan;
  }

  /** A guest namespace and its port `p<name>` in the host's, not yet given to any hook. */
  async guest(name: string): Promise<Machine> {
    const held = await keeper();
    this.#keepers.push(held);
    const guest = machine(name, new Place(held.pid), 11 + this.#guests.length);
    this.#guests.push(guest);
    // The port speaks for nobody: no address of its own, so no ND of its own.
    await this.host.place.run(
      `ip link add p${name} type veth peer name eth0 netns ${held.pid} &&
       echo 1 > /proc/sys/net/ipv6/conf/p${name}/disable_ipv6 && ip link set p${name} up`,
    );
    await dress(guest);
    return guest;
  }

  /** Starts a hook on up0 (unless `uplink` says otherwise). */
  async hook(mode: Mode, options: Partial<HookOptions> = {}): Promise<HookProcess> {
    const hook = new HookProcess(this.host.place);
    this.#hooks.push(hook);
    await hook.call('new', { uplink: 'up0', mode, ...options });
    return hook;
  }

  port(hook: HookProcess, guest: Machine, options: Partial<PortOptions> = {}): Promise<number> {
    return hook.call<number>('addPort', { name: `p${guest.name}`, macs: [guest.mac], ...options });
  }

  /** A tap in the host's namespace whose reader is a process. */
  async tap(link: string): Promise<TapProcess> {
    const tap = await TapProcess.start(this.host.place, link);
    this.#taps.push(tap);
    return tap;
  }

  async close(): Promise<void> {
    for (const tap of this.#taps) await tap.stop();
    for (const hook of this.#hooks) await hook.end('SIGKILL');
    for (const held of this.#keepers) await held.stop('SIGKILL');
  }
}

/** A network namespace and the process that keeps it. */
export async function keeper(): Promise<Background> {
  const stay = 'ip link set lo up && echo ready && exec sleep 86400';
  const held = background(
    spawn('setpriv', [...WITH_US, 'unshare', '--net', 'sh', '-c', stay], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    }),
  );
  await until('a network namespace', () => held.text().includes('ready'));
  return held;
}

async function dress({ place, link, mac, v4, v6 }: Machine): Promise<void> {
  await place.run(
    // No router is asked for, so that nobody speaks without being asked.
    `echo 0 > /proc/sys/net/ipv6/conf/${link}/router_solicitations &&
     ip link set ${link} address ${mac} && ip link set ${link} up &&
     ip address add ${v4}/24 dev ${link} && ip address add ${v6}/64 dev ${link} nodad`,
  );
}

/** Sends frames as they are out of a machine's link. */
export async function inject(from: Machine, ...frames: Uint8Array[]): Promise<void> {
  const hex = frames.map((one) => Buffer.from(one).toString('hex'));
  await from.place.run([process.execPath, INJECT, from.link, ...hex]);
}

/** A tap in `place` whose reader is a process. */
export class TapProcess {
  readonly #child: ChildProcess;
  #text = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding('latin1').on('data', (text: string) => {
      this.#text += text;
    });
  }

  static async start(place: Place, link: string): Promise<TapProcess> {
    const enter = ['--target', `${place.pid}`, '--net', '--', 'setpriv', ...WITH_US];
    const child = spawn('nsenter', [...enter, process.execPath, TAP, link], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const tap = new TapProcess(child);
    await until('the tap is there', () => tap.#text.includes('ready'));
    return tap;
  }

  /** `header`: a virtio_net_hdr, as far as it is not 0. */
  send(frame: Uint8Array, header: Uint8Array = new Uint8Array()): void {
    const words = [header, frame].map((bytes) => Buffer.from(bytes).toString('hex'));
    this.#child.stdin!.write(`${words.join(' ')}\n`);
  }

  /** Frames received so far. */
  frames(): { header: Buffer; frame: Buffer }[] {
    const lines = this.#text.split('\n').slice(1, -1);
    return lines.map((line) => {
      const [header, frame] = line.split(' ');
      return { header: Buffer.from(header, 'hex'), frame: Buffer.from(frame, 'hex') };
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** What came into a machine by its link between start and stop, as tcpdump prints it: one line a frame. */
export class Sniffer {
  readonly #process: Background;
  private constructor(process: Background) {
    this.#process = process;
  }

  /** `filter`: pcap-filter(7). `direction`: in, out, or inout. */
  static async start(place: Place, link: string, filter: string, direction = 'in'): Promise<Sniffer> {
    const command = ['tcpdump', '-i', link, '-Q', direction, '-nnvvel', '--immediate-mode', '-U', filter];
    const process = place.start(['stdbuf', '-oL', '-eL', 'sh', '-c', `exec "$@" 2>&1`, 'sh', ...command]);
    await until('tcpdump listens', () => process.text().includes('listening on'));
    return new Sniffer(process);
  }

  text(): string {
    return this.#process.text();
  }

  /** Frames so far: lines that begin with a time. */
  frames(): string[] {
    return this.text()
      .split('\n')
      .filter((line) => /^\d\d:\d\d:\d\d\./.test(line));
  }

  async stop(): Promise<string[]> {
    await this.#process.stop('SIGINT');
    return this.frames();
  }
}
