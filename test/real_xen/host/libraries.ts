/** Programs of the unpacked packages, with the shared libraries that they need. */
import { realpathSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import type { Archive } from './archive.js';
import { run } from './command.js';

export const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const LOADER = 'lib64/ld-linux-x86-64.so.2';

/**
 * Copies programs and their libraries into an archive. All libraries come from the unpacked packages, node's too:
 * nothing of this machine's own is mixed with them.
 */
export async function addPrograms(
  archive: Archive,
  root: string,
  programs: Readonly<Record<string, string>>,
): Promise<void> {
  const loader = realpathSync(join(root, LOADER));
  archive.file(`usr/${LOADER}`, loader, 0o755);
  for (const [path, source] of Object.entries(programs)) {
    if (!archive.has(path)) archive.file(path, source, 0o755);
    for (const library of await librariesOf(root, loader, source)) {
      const inside = relative(root, library).replace(/^lib\//, 'usr/lib/');
      if (!archive.has(inside)) archive.file(inside, library, 0o755);
    }
  }
}

/** As the unpacked loader resolves them. Throws when one is missing. */
async function librariesOf(root: string, loader: string, program: string): Promise<string[]> {
  const text = await run(loader, ['--library-path', join(root, LIBRARIES), '--list', program]);
  const missing = text.match(/^\s*(\S+) => not found$/m);
  if (missing) throw new Error(`${program} needs ${missing[1]}, which is in none of the packages`);
  const paths = Array.from(text.matchAll(/=> (\/\S+) \(/g), ([, path]) => path);
  return paths.filter((path) => {
    if (basename(path) === basename(LOADER)) return false; // by its fixed path, above
    if (!path.startsWith(root)) throw new Error(`${program}: ${path} is not of the packages`);
    return true;
  });
}
