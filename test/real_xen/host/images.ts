/** What is built once for a set of packages and kept: Xen, the kernel, dom0's base image, the guests' image. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Archive } from './archive.js';
import { run } from './command.js';
import { moduleClosure, unpackKernel } from './kernel.js';
import { addPrograms, LIBRARIES } from './libraries.js';
import { addProductionModules } from './node_modules.js';
import { listPackages, only, unpackPackages } from './packages.js';

/** The repository; this file is dist/test/real_xen/host/images.js in it. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** Shell scripts that become /init of the images: nothing compiles them. */
export const INIT = join(ROOT, 'test/real_xen/init');
/** Milliseconds after which an image that nobody used is removed. */
const UNUSED = 14 * 24 * 3600_000;

/** Paths of the machine's parts. */
export interface Images {
  readonly xen: string;
  /** The same for dom0 and guests. */
  readonly kernel: string;
  readonly dom0: string;
  readonly guest: string;
}

const XEN_TOOLS = [
  ...['xl', 'libxl-save-helper', 'xenstored', 'oxenstored', 'xenconsoled', 'xenconsole', 'xen-init-dom0'],
  ...['lsevtchn', 'xenstore-control', 'xentop', 'xenpm', 'xen-diag'],
];
const DOM0_PROGRAMS = [
  ...[
    'dash',
    'bash',
    'kmod',
    'iperf3',
    'ip',
    'tc',
    'bridge',
    'ss',
    'nft',
    'xtables-nft-multi',
    'tcpdump',
    'socat',
  ],
  ...['ping', 'ethtool', 'xenstore', 'node', 'setpriv'],
];
const DOM0_LINKS: Record<string, string> = {
  'usr/sbin/modprobe': '/usr/bin/kmod',
  'usr/sbin/rmmod': '/usr/bin/kmod',
  'usr/sbin/insmod': '/usr/bin/kmod',
  'usr/sbin/lsmod': '/usr/bin/kmod',
  'usr/sbin/iptables': '/usr/sbin/xtables-nft-multi',
  'usr/sbin/ip6tables': '/usr/sbin/xtables-nft-multi',
  'usr/sbin/ebtables': '/usr/sbin/xtables-nft-multi',
  ...Object.fromEntries(
    ['chmod', 'exists', 'list', 'ls', 'read', 'rm', 'watch', 'write'].map((verb) => [
      `usr/bin/xenstore-${verb}`,
      'xenstore',
    ]),
  ),
};
/** /init loads the first line; the others are for scenarios and for the kernel's own requests. */
const DOM0_MODULES = [
  ...['xen_evtchn', 'xen_gntdev', 'xen_gntalloc', 'xen_privcmd', 'xenfs', 'tun'],
  ...['xen_netback', 'xen_netfront', 'bridge', 'br_netfilter', 'veth', 'dummy'],
  ...['8021q', 'macvlan', 'bonding'],
  ...['sch_ingress', 'sch_htb', 'sch_tbf', 'sch_netem', 'cls_bpf', 'cls_u32', 'cls_matchall', 'cls_flower'],
  ...['act_bpf', 'act_mirred', 'act_gact', 'act_police', 'act_skbedit', 'act_csum'],
  // nf_tables asks for an implementation of CRC32C by its alias.
  ...['crc32c_generic', 'nf_tables', 'nft_compat', 'nft_ct', 'nft_masq', 'nft_nat', 'nft_chain_nat'],
  ...['nft_reject', 'nft_reject_inet', 'nft_meta_bridge', 'nft_reject_bridge', 'nf_conntrack_bridge'],
  ...['xt_physdev', 'xt_conntrack', 'xt_comment', 'xt_tcpudp'],
];
const GUEST_PROGRAMS = ['dash', 'iperf3', 'ethtool', 'socat', 'ping', 'ip', 'tc'];
const GUEST_MODULES = ['xen_netfront'];

