/** What this kernel and this user can do, by trying it; nothing is left behind, and what others left is taken back. */
import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { F_SEAL_GROW, F_SEAL_SHRINK } from '../abi/fcntl.js';
import { Arena } from '../arena/arena.js';
import { sweepClsact } from '../hook/attach_clsact.js';
import { type AttachProblems, attachProblems } from '../hook/probe.js';
import { FEATURES, sweepFeatures } from '../hook/switched_off.js';
import { SetupError } from '../sys/errors.js';
import { close } from '../sys/libc.js';
import { sealedMemory, sealsOf } from '../sys/memory.js';
import { TUN_DEVICE } from '../sys/tun.js';
import { URING_MEMORY, uringProblem } from '../sys/uring.js';
import { copyVectors } from '../sys/vector_io.js';
import { limitFor, MAP_COUNT, mapLimit, vifsWithin } from './cache_budget.js';
import { checkDirectory } from './directory.js';
import type { Check } from './doctor_check.js';
import { examineXen } from './doctor_xen.js';

/** linux/capability.h: of those that make root what it is, what taps, namespaces and eBPF need; and an uplink's packet socket. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 };
const UPLINK_CAPABILITIES = { ...CAPABILITIES, CAP_NET_RAW: 13 };
/** Vifs with mapping caches of their own that a machine should have room for. */
const MANY = 128;
const UNSHARE_TIMEOUT = 5000;
const ARENA_SIZE = 1 << 20;

/** All checks, in the order a reader wants them. `directory`: where the daemon would live; `uid`: who asks. */
export async function examine(directory: string, uid: number): Promise<Check[]> {
  return [
    node(),
    kernel(),
    privilege(uid),
    tun(),
    sealedMemories(),
    tool('unshare', 'guests, and everything without root', true),
    tool('nsenter', 'guest exec, and the demo', true),
    tool('setpriv', 'guests that end together with their daemon', false),
    runtimeDirectory(directory, uid),
    uring(),
    crossMemory(),
    hookCheck(attachProblems()),
    ...leftovers(uid),
    mapCount(),
    ipv6(),
    tool('xenstore-ls', 'a look into the xenstore (Debian: xenstore-utils)', false),
    ...(await examineXen()),
  ];
}

/** Whether the main job can run. */
export function isFit(checks: readonly Check[]): boolean {
  return checks.every((check) => check.ok || !check.required);
}

function node(): Check {
  const version = process.versions.node;
  const ok = Number.parseInt(version, 10) >= 20;
  return {
    name: 'Node',
    ok,
    found: ok ? version : `${version}, 20 is needed`,
    cost: 'everything',
    required: true,
  };
}

function kernel(): Check {
  const version = release();
  const [major, minor] = version.split('.').map((part) => Number.parseInt(part, 10));
  // SCM_RIGHTS, memfd seals and namespaces are older; this is the oldest Debian kernel worth the name.
  const ok = major > 4 || (major === 4 && minor >= 19);
  return {
    name: 'Linux',
    ok,
    found: ok ? version : `${version}, 4.19 is needed`,
    cost: 'everything',
    required: true,
  };
}

function privilege(uid: number): Check {
  const cost = 'the daemon, its taps and the guests';
  const check = (ok: boolean, found: string): Check => ({
    name: 'privileges',
    ok,
    found,
    cost,
    required: true,
  });
  if (canMakeTaps(uid)) return check(true, 'root');
  const refused = userNamespaceProblem();
  if (refused === undefined)
    return check(true, 'user namespaces: the host port lives in a namespace of its own');
  return check(
    false,
    `${uid === 0 ? `root without ${lackingCapabilities().join(' and ')}` : 'not root'}; ${refused}`,
  );
}

/** Whether this process may make taps and namespaces where it is: root in more than name. */
export function canMakeTaps(uid: number): boolean {
  return uid === 0 && lackingCapabilities().length === 0;
}

/** What root needs, for an uplink too if that is asked for, and this process has not: in a container, for one. */
export function lackingCapabilities(uplink = false): string[] {
  return Object.entries(uplink ? UPLINK_CAPABILITIES : CAPABILITIES)
    .filter(([, capability]) => !hasCapability(capability))
    .map(([name]) => name);
}

/** Why this user gets no user namespace, or undefined. */
export function userNamespaceProblem(): string | undefined {
  const run = spawnSync('unshare', ['--user', '--map-root-user', '--net', 'true'], {
    encoding: 'utf8',
    timeout: UNSHARE_TIMEOUT,
  });
  if (run.status === 0) return undefined;
  if (run.error) return `unshare: ${(run.error as NodeJS.ErrnoException).code ?? run.error.message}`;
  return run.stderr.trim().split('\n')[0] || `unshare ended with ${run.status ?? run.signal}`;
}

function hasCapability(capability: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status') ?? '')?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> BigInt(capability)) & 1n) === 1n;
}

function tun(): Check {
  const check = (ok: boolean, found: string): Check => ({
    name: TUN_DEVICE,
    ok,
    found,
    cost: 'the host port and the guests’ eth0',
    required: true,
  });
  try {
    closeSync(openSync(TUN_DEVICE, constants.O_RDWR));
    return check(true, 'opens');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const denied = code === 'EACCES' || code === 'EPERM';
    return check(false, `${code}: ${denied ? `chmod 0666 ${TUN_DEVICE}` : 'modprobe tun'}`);
  }
}

