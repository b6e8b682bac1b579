/** What of a Xen host is here, for `netferry doctor`. Elsewhere: one line that says so. */
import { existsSync } from 'node:fs';
import { isXenDomain } from '../sys/xen_device.js';
import type { Check } from './doctor_check.js';
import { comesByItself, KernelNetback, remedy } from './kernel_netback.js';
import { deviceProblems, isControlDomain, openHostXenstore, ownDomid, xenstoreWay } from './xen_host.js';

/** None of it is required: without it the embedded platform is used. */
export async function examineXen(): Promise<Check[]> {
  const xen = isXenDomain() || existsSync('/proc/xen/capabilities');
  if (!xen) return [check('Xen', true, 'none: the embedded platform is used')];
  return [
    check('Xen', true, isControlDomain() ? 'dom0' : 'a domain; as a driver domain it can serve others'),
    devices(),
    await xenstore(),
    await netback(),
  ];
}

const GUESTS = 'Xen’s guests: the embedded platform is used';

function devices(): Check {
  const problems = deviceProblems().map(({ path, problem, remedy: what }) => `${path} ${problem}: ${what}`);
  return check('Xen devices', problems.length === 0, problems.join('; ') || 'gntdev, evtchn', GUESTS);
}

async function xenstore(): Promise<Check> {
  try {
    const store = await openHostXenstore();
    try {
      return check('xenstore', true, `${xenstoreWay()}: this is domain ${await ownDomid(store)}`);
    } finally {
      store.close();
    }
  } catch (error) {
    const { message, hint = '' } = error as Error & { hint?: string };
    return check('xenstore', false, hint ? `${message}: ${hint}` : message, GUESTS);
  }
}

async function netback(): Promise<Check> {
  const { module } = new KernelNetback();
  const row = (ok: boolean, found: string) =>
    check('kernel netback', ok, found, 'vif for netferry: the kernel takes them all');
  if (module !== undefined) return row(false, `${module || 'xen-netback'} is there: ${remedy(module)}`);
  if (await comesByItself())
    return row(false, 'it comes with the first vif: blacklist xen_netback (docs/xen.md)');
  return row(true, 'not loaded');
}

function check(name: string, ok: boolean, found: string, cost = ''): Check {
  return { name, ok, found, cost, required: false };
}
