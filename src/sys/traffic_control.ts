/**
 * The clsact qdisc and its eBPF filters (tc(8), tc-bpf(8)) by rtnetlink, for kernels without TCX.
 * Everything is named by interface index, in the caller's network namespace. Throws SysError.
 */
import { ETH_P_ALL } from '../abi/if_ether.js';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL } from '../abi/netlink.js';
import * as tc from '../abi/pkt_sched.js';
import { AF_UNSPEC } from '../abi/socket.js';
import {
  type Attribute,
  cString,
  decodeAttributes,
  type NetlinkMessage,
  textOf,
  u32,
  viewOf,
} from './netlink_codec.js';
import { dump, request } from './netlink_socket.js';

export type Side = 'ingress' | 'egress';

/** Where clsact's qdisc itself lies. */
const QDISC_HANDLE = 0xffff_0000;
/** Every ethertype, in network order as tcm_info has it. */
const ALL_PROTOCOLS = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);

function tcmsg(ifindex: number, handle: number, parent: number, info = 0): Uint8Array {
  const header = new Uint8Array(tc.TCMSG_SIZE);
  const view = viewOf(header);
  view.setUint8(tc.TCMSG_FAMILY, AF_UNSPEC);
  view.setInt32(tc.TCMSG_IFINDEX, ifindex, true);
  view.setUint32(tc.TCMSG_HANDLE, handle >>> 0, true);
  view.setUint32(tc.TCMSG_PARENT, parent >>> 0, true);
  view.setUint32(tc.TCMSG_INFO, info >>> 0, true);
  return header;
}

function parentOf(side: Side): number {
  const list = side === 'ingress' ? tc.TC_H_MIN_INGRESS : tc.TC_H_MIN_EGRESS;
  return ((tc.TC_H_CLSACT & 0xffff_0000) | list) >>> 0;
}

/** Interface → the qdisc on its receive side: `clsact`, or `ingress` (which has no egress). */
export function ingressQdiscs(): Map<number, string> {
  const found = new Map<number, string>();
  for (const { payload } of dump('RTM_GETQDISC', tc.RTM_GETQDISC, tcmsg(0, 0, 0), [])) {
    const view = viewOf(payload);
    if (view.getUint32(tc.TCMSG_PARENT, true) !== tc.TC_H_CLSACT) continue;
    const kind = decodeAttributes(payload.subarray(tc.TCMSG_SIZE)).get(tc.TCA_KIND);
    found.set(view.getInt32(tc.TCMSG_IFINDEX, true), textOf(kind ?? new Uint8Array()));
  }
  return found;
}

/** The one of a single interface. */
export function ingressQdisc(ifindex: number): string | undefined {
  return ingressQdiscs().get(ifindex);
}

/** EEXIST: the interface has one, or an `ingress` qdisc. */
export function clsactAdd(ifindex: number, subject: string): void {
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const header = tcmsg(ifindex, QDISC_HANDLE, tc.TC_H_CLSACT);
  request('RTM_NEWQDISC clsact', subject, tc.RTM_NEWQDISC, flags, header, [[tc.TCA_KIND, cString('clsact')]]);
}

/** With all its filters. */
export function clsactDelete(ifindex: number, subject: string): void {
  const header = tcmsg(ifindex, QDISC_HANDLE, tc.TC_H_CLSACT);
  request('RTM_DELQDISC clsact', subject, tc.RTM_DELQDISC, NLM_F_ACK, header, []);
}

export interface Filter {
  readonly side: Side;
  /** 1 … 65535; lower ones run first. */
  readonly priority: number;
  readonly handle: number;
  readonly kind: string;
  /** Of kind bpf: what its owner called it. */
  readonly name: string;
  /** Of kind bpf: the program's id. */
  readonly programId: number;
}

/** The filters of one side, in the order they run. */
export function filterList(ifindex: number, side: Side): Filter[] {
  const parent = parentOf(side);
  return dump('RTM_GETTFILTER', tc.RTM_GETTFILTER, tcmsg(ifindex, 0, parent), [])
    .map((message) => toFilter(message, side))
    .filter((filter) => filter.handle !== 0); // a list announces itself once with handle 0
}

function toFilter({ payload }: NetlinkMessage, side: Side): Filter {
  const view = viewOf(payload);
  const attributes = decodeAttributes(payload.subarray(tc.TCMSG_SIZE));
  const none = new Uint8Array();
  const options = decodeAttributes(attributes.get(tc.TCA_OPTIONS) ?? none);
  const id = options.get(tc.TCA_BPF_ID);
  const kind = textOf(attributes.get(tc.TCA_KIND) ?? none);
  return {
    side,
    priority: view.getUint32(tc.TCMSG_INFO, true) >>> 16,
    handle: view.getUint32(tc.TCMSG_HANDLE, true),
    kind,
    name: kind === 'bpf' ? textOf(options.get(tc.TCA_BPF_NAME) ?? none) : '',
    programId: kind === 'bpf' && id?.length === 4 ? viewOf(id).getUint32(0, true) : 0,
  };
}

/** Adds a direct-action filter of program `fd`. EEXIST: priority and handle are taken. */
export function filterAdd(
  ifindex: number,
  filter: { side: Side; priority: number; handle: number; name: string; fd: number },
  subject: string,
): void {
  const options: Attribute[] = [
    [tc.TCA_BPF_FD, u32(filter.fd)],
    [tc.TCA_BPF_NAME, cString(filter.name)],
    [tc.TCA_BPF_FLAGS, u32(tc.TCA_BPF_FLAG_ACT_DIRECT)],
  ];
  const info = (filter.priority << 16) | ALL_PROTOCOLS;
  const header = tcmsg(ifindex, filter.handle, parentOf(filter.side), info);
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request('RTM_NEWTFILTER', subject, tc.RTM_NEWTFILTER, flags, header, [
    [tc.TCA_KIND, cString('bpf')],
    [tc.TCA_OPTIONS, options],
  ]);
}

/** Removes one filter of kind bpf. */
export function filterDelete(ifindex: number, filter: Filter, subject: string): void {
  const info = (filter.priority << 16) | ALL_PROTOCOLS;
  const header = tcmsg(ifindex, filter.handle, parentOf(filter.side), info);
  request('RTM_DELTFILTER', subject, tc.RTM_DELTFILTER, NLM_F_ACK, header, [[tc.TCA_KIND, cString('bpf')]]);
}