function sealedMemories(): Check {
  return attempt('sealed memory files', 'guests’ memory', true, () => {
    const fd = sealedMemory('netferry-doctor', 4096);
    const seals = sealsOf(fd);
    close(fd);
    if ((seals & F_SEAL_SHRINK) === 0 || (seals & F_SEAL_GROW) === 0)
      throw new SetupError('seals are not kept');
    return 'memfd_create, F_ADD_SEALS';
  });
}

function uring(): Check {
  return attempt('io_uring in the arena', 'batches on taps: one call a frame instead', false, () => {
    const arena = Arena.create(ARENA_SIZE);
    const problem = uringProblem(arena.base, arena.u32, arena.allocate(URING_MEMORY, 'io_uring'));
    if (problem)
      throw new SetupError(
        `${problem.message} (Linux 6.6 has it, where it is not switched off; before, a tap's rings lie outside)`,
      );
    return 'IORING_SETUP_NO_MMAP';
  });
}

/** Reads eight bytes of our own memory the way grant-copy reads a guest's. */
function crossMemory(): Check {
  return attempt(
    'process_vm_readv',
    'grant copies from guests of which the arena has no room for a view',
    false,
    () => {
      const arena = Arena.create(ARENA_SIZE);
      const page = arena.allocate(4096, 'a copy');
      const [source, target, remote, local] = [page, page + 64, page + 128, page + 144];
      for (const [iov, address] of [
        [remote, source],
        [local, target],
      ]) {
        arena.view.setBigUint64(iov, BigInt(arena.base + address), true);
        arena.view.setBigUint64(iov + 8, 8n, true);
      }
      arena.view.setBigUint64(source, 0x6e65746665727279n, true);
      const result = copyVectors(arena.base + local, arena.base + remote, 1);
      if (result !== 8 || arena.view.getBigUint64(target, true) !== 0x6e65746665727279n) {
        throw new SetupError(`refused (${result}): a seccomp filter or a container’s policy`);
      }
      return 'works';
    },
  );
}

/** How eBPF programs can be attached to interfaces, as tried in a network namespace made for it. */
export function hookCheck({ tcx, clsact }: AttachProblems): Check {
  const found = !tcx
    ? 'TCX (BPF links)'
    : !clsact
      ? `clsact filters; TCX: ${tcx}`
      : `neither TCX (${tcx}) nor clsact (${clsact})`;
  return {
    name: 'eBPF on interfaces',
    ok: !tcx || !clsact,
    found,
    cost: 'up --uplink and attach: guests reach each other and the host port',
    required: false,
  };
}

/** What a killed daemon could not take back and no successor has: it is taken back here. */
function leftovers(uid: number): Check[] {
  if (!canMakeTaps(uid)) return [];
  const cost = 'what was there before a daemon was killed';
  const check = attempt('left behind', cost, false, () => {
    const filters = sweepClsact();
    const features = sweepFeatures();
    const [problem] = FEATURES.records.takeProblems();
    if (problem !== undefined) throw new SetupError(`a record of features that are off: ${problem}`);
    const back = [
      ...features.map((one) => `${one} is on again`),
      ...filters.map((one) => `${one}: filters removed`),
    ];
    return back.length > 0 ? `by a killed daemon, taken back now: ${back.join(', ')}` : 'nothing';
  });
  return [check];
}

function mapCount(): Check {
  const limit = mapLimit();
  const vifs = limit === undefined ? 0 : vifsWithin(limit);
  const enough = `${limit}, enough for the mapping caches of ${vifs} vifs`;
  return {
    name: 'vm.max_map_count',
    ok: limit !== undefined && limit >= MAP_COUNT,
    found:
      limit === undefined
        ? 'not to be read'
        : vifs >= MANY
          ? enough
          : `${enough}; for ${MANY}: sysctl -w vm.max_map_count=${limitFor(MANY)}`,
    cost: 'mapping caches of more vifs (transfer persistent): their pages are copied by grant',
    required: false,
  };
}

function ipv6(): Check {
  const ok = existsSync('/proc/net/if_inet6');
  return {
    name: 'IPv6',
    ok,
    found: ok ? 'on' : 'off',
    cost: 'IPv6 addresses of host and guests',
    required: false,
  };
}

function runtimeDirectory(directory: string, uid: number): Check {
  return attempt('runtime directory', 'the daemon’s sockets', true, () =>
    checkDirectory(directory, uid) ? directory : `${directory}, to be made`,
  );
}

function tool(name: string, cost: string, required: boolean): Check {
  const path = findInPath(name);
  const found =
    path ?? (name === 'xenstore-ls' ? 'not installed' : 'not installed: apt-get install util-linux');
  return { name, ok: path !== undefined, found, cost, required };
}

/** Where `name` would be run from, or undefined. */
export function findInPath(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

function attempt(name: string, cost: string, required: boolean, probe: () => string): Check {
  try {
    return { name, ok: true, found: probe(), cost, required };
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return {
      name,
      ok: false,
      found: error.hint ? `${error.message}: ${error.hint}` : error.message,
      cost,
      required,
    };
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