/** The images for today's packages, built when the cache has none. Throws Unavailable when apt cannot give them. */
export async function provideImages(say: (text: string) => void): Promise<Images> {
  const packages = await listPackages();
  const cache = process.env.NETFERRY_XEN_CACHE || join(cacheHome(), 'netferry-xen');
  const folder = join(cache, `${packages.hash}-${recipeHash()}`);
  if (!existsSync(folder)) {
    say(`building the images from ${packages.names.length} packages into ${folder}`);
    const partial = `${folder}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    try {
      const root = join(partial, 'root');
      mkdirSync(root);
      await unpackPackages(packages, root);
      await build(root, partial);
      rmSync(root, { recursive: true, force: true });
      if (!existsSync(folder)) renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
    removeUnused(cache);
  }
  utimesSync(folder, new Date(), new Date());
  return inFolder(folder);
}

function inFolder(folder: string): Images {
  return {
    xen: join(folder, 'xen'),
    kernel: join(folder, 'vmlinux'),
    dom0: join(folder, 'dom0.cpio'),
    guest: join(folder, 'guest.cpio'),
  };
}

function cacheHome(): string {
  return process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
}

/** Changes when the image would: with this folder's code, the packages of npm, and node. */
function recipeHash(): string {
  const hash = createHash('sha256').update(process.version);
  const here = fileURLToPath(new URL('.', import.meta.url));
  const recipe = ['archive', 'images', 'kernel', 'libraries', 'node_modules', 'packages'];
  const files = [...recipe.map((name) => join(here, `${name}.js`)), join(ROOT, 'package-lock.json')];
  for (const path of files) hash.update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

function removeUnused(cache: string): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (Date.now() - statSync(path).mtimeMs > UNUSED) rmSync(path, { recursive: true, force: true });
  }
}

async function build(root: string, folder: string): Promise<void> {
  const images = inFolder(folder);
  writeFileSync(images.xen, gunzipSync(readFileSync(only(join(root, 'boot'), /^xen-.*\.gz$/))));
  unpackKernel(only(join(root, 'boot'), /^vmlinuz-/), images.kernel);
  const modules = only(join(root, 'usr/lib/modules'), /^\d/);
  await depmod(root, modules);
  const guest = new Archive();
  await addGuest(guest, root, modules);
  guest.write(images.guest);
  const dom0 = new Archive();
  await addDom0(dom0, root, modules);
  dom0.file('boot/vmlinux', images.kernel);
  dom0.write(images.dom0);
}

/** Writes modules.dep and its companions, which the package leaves to its installation. */
async function depmod(root: string, modules: string): Promise<void> {
  const program = join(root, 'usr/bin/depmod');
  symlinkSync('kmod', program); // the package's own link is an absolute one
  await run(program, ['-b', join(root, 'usr'), basename(modules)], {
    env: { LD_LIBRARY_PATH: join(root, LIBRARIES) },
  });
}

async function addDom0(dom0: Archive, root: string, modules: string): Promise<void> {
  dom0.folder('proc', 'sys', 'dev', 'tmp', 'run', 'root', 'var/lib/xen', 'var/log/xen', 'var/lib/xenstored');
  const xen = only(join(root, 'usr/lib'), /^xen-\d/);
  const programs: Record<string, string> = {};
  for (const name of DOM0_PROGRAMS) Object.assign(programs, locate(root, name));
  for (const name of XEN_TOOLS) programs[`usr/lib/${basename(xen)}/bin/${name}`] = join(xen, 'bin', name);
  await addPrograms(dom0, root, programs);
  for (const [path, target] of Object.entries(DOM0_LINKS)) dom0.link(path, target);
  dom0.link('usr/lib/xen', basename(xen));
  // Extensions of iptables are opened by name at run time.
  const xtables = join(root, LIBRARIES, 'xtables');
  dom0.tree(
    `${LIBRARIES}/xtables`,
    xtables,
    (path) => /physdev|conntrack|comment|mark|standard|tcp|udp/.test(path) || path.endsWith('xtables'),
  );
  dom0.tree('etc/xen/scripts', join(root, 'etc/xen/scripts'));
  dom0.file('etc/xen/oxenstored.conf', join(root, 'etc/xen/oxenstored.conf'));
  dom0.text('etc/xen/xl.conf', 'autoballoon="off"\nclaim_mode=0\n');
  addModules(dom0, modules, DOM0_MODULES);
  for (const name of readdirSync(modules)) {
    if (name.startsWith('modules.'))
      dom0.file(`usr/lib/modules/${basename(modules)}/${name}`, join(modules, name));
  }
  addProductionModules(dom0, 'netferry/node_modules', ROOT);
  await addBase(dom0, root);
}

async function addGuest(guest: Archive, root: string, modules: string): Promise<void> {
  guest.folder('proc', 'sys', 'dev', 'tmp', 'run', 'root');
  const programs: Record<string, string> = {};
  for (const name of GUEST_PROGRAMS) Object.assign(programs, locate(root, name));
  await addPrograms(guest, root, programs);
  addModules(guest, modules, GUEST_MODULES);
  for (const name of GUEST_MODULES) {
    const [path] = moduleClosure(join(modules, 'modules.dep'), [name]).filter((module) =>
      module.endsWith(`${name.replaceAll('_', '-')}.ko`),
    );
    guest.link(`modules/${name}.ko`, `/usr/lib/modules/${basename(modules)}/${path}`);
  }
  await addBase(guest, root);
}

/** Folders, users, and busybox under each of its names that no other program has. */
async function addBase(archive: Archive, root: string): Promise<void> {
  archive.folder('usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'etc');
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) archive.link(name, `usr/${name}`);
  archive.link('var/run', '/run').link('var/lock', '/run/lock').folder('run/lock');
  archive.text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n').text('etc/group', 'root:x:0:\n');
  archive.text('etc/protocols', 'ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n');
  archive.text('etc/hosts', '127.0.0.1 localhost\n::1 localhost\n');
  // Debian's busybox sh prefers its own `ip` and `ping` to the real ones.
  archive.link('usr/bin/sh', 'dash');
  const busybox = join(root, 'usr/bin/busybox');
  archive.file('usr/bin/busybox', busybox, 0o755);
  for (const name of (await run(busybox, ['--list'])).trim().split('\n')) {
    if (!archive.has(`usr/bin/${name}`) && !archive.has(`usr/sbin/${name}`)) {
      archive.link(`usr/bin/${name}`, 'busybox');
    }
  }
}

function addModules(archive: Archive, modules: string, names: readonly string[]): void {
  for (const path of moduleClosure(join(modules, 'modules.dep'), names)) {
    archive.file(`usr/lib/modules/${basename(modules)}/${path}`, join(modules, path));
  }
}

/** Where a program goes and where it comes from. Node is this machine's. */
function locate(root: string, name: string): Record<string, string> {
  if (name === 'node') return { 'usr/bin/node': process.execPath };
  for (const folder of ['usr/bin', 'usr/sbin']) {
    const source = join(root, folder, name);
    if (existsSync(source)) return { [`${folder}/${name}`]: realpathSync(source) };
  }
  throw new Error(`no package has the program ${name}`);
}
