/** Whether this machine is a Xen host, and what of one is there: dom0 or a driver domain, its devices, its xenstore. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { SetupError } from '../sys/errors.js';
import { isXenDomain } from '../sys/xen_device.js';
import { openNativeXenstore } from '../xen/native/xenstore.js';
import type { PlatformKind } from '../xen/platform.js';
import type { XenStore } from '../xen/xenstore.js';

/** Where xenstored listens in its own domain; elsewhere the kernel's device leads to it (xen/native/xenstore.ts). */
const XENSTORE_SOCKETS = ['/run/xenstored/socket', '/var/run/xenstored/socket'];
const XENBUS = '/dev/xen/xenbus';
/** What a back end needs, and the module that makes it. */
const DEVICES = { gntdev: 'xen-gntdev', evtchn: 'xen-evtchn' } as const;
/** ms for the first answer: requests to the device wait for a xenstored that never starts. */
const FIRST_ANSWER = 5000;

export type PlatformChoice = PlatformKind | 'auto';

/** A device that is no use: why, and what to do. */
export interface DeviceProblem {
  readonly path: string;
  readonly problem: string;
  readonly remedy: string;
}

/** dom0, the control domain, has the toolstack. */
export function isControlDomain(): boolean {
  try {
    return readFileSync('/proc/xen/capabilities', 'utf8').includes('control_d');
  } catch {
    return false;
  }
}

/** What is wrong with the devices that a back end needs. */
export function deviceProblems(): DeviceProblem[] {
  const problems: DeviceProblem[] = [];
  for (const [device, module] of Object.entries(DEVICES)) {
    const path = `/dev/xen/${device}`;
    try {
      accessSync(path, constants.R_OK | constants.W_OK);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const remedy = code === 'ENOENT' ? `modprobe ${module}` : 'run it as root: sudo netferry up';
      problems.push({
        path,
        problem: code === 'ENOENT' ? 'is missing' : `cannot be opened: ${code}`,
        remedy,
      });
    }
  }
  return problems;
}

/** `auto`: native where this is a Xen domain that has the devices. Throws SetupError when `native` cannot be had. */
export function choosePlatform(choice: PlatformChoice, root: boolean): PlatformKind {
  if (choice === 'embedded') return 'embedded';
  const xen = isXenDomain() || existsSync('/proc/xen/capabilities');
  const problems = xen ? deviceProblems() : [];
  if (choice === 'auto') return xen && root && problems.length === 0 ? 'native' : 'embedded';
  if (!xen)
    throw new SetupError(
      'this is not a Xen host: neither /sys/hypervisor/type nor /proc/xen/capabilities says so',
      'leave --platform out: guests are processes then; or boot Xen',
    );
  if (problems.length > 0) {
    const [{ path, problem, remedy }] = problems;
    throw new SetupError(`${path} ${problem}`, remedy);
  }
  if (!root)
    throw new SetupError('without root there is no way to Xen’s guests', 'run it as root: sudo netferry up');
  return 'native';
}

/** Why this Xen domain is no host for us, where it could be one; undefined elsewhere. */
export function whyNotNative(): string | undefined {
  if (!isXenDomain() && !existsSync('/proc/xen/capabilities')) return undefined;
  const [first] = deviceProblems();
  return first && `${first.path} ${first.problem} (${first.remedy})`;
}

/** The way to xenstore: a socket, or the kernel's device. Throws SetupError when there is none. */
export function xenstoreWay(): string {
  const { XENSTORED_PATH: named } = process.env;
  const way = named ?? [...XENSTORE_SOCKETS, XENBUS].find((path) => existsSync(path));
  if (way !== undefined) return way;
  throw new SetupError(
    `there is no way to xenstore: neither ${XENSTORE_SOCKETS[0]} nor ${XENBUS}`,
    isControlDomain() ? 'start it: systemctl start xenstored' : 'modprobe xen-evtchn xenfs',
  );
}

/** A connection that has answered once. Throws SetupError when xenstored does not run. */
export async function openHostXenstore(): Promise<XenStore> {
  const way = xenstoreWay();
  let store: XenStore;
  try {
    store = await openNativeXenstore();
  } catch (cause) {
    throw notRunning(way, cause);
  }
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${FIRST_ANSWER / 1000} s`)), FIRST_ANSWER);
  });
  try {
    await Promise.race([store.tryRead('domid'), tooLong]);
    return store;
  } catch (cause) {
    store.close();
    throw notRunning(way, cause);
  } finally {
    clearTimeout(timer);
  }
}

/** The domain that we are in. Throws SetupError. */
export async function ownDomid(store: XenStore): Promise<number> {
  const text = await store.tryRead('domid');
  if (text !== undefined && /^\d{1,5}$/.test(text)) return Number(text);
  throw new SetupError(
    `xenstore does not say which domain this is (domid = ${text === undefined ? 'missing' : `"${text}"`})`,
    'finish dom0’s start: systemctl start xen-init-dom0',
  );
}

function notRunning(way: string, cause: unknown): SetupError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SetupError(
    `xenstored does not answer at ${way}: ${why}`,
    'start it: systemctl start xenstored',
    {
      cause,
    },
  );
}
