/** The part of dom0's image that changes with every build: our package, scenarios, the plan. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Boot, Plan } from '../protocol.js';
import { Archive } from './archive.js';
import { type Images, INIT, ROOT } from './images.js';

const PACKAGE = 'netferry';

/** Writes it to `path`. */
export function writeOverlay(path: string, guestImage: string, boot: Boot, plan: Plan): void {
  const archive = new Archive();
  archive.file('init', join(INIT, 'dom0.sh'), 0o755);
  archive.text('lab/boot.env', `XENSTORED=${boot.xenstored ?? 'xenstored'}\n`);
  archive.text('lab/plan.json', JSON.stringify(plan));
  archive.file('boot/guest.cpio', guestImage);
  for (const file of ['package.json', 'bin/netferry.js', 'dist/netferry.wasm']) {
    archive.file(`${PACKAGE}/${file}`, join(ROOT, file));
  }
  for (const folder of [
    'src',
    'assembly',
    'test/real_xen',
    'test/support',
    'test/hook/support',
    'test/xen',
    'test/assembly',
    'bench',
  ]) {
    archive.tree(`${PACKAGE}/dist/${folder}`, join(ROOT, 'dist', folder));
  }
  archive.write(path);
}

/** The guests' image with its /init, for all boots of a run. */
export function writeGuestImage(path: string, images: Images): void {
  const init = new Archive().file('init', join(INIT, 'guest.sh'), 0o755);
  init.write(path, readFileSync(images.guest));
}
