/** Out of Debian's kernel package: the ELF that Xen starts as dom0, and modules with what they depend on. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Bytes that the unpacked kernel may have. */
const VMLINUX_MAX = 256 << 20;

/**
 * Writes the xz payload of a bzImage, unpacked. Xen would unpack it too, emulated.
 * Offsets of setup_sects, payload_offset, payload_length: Documentation/x86/boot.rst.
 */
export function unpackKernel(bzImage: string, to: string): void {
  const image = readFileSync(bzImage);
  const realMode = (image[0x1f1] + 1) * 512;
  const start = realMode + image.readUInt32LE(0x248);
  // The last four bytes say how long the kernel is once unpacked.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const { status, stdout, stderr } = spawnSync('xz', ['-dc'], { input: payload, maxBuffer: VMLINUX_MAX });
  if (status !== 0) throw new Error(`${bzImage}: xz says ${stderr}`);
  if (stdout.subarray(1, 4).toString() !== 'ELF') throw new Error(`${bzImage}: what it packs is no ELF file`);
  writeFileSync(to, stdout);
}

/**
 * The modules of these names and all that they depend on, as paths below the modules' folder, by its modules.dep.
 * Throws when one is unknown.
 */
export function moduleClosure(modulesDep: string, names: readonly string[]): string[] {
  const lines = readFileSync(modulesDep, 'utf8').trim().split('\n');
  const known = new Map<string, string[]>();
  for (const line of lines) {
    const [path, rest] = line.split(': ?', 2)[0].split(':');
    known.set(moduleName(path), [path, ...rest.trim().split(' ').filter(Boolean)]);
  }
  const wanted = new Set<string>();
  for (const name of names) {
    const paths = known.get(name);
    if (paths === undefined) throw new Error(`the kernel has no module ${name}`);
    for (const path of paths) wanted.add(path);
  }
  return [...wanted].sort();
}

function moduleName(path: string): string {
  return basename(path, '.ko').replaceAll('-', '_');
}
