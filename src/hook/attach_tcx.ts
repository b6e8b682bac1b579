/** Attachment by TCX links: they end with their descriptors, that is, at the latest with the process. */
import { constants } from 'node:os';
import { BPF_F_AFTER, BPF_F_BEFORE, BPF_F_ID, BPF_TCX_EGRESS, BPF_TCX_INGRESS } from '../abi/bpf.js';
import { linkState, programName, type TcxList, tcxLinkCreate, tcxQuery } from '../sys/bpf.js';
import { SysError } from '../sys/errors.js';
import { close } from '../sys/libc.js';
import {
  type Attachment,
  type Order,
  type Orders,
  OURS,
  type Programs,
  type Target,
  taken,
} from './attachment.js';

const { EINVAL, ESTALE } = constants.errno;
/** How often we look again when others attach at the same moment. */
const ATTEMPTS = 16;

export function attachTcx(target: Target, programs: Programs, orders: Orders): Attachment {
  const links: number[] = [];
  const undo = () => {
    for (const link of links.splice(0)) close(link);
  };
  try {
    links.push(attachSide(target, BPF_TCX_INGRESS, programs.ingress, orders.ingress ?? 'first'));
    if (programs.egress !== undefined) {
      links.push(attachSide(target, BPF_TCX_EGRESS, programs.egress, orders.egress ?? 'first'));
    }
  } catch (error) {
    undo();
    throw error;
  }
  return {
    mode: 'tcx',
    ifindex: target.ifindex,
    attached: () => links.length > 0 && links.every((link) => linkState(link).ifindex === target.ifindex),
    close: undo,
  };
}

/**
 * The list is looked at for another of ours, and the link made only if it is still the list we saw: of two
 * daemons that start at once, one sees the other.
 */
function attachSide(target: Target, attachType: number, program: number, order: Order): number {
  for (let attempt = 1; ; attempt++) {
    const { programs, revision } = tcxQuery(target.ifindex, attachType);
    refuseOurs(target, programs);
    try {
      const place = flagsOf(order);
      return tcxLinkCreate(
        { program, ifindex: target.ifindex, attachType, revision, ...place },
        `${target.name} ${attachType === BPF_TCX_INGRESS ? 'ingress' : 'egress'}`,
      );
    } catch (error) {
      const stale = error instanceof SysError && error.errno === ESTALE;
      if (!stale || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Throws SetupError where a netferry has attached by TCX. On a kernel before that, nobody has. */
export function refuseTcx(target: Target): void {
  for (const attachType of [BPF_TCX_INGRESS, BPF_TCX_EGRESS]) {
    try {
      refuseOurs(target, tcxQuery(target.ifindex, attachType).programs);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== EINVAL) throw error;
    }
  }
}

function refuseOurs(target: Target, programs: TcxList['programs']): void {
  for (const { id } of programs) {
    if (programName(id)?.startsWith(OURS)) throw taken(target, `eBPF program ${id}`);
  }
}

function flagsOf(order: Order): { flags: number; relativeId?: number } {
  if (order === 'first') return { flags: BPF_F_BEFORE };
  if (order === 'last') return { flags: BPF_F_AFTER };
  if ('before' in order) return { flags: BPF_F_BEFORE | BPF_F_ID, relativeId: order.before };
  return { flags: BPF_F_AFTER | BPF_F_ID, relativeId: order.after };
}
