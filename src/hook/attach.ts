/**
 * Programs onto an interface: by TCX links (Linux ≥ 6.6), or as direct-action filters of the clsact qdisc. Others'
 * programs on the same interface stay, and run in the order asked for.
 */
import { constants } from 'node:os';
import { BPF_TCX_INGRESS } from '../abi/bpf.js';
import { tcxQuery } from '../sys/bpf.js';
import { SetupError, SysError } from '../sys/errors.js';
import { linkInfo } from '../sys/netlink.js';
import { attachClsact, refuseClsact } from './attach_clsact.js';
import { attachTcx, refuseTcx } from './attach_tcx.js';
import type { Attachment, Mode, Orders, Programs, Target } from './attachment.js';

const { EINVAL, ENODEV } = constants.errno;

/** What this kernel can do on an interface of the caller's namespace: TCX if it knows it, else clsact. */
export function bestMode(target: Target): Mode {
  try {
    tcxQuery(target.ifindex, BPF_TCX_INGRESS);
    return 'tcx';
  } catch (error) {
    if (error instanceof SysError && error.errno === EINVAL) return 'clsact';
    throw goneOr(error, target);
  }
}

/**
 * The index of an interface whose qdisc is taken over from a dead process; only for clsact, or the dead one's programs
 * would stay. undefined: there is none such.
 */
export function takenOver(name: string | undefined, wanted: Mode | undefined): number | undefined {
  const link = name === undefined ? undefined : linkInfo(name);
  if (!link) return undefined;
  const mode = wanted ?? bestMode({ ifindex: link.index, name: link.name });
  return mode === 'clsact' ? link.index : undefined;
}

/**
 * Attaches both programs or none. Throws SetupError: the interface is gone, or another netferry is on it, whatever way
 * that attached; SysError when the kernel refuses.
 */
export function attach(target: Target, programs: Programs, mode: Mode, orders: Orders = {}): Attachment {
  const [attachOne, refuseOther] =
    mode === 'tcx' ? ([attachTcx, refuseClsact] as const) : ([attachClsact, refuseTcx] as const);
  try {
    refuseOther(target);
    const attachment = attachOne(target, programs, orders);
    try {
      refuseOther(target); // of two that start at the same moment by different ways, one at least sees the other now
    } catch (error) {
      attachment.close();
      throw error;
    }
    return attachment;
  } catch (error) {
    throw goneOr(error, target);
  }
}

/** ENODEV says it as a person would. */
function goneOr(error: unknown, target: Target): unknown {
  if (!(error instanceof SysError) || error.errno !== ENODEV) return error;
  return new SetupError(`no interface ${target.name} in this network namespace`, 'see: ip link');
}
