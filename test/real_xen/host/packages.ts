/**
 * Debian's packages, unpacked into a folder and never installed: Xen in a machine's own boot set-up is nobody's wish.
 *
 * What apt would download now (names, versions, hashes) is the cache's key: a security update makes a new image.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './command.js';

/** What the images are made of. Libraries come by dependency. */
const WANTED = [
  // Xen and its toolstack.
  ...['xen-hypervisor-4.17-amd64', 'xen-utils-4.17', 'xen-utils-common', 'xenstore-utils'],
  // What guests and dom0 run.
  ...['busybox-static', 'dash', 'bash', 'kmod', 'iperf3', 'iproute2', 'iputils-ping', 'ethtool', 'socat'],
  ...['iptables', 'nftables', 'tcpdump', 'util-linux'],
  // For node, which comes from this machine.
  ...['libstdc++6', 'libgcc-s1'],
];
/** Depends on the package of the current kernel. */
const KERNEL = 'linux-image-amd64';

/** The machine lacks something: said to whoever runs the tests, who can install it. */
export class Unavailable extends Error {}

export interface PackageList {
  readonly names: readonly string[];
  /** Changes with any version. */
  readonly hash: string;
}

/** What apt would give now. Throws Unavailable when it does not know a package. */
export async function listPackages(): Promise<PackageList> {
  const kernel = (await dependencies([KERNEL])).filter((name) => /^linux-image-\d/.test(name));
  const names = new Set([...WANTED, ...kernel]);
  for (let found = [...names]; found.length > 0; ) {
    found = (await dependencies(found)).filter((name) => /^z?lib/.test(name) && !names.has(name));
    for (const name of found) names.add(name);
  }
  const sorted = [...names].sort();
  // In an empty folder: apt says nothing of files that are there already.
  const empty = mkdtempSync(join(tmpdir(), 'netferry-xen-'));
  try {
    const uris = await apt('apt-get', ['download', '--print-uris', ...sorted], empty);
    return { names: sorted, hash: createHash('sha256').update(uris).digest('hex').slice(0, 16) };
  } finally {
    rmSync(empty, { recursive: true, force: true });
  }
}

/** Downloads and unpacks into `folder`, with /bin, /sbin and /lib merged into /usr as Debian has them. */
export async function unpackPackages(list: PackageList, folder: string): Promise<void> {
  const debs = join(folder, '.debs');
  mkdirSync(debs, { recursive: true });
  await apt('apt-get', ['download', '-q', ...list.names], debs);
  // Two names for one folder: tar follows the links, so that all lies below usr/.
  await run('sh', [
    '-ec',
    `cd "$0"; for name in bin sbin lib lib64; do mkdir -p usr/$name; ln -s usr/$name $name; done
     for deb in .debs/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink; done`,
    folder,
  ]);
  rmSync(debs, { recursive: true, force: true });
}

/** The only entry of `folder` that matches, as a path. */
export function only(folder: string, pattern: RegExp): string {
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => pattern.test(name)) : [];
  if (found.length !== 1)
    throw new Error(`${folder}: ${found.length} entries match ${pattern}, not one: ${found}`);
  return join(folder, found[0]);
}

async function dependencies(names: readonly string[]): Promise<string[]> {
  const text = await apt('apt-cache', ['depends', ...names]);
  return Array.from(text.matchAll(/^ [ |](?:Pre)?Depends: ([\w.+-]+)$/gm), ([, name]) => name);
}

async function apt(program: string, args: readonly string[], cwd?: string): Promise<string> {
  try {
    return await run(program, args, { ...(cwd && { cwd }), env: { LC_ALL: 'C' } });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Unavailable(`apt cannot give the packages (apt-get update?): ${message}`, { cause });
  }
}
