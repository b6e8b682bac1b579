/** Xen's devices of Linux: opening /dev/xen/…, and saying what is missing when that fails. */
import { constants, openSync, readFileSync } from 'node:fs';
import { SetupError } from './errors.js';

/** Linux module of each device. */
const MODULES = {
  gntdev: 'xen-gntdev',
  evtchn: 'xen-evtchn',
  gntalloc: 'xen-gntalloc',
  xenbus: 'xenfs',
} as const;
export type XenDevice = keyof typeof MODULES;

/** Is this machine a domain of Xen, dom0 or another? */
export function isXenDomain(): boolean {
  try {
    return readFileSync('/sys/hypervisor/type', 'utf8').trim() === 'xen';
  } catch {
    return false;
  }
}

/** Opens a device: never blocking, close-on-exec. Throws SetupError: no Xen, no module, no right. */
export function openXenDevice(device: XenDevice): number {
  const path = `/dev/xen/${device}`;
  try {
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    const hint =
      code === 'EACCES' || code === 'EPERM'
        ? 'run as root, or give your user the device'
        : isXenDomain()
          ? `load its module: modprobe ${MODULES[device]}`
          : 'this machine does not run under Xen: /sys/hypervisor/type does not say "xen"';
    throw new SetupError(`${path}: ${code}`, hint, { cause });
  }
}
