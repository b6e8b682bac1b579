/**
 * A back end and its guests as users run them, by the command line, in a network namespace of the test's own:
 *
 *     namespace of the test            guest a            guest b
 *   ┌─────────────────────────┐   ┌──────────────┐   ┌──────────────┐
 *   │ netferry up      nf0 ───┼───┼─── eth0      │   │     eth0     │
 *   └───────────┬─────────────┘   └──────┬───────┘   └──────┬───────┘
 *               └────────── rings ───────┴──────────────────┘
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GuestInfo, Vif } from '../../../src/daemon/api.js';
import { ControlClient } from '../../../src/daemon/client.js';
import type { PortCounters } from '../../../src/datapath/counters.js';
import { type Background, background, Place, until } from './place.js';

export const ENTRY = fileURLToPath(new URL('../../../src/cli/entry.js', import.meta.url));
export const HOST = { v4: '10.206.0.1', v6: 'fd4e:4652::1' };

/** setpriv's options: a test that is killed takes daemon and namespace with it. */
const WITH_US = ['--pdeathsig', 'KILL', '--'];

export interface Guest extends Place {
  readonly info: GuestInfo;
  readonly v4: string;
  readonly v6: string;
}

class GuestPlace extends Place implements Guest {
  readonly info: GuestInfo;
  readonly v4: string;
  readonly v6: string;
  constructor(info: GuestInfo) {
    super(info.pid);
    this.info = info;
    [this.v4, this.v6] = info.addresses.map((address) => address.split('/')[0]);
  }
}

export class Ferry {
  readonly directory: string;
  /** Where nf0 is. */
  readonly host: Place;
  readonly client: ControlClient;
  readonly #keeper: Background | undefined;
  daemon!: Background;

  private constructor(host: Place, keeper?: Background) {
    this.directory = mkdtempSync(join(tmpdir(), 'netferry-e2e-'));
    this.#keeper = keeper;
    this.host = host;
    const { directory } = this;
    this.client = new ControlClient({ directory, uid: process.getuid!() });
  }

  static async start(...options: string[]): Promise<Ferry> {
    // Holds the namespace, so that what a dead daemon leaves behind can be seen.
    const stay = 'ip link set lo up && echo ready && exec sleep 86400';
    const keeper = background(
      spawn('setpriv', [...WITH_US, 'unshare', '--net', 'sh', '-c', stay], {
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      }),
    );
    await until('a network namespace', () => keeper.text().includes('ready'));
    const ferry = new Ferry(new Place(keeper.pid), keeper);
    await ferry.up(...options);
    return ferry;
  }

  /** In a place that is there already; no daemon runs yet. */
  static in(host: Place): Ferry {
    return new Ferry(host);
  }

  /** Starts the daemon: the first, or the next after one that ended. */
  up(...options: string[]): Promise<void> {
    return this.run('--host-ip', `${HOST.v4}/24`, '--host-ip', `${HOST.v6}/64`, ...options);
  }

  /** The same, with these options alone. Throws with what it said when it does not come up. */
  async run(...options: string[]): Promise<void> {
    this.daemon = this.host.start([process.execPath, ENTRY, 'up', '--dir', this.directory, ...options]);
    const { daemon } = this;
    let dead = false;
    daemon.ended.then((output) => {
      dead = true;
      if (process.env.NETFERRY_E2E_LOG) process.stderr.write(output.stderr);
    });
    await until('the daemon is up', () => dead || daemon.text().includes(' is up: '), 15_000);
    if (dead) throw new Error(`netferry up: ${(await daemon.ended).stderr}`);
  }

  /** `netferry …`, in the host's namespace. */
  cli(...args: string[]): Promise<string> {
    return this.host.run([process.execPath, ENTRY, '--dir', this.directory, ...args]);
  }

  async guest(name: string, ...options: string[]): Promise<Guest> {
    const info = JSON.parse(await this.cli('guest', 'run', name, '-d', '--json', ...options)) as GuestInfo;
    return new GuestPlace(info);
  }

  /** The port of a guest, or the host's with no name. */
  async vif(guest: Guest | null): Promise<Vif & { counters: PortCounters }> {
    const vifs = await this.client.vifs();
    const vif = vifs.find((one) => one.guest === (guest ? guest.info.name : null));
    if (!vif?.counters) throw new Error(`no connected vif of ${guest?.info.name ?? 'the host'}`);
    return { ...vif, counters: vif.counters };
  }

  /** Output of one of Debian's xenstore tools. */
  xenstore(tool: string, ...args: string[]): { code: number; stdout: string; stderr: string } {
    const env = { ...process.env, XENSTORED_PATH: join(this.directory, 'xenstored.sock') };
    const run = spawnSync(`xenstore-${tool}`, args, { env, encoding: 'utf8', timeout: 10_000 });
    return { code: run.status ?? 1, stdout: run.stdout, stderr: run.stderr };
  }

  /** Ends whatever still runs. */
  async stop(): Promise<void> {
    await this.daemon?.stop('SIGTERM');
    await this.#keeper?.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  sockets(): string[] {
    return existsSync(this.directory)
      ? readdirSync(this.directory).filter((name) => name.endsWith('.sock'))
      : [];
  }
}

/** Processes in a network namespace (`net:[…]`, of readlink), by pid. */
export function processesIn(namespace: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) === namespace && stateOf(pid) !== 'Z';
      } catch {
        return false; // it ended meanwhile
      }
    });
}

export function namespaceOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}

export function alive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== undefined && state !== 'Z';
}

function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0];
  } catch {
    return undefined;
  }
}

/** What a process holds. */
export interface Holdings {
  readonly fds: number;
  /** Mappings of files and shared memory, and all of the arena's own. V8's heap, which comes and goes, is not in it. */
  readonly maps: number;
  /** Mappings of guests' memory. */
  readonly guestMaps: number;
  /** Bytes of memory. */
  readonly resident: number;
}

export function holdings(pid: number): Holdings {
  const maps = mappingsOf(pid);
  const arena = arenaIn(maps);
  return {
    fds: readdirSync(`/proc/${pid}/fd`).length,
    maps: maps.filter((map) => map.name !== '' || arena.includes(map)).length,
    guestMaps: maps.filter((map) => map.name.startsWith('/memfd:netferry:')).length,
    resident: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024,
  };
}

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly accessible: boolean;
  readonly name: string;
}

function mappingsOf(pid: number): Mapping[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [range, permissions, , , , name = ''] = line.split(/\s+/);
    const [start, end] = range.split('-').map((address) => Number.parseInt(address, 16));
    return { start, end, accessible: !permissions.startsWith('---'), name };
  });
}

/** The arena: the longest run of mappings without a gap. */
function arenaIn(maps: readonly Mapping[]): readonly Mapping[] {
  const runs: Mapping[][] = [];
  for (const map of maps.filter(({ accessible }) => accessible)) {
    const run = runs.at(-1);
    if (run?.at(-1)?.end === map.start) run.push(map);
    else runs.push([map]);
  }
  const length = (run: readonly Mapping[]) => run[run.length - 1].end - run[0].start;
  return runs.reduce((longest, run) => (length(run) > length(longest) ? run : longest));
}
