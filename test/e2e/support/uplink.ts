/**
 * A host on a physical network, and who is on it by netferry, all by the command line:
 *
 *     remote            host                                       embedded guests a, b
 *   ┌────────┐  wire  ┌──────────────────────────────┐  rings     ┌────────┐
 *   │  eth0 ─┼────────┼─ up0   hook ── nfx0 ── engine ┼────────────┼─ eth0  │
 *   └────────┘        │          └─── pc              │  veth      ├────────┤
 *                     └────────────────┼──────────────┘            │ kernel │
 *                                      └───────────────────────────┼─ eth0  │  c: a container
 *                                                                  └────────┘
 *
 * 10.209.0.0/24 and fd4e:4652:9::/64: host .1, remote .2, containers from .11 on, embedded guests from .101 on.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { enterCommand } from '../../../src/guest/enter.js';
import { Lan, type Machine, Sniffer } from '../../hook/support/lan.js';
import { ENTRY, Ferry } from './ferry.js';
import { type Background, background, type Place, sleep, until } from './place.js';

const HASH = fileURLToPath(new URL('./hash_main.js', import.meta.url));
const SESSION = fileURLToPath(new URL('./session_main.js', import.meta.url));
/** Ethertype of local experiments: nobody's stack answers it. */
export const EXPERIMENT = 0x88b5;
export const NEEDS = ['tcpdump', 'ping', 'ip', 'ethtool', 'unshare', 'nsenter', 'setpriv', 'stdbuf'];
const PORT = 5209;

export interface Refused {
  readonly code: number;
  /** What it said, without its own name. */
  readonly message: string;
}

export class Site {
  readonly lan: Lan;
  readonly ferry: Ferry;
  #embedded = 0;

  private constructor(lan: Lan) {
    this.lan = lan;
    this.ferry = Ferry.in(lan.host.place);
  }

  /** No daemon runs yet. */
  static async make(): Promise<Site> {
    return new Site(await Lan.make());
  }

  get host(): Machine {
    return this.lan.host;
  }

  get remote(): Machine {
    return this.lan.remote;
  }

  /** An embedded guest on the network. */
  async embedded(name: string, ...options: string[]): Promise<Machine> {
    const number = 101 + this.#embedded++;
    const hex = number.toString(16);
    const [v4, v6, mac] = [`10.209.0.${number}`, `fd4e:4652:9::${hex}`, `02:00:00:09:00:${hex}`];
    const ip = ['--ip', `${v4}/24`, '--ip', `${v6}/64`];
    const place = await this.ferry.guest(name, '--mac', mac, ...ip, ...options);
    return { name, place, link: 'eth0', mac, v4, v6 };
  }

  /** A container whose veth is attached by the command line as `p<name>`. */
  async container(name: string, ...options: string[]): Promise<Machine> {
    const machine = await this.lan.guest(name);
    await this.ferry.cli('attach', `p${name}`, ...(options.length > 0 ? options : ['--mac', machine.mac]));
    return machine;
  }

  /** A command that must be refused. */
  async refused(...args: string[]): Promise<Refused> {
    const command = [process.execPath, ENTRY, '--dir', this.ferry.directory, ...args];
    const { code, stdout, stderr } = await this.host.place.try(command);
    if (code === 0) throw new Error(`${args.join(' ')} was not refused: ${stdout}`);
    return { code, message: stderr.replace(/^netferry: /, '') };
  }

  async close(): Promise<void> {
    await this.ferry.stop();
    await this.lan.close();
  }
}

export async function ping(from: Machine, to: string, ...options: string[]): Promise<void> {
  await from.place.run(['ping', '-n', '-q', '-c', '2', '-i', '0.05', '-W', '2', ...options, to]);
}

/** `up0 ingress netferry_in` of every program on an interface there, by TCX or as a filter. (bpftool 7.1 shows no TCX.) */
export async function attachedPrograms(place: Place): Promise<string[]> {
  const source = (name: string) => JSON.stringify(new URL(`../../../src/sys/${name}.js`, import.meta.url));
  const script = `
    import { linkList } from ${source('netlink')};
    import { programName, tcxQuery } from ${source('bpf')};
    import { filterList, ingressQdisc } from ${source('traffic_control')};
    for (const { index, name } of linkList()) {
      for (const [side, type] of [['ingress', 46], ['egress', 47]]) {
        for (const { id } of tcxQuery(index, type).programs) console.log(name, side, programName(id));
        if (!ingressQdisc(index)) continue;
        for (const { programId } of filterList(index, side)) console.log(name, side, programName(programId));
      }
    }`;
  const text = await place.run([process.execPath, '--input-type=module', '-e', script]);
  return text.split('\n').filter(Boolean);
}

/** Until the first ping comes back. */
export async function reaches(from: Machine, to: string, timeout = 8000): Promise<void> {
  const once = ['ping', '-n', '-q', '-c', '1', '-W', '1', to];
  await until(`${from.name} reaches ${to}`, async () => (await from.place.try(once)).code === 0, timeout);
}

/** Sends `bytes` by TCP; throws unless all came, as they were. */
export async function stream(from: Machine, to: Machine, address: string, bytes: number): Promise<void> {
  const server = to.place.start([process.execPath, HASH, 'receive', `${PORT}`]);
  await until('the receiver listens', () => server.text().includes('ready'));
  const sent = (
    await from.place.run([process.execPath, HASH, 'send', address, `${PORT}`, `${bytes}`])
  ).trim();
  const received = (await server.ended).stdout.replace('ready', '').trim();
  if (sent !== received) throw new Error(`${from.name} to ${to.name}: sent ${sent}, received ${received}`);
}

/** What each machine receives by its link while `act` runs, in frames that match; their number by name. */
export async function received(
  machines: readonly Machine[],
  filter: string,
  act: () => Promise<void>,
): Promise<Record<string, number>> {
  const sniffers = await Promise.all(machines.map(({ place, link }) => Sniffer.start(place, link, filter)));
  await act();
  await sleep(300); // what must not come has had its time, too
  const frames = await Promise.all(sniffers.map((sniffer) => sniffer.stop()));
  return Object.fromEntries(machines.map(({ name }, i) => [name, frames[i].length]));
}

/** A TCP session that is kept alive, and how long it ever stood still. */
export class Session {
  readonly #server: Background;
  readonly #client: Background;
  readonly #end: () => void;

  private constructor(server: Background, client: Background, end: () => void) {
    this.#server = server;
    this.#client = client;
    this.#end = end;
  }

  static async open(from: Place, to: Place, address: string): Promise<Session> {
    const server = to.start([process.execPath, SESSION, 'serve', '5210']);
    await until('the server listens', () => server.text().includes('ready'));
    const [file, ...args] = enterCommand(from.pid, [process.execPath, SESSION, 'hold', address, '5210']);
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    const client = background(child);
    await until('the session is open', () => client.text().includes('ready'));
    return new Session(server, client, () => void child.stdin.end());
  }

  async close(): Promise<{ bytes: number; longest: number; failure: string }> {
    this.#end();
    const { stdout } = await this.#client.ended;
    await this.#server.stop('SIGKILL');
    return JSON.parse(stdout.replace('ready', ''));
  }
}
