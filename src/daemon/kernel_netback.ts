/**
 * Linux's own netback, as far as we must know of it: which vifs it has. It takes every vif of this domain while its
 * driver is registered; only one that an admin unbound by hand (drivers/vif/unbind) stays free.
 */
import { execFile } from 'node:child_process';
import { existsSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Where the kernel lists back-end devices and their drivers; tests have one of their own. */
const BUS = '/sys/bus/xen-backend';
/** ms that a vif must be seen unbound before the kernel is taken to leave it: it binds what is new in no time. */
const UNBOUND = 900;
/** ms after which a device that is not there will not come any more. */
const GONE = 10_000;

export class KernelNetback {
  readonly #bus: string;
  readonly #gone: number;
  /** By device: since when it is seen unbound. A device of the same number is another inode. */
  readonly #unbound = new Map<string, { inode: number; since: number }>();

  /** `gone`: ms after which a device that is not there is forgotten. */
  constructor(bus = BUS, gone = GONE) {
    this.#bus = bus;
    this.#gone = gone;
  }

  /** The module's name where its driver is registered; '' for one that is built into the kernel. */
  get module(): string | undefined {
    if (!existsSync(join(this.#bus, 'drivers/vif'))) return undefined;
    return nameBehind(join(this.#bus, 'drivers/vif/module')) ?? '';
  }

  /**
   * Who has the vif, and what to do about that; undefined when nobody has and nobody is about to.
   * `serving`: we have it at present.
   */
  holderOf(domid: number, handle: number, serving: boolean): string | undefined {
    const { module } = this;
    if (module === undefined) {
      this.#unbound.clear();
      return undefined;
    }
    const device = join(this.#bus, 'devices', `vif-${domid}-${handle}`);
    // The module cannot go while it has a vif.
    const unbind = `echo vif-${domid}-${handle} >${BUS}/drivers/vif/unbind`;
    const holder = `${module || 'kernel netback'} has it: ${unbind}, then ${remedy(module)}`;
    if (nameBehind(join(device, 'driver')) !== undefined) {
      this.#unbound.delete(device);
      return holder;
    }
    if (serving) return undefined;
    const now = performance.now();
    const inode = statSync(device, { throwIfNoEntry: false })?.ino ?? 0;
    let seen = this.#unbound.get(device);
    if (seen?.inode !== inode) {
      this.#prune(now);
      seen = { inode, since: now };
      this.#unbound.set(device, seen);
    }
    return now - seen.since < UNBOUND ? holder : undefined;
  }

  /** Devices that it remembers: those there are, and some that are about to come or just went. */
  get remembered(): number {
    return this.#unbound.size;
  }

  #prune(now: number): void {
    for (const [device, { since }] of this.#unbound)
      if (now - since > this.#gone && !existsSync(device)) this.#unbound.delete(device);
  }
}

/** The alias by which the kernel asks for a driver of a new vif. */
const ALIAS = 'xen-backend:vif';
const MODPROBE_TIMEOUT = 5000;

/** Whether the module would be loaded with the first vif, because it is there and not blacklisted. */
export function comesByItself(): Promise<boolean> {
  return new Promise((resolve) => {
    const args = ['--dry-run', '--verbose', '--use-blacklist', ALIAS];
    execFile('modprobe', args, { timeout: MODPROBE_TIMEOUT }, (error, stdout) => {
      resolve(!error && /^insmod .*xen[-_]netback/m.test(stdout));
    });
  });
}

/** What to do so that new vifs are ours. */
export function remedy(module: string): string {
  if (module === '') return 'it is built into this kernel: what it has can be unbound (docs/xen.md)';
  return `modprobe -r ${module}, and blacklist it (docs/xen.md)`;
}

function nameBehind(link: string): string | undefined {
  try {
    return basename(readlinkSync(link));
  } catch {
    return undefined;
  }
}
