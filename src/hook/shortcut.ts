/**
 * Frames for who is behind a veth can skip it: bpf_redirect_peer puts them where they would come out, at the other
 * end in its network namespace, without another turn of the softirq. That is allowed where nobody can miss them on the way:
 *
 *   - the veth is up, and its other end is in another namespace (in our own the kernel would drop them)
 *   - it has no queueing discipline, and no egress program, filter or netfilter chain but ours
 *   - all its offloads are on: else the kernel would finish checksums and cut segments on the way. An XDP program at
 *     the other end, which frames would skip too, shows in these: veth gives up segmentation for it (veth_fix_features).
 *
 * What cannot be asked for is who listens: tcpdump on the veth does not see them go out, nor do its statistics.
 */
import { constants } from 'node:os';
import { BPF_TCX_EGRESS } from '../abi/bpf.js';
import { programName, tcxQuery } from '../sys/bpf.js';
import { SysError } from '../sys/errors.js';
import { features } from '../sys/ethtool.js';
import type { LinkDetails } from '../sys/link_details.js';
import { hasEgressChain } from '../sys/nf_tables.js';
import { filterList, ingressQdisc } from '../sys/traffic_control.js';
import { OURS } from './attachment.js';
import { hasPeer, requirePeer } from './device.js';

const { EINVAL } = constants.errno;

/** What the kernel would do to a frame in veth's place where one of these is off (net/core/dev.c, validate_xmit_skb). */
const OFFLOADS = [
  'tx-checksum-ip-generic',
  'tx-checksum-sctp',
  'tx-scatter-gather',
  'tx-scatter-gather-fraglist',
  'tx-generic-segmentation',
  'tx-tcp-segmentation',
  'tx-tcp-ecn-segmentation',
  'tx-tcp6-segmentation',
  'tx-udp-segmentation',
  'tx-sctp-segmentation',
];

/** Whether frames skip an interface, as it stands. */
export class Shortcut {
  readonly #wanted: boolean | undefined;
  #through = '';

  /** `wanted`: whatever is lost by it, or never; undefined: where nothing is. Throws SetupError where it cannot be. */
  constructor(device: LinkDetails, wanted: boolean | undefined) {
    if (wanted) requirePeer(device);
    this.#wanted = wanted;
    this.look(device);
  }

  /** Why frames pass through the interface; '' while they skip it. */
  get through(): string {
    return this.#through;
  }

  get taken(): boolean {
    return this.#through === '';
  }

  /** `device` as it is now, if it still is. True when that changed whether frames skip it. */
  look(device: LinkDetails | undefined): boolean {
    const before = this.taken;
    if (this.#wanted === undefined) this.#through = device ? obstacle(device) : 'it is gone';
    else this.#through = this.#wanted ? '' : 'that was asked for';
    return this.taken !== before;
  }
}

/** Why frames have to pass through the interface itself, in a few words; '' where they may skip it. */
function obstacle(link: LinkDetails): string {
  try {
    if (link.kind !== 'veth') return 'no veth';
    if (!hasPeer(link)) return 'its other end is in the same network namespace';
    if (!link.up) return 'it is down';
    if (link.qdisc !== 'noqueue') return `it has a queueing discipline (${link.qdisc})`;
    if (hasForeignProgram(link.index)) return 'another eBPF program is on its egress';
    if (hasForeignFilter(link.index)) return 'a tc filter is on its egress';
    if (hasEgressChain(link.name)) return 'an nftables chain is on its egress';
    const now = features(link.name);
    const off = OFFLOADS.find((name) => now.get(name)?.on === false);
    return off === undefined ? '' : `${off} is off`;
  } catch (error) {
    // It went, or was renamed, or the kernel does not tell: the long way is always right.
    if (error instanceof SysError) return error.message;
    throw error;
  }
}

function hasForeignProgram(ifindex: number): boolean {
  try {
    const { programs } = tcxQuery(ifindex, BPF_TCX_EGRESS);
    return programs.some(({ id }) => programName(id)?.startsWith(OURS) === false);
  } catch (error) {
    if (error instanceof SysError && error.errno === EINVAL) return false; // before Linux 6.6
    throw error;
  }
}

function hasForeignFilter(ifindex: number): boolean {
  const foreign = filterList(ifindex, 'egress').some(({ name }) => !name.startsWith(`${OURS}/`));
  // The old ingress qdisc has one list, and shows it whatever side it is asked for.
  return foreign && ingressQdisc(ifindex) === 'clsact';
}
