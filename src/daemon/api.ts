/**
 * What the daemon says over its control socket: HTTP with JSON on a Unix socket (DIRECTORY/control.sock, 0600).
 * The command line is one client; `curl --unix-socket` is another.
 *
 *   GET    /v1/status          → Status
 *   GET    /v1/vifs            → Vif[]
 *   PUT    /v1/vifs/NAME/link  LinkRequest → 204; NAME is a guest's vif's
 *   GET    /v1/guests          → GuestInfo[]
 *   GET    /v1/guests/NAME     → GuestInfo
 *   DELETE /v1/guests/NAME     → 204, once it is gone
 *   POST   /v1/ports           AttachRequest → Vif
 *   DELETE /v1/ports/NAME      → 204; NAME is a port's or its device's
 *   POST   /v1/down            DownRequest → 204, and then it ends
 *
 * A refusal is { error, hint } with a 4xx or 5xx status.
 */
import { z } from 'zod';
import type { PortCounters } from '../datapath/counters.js';
import type { TransferName } from '../transfer/transfer.js';
import type { PlatformKind } from '../xen/platform.js';

/** MACs that one port may learn at most: a third of what all together may. */
export const LEARN_MAX = 4096;

export interface Status {
  readonly version: string;
  readonly pid: number;
  /** Seconds since start. */
  readonly uptime: number;
  readonly directory: string;
  readonly platform: PlatformKind;
  /** Null on the embedded platform. */
  readonly xen: XenInfo | null;
  /** The host's own port; null with --no-host. */
  readonly host: {
    readonly name: string;
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly mtu: number;
  } | null;
  /** Null without --uplink. */
  readonly uplink: UplinkInfo | null;
  /** The tap between user space and the kernel's ports, while there is an uplink or a kernel port. */
  readonly crossing: string | null;
  readonly guests: number;
  readonly vifs: number;
  readonly transfer: TransferName;
  /** The datapath's threads. */
  readonly threads: readonly ThreadInfo[];
  /** How taps are read and written. */
  readonly io: 'io_uring' | 'plain';
  /** Bytes. */
  readonly rss: number;
  /** True when daemon and host port live in a namespace of their own (not root). */
  readonly rootless: boolean;
}

export interface ThreadInfo {
  /** Of the ports that it serves, alone or with others. */
  readonly ports: number;
  /** Frames that other threads handed it, and that it handed to others. */
  readonly received: number;
  readonly handedOver: number;
  /** Of the latter, those that no other thread took, by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface XenInfo {
  /** The domain that the daemon is in. */
  readonly domid: number;
  /** Where it speaks to xenstore. */
  readonly xenstore: string;
  /** False while xenstored is away. */
  readonly connected: boolean;
}

export interface UplinkInfo {
  /** As it is called now. */
  readonly name: string;
  readonly mac: string;
  /** How its programs are attached; null while it is absent. */
  readonly mode: 'tcx' | 'clsact' | null;
  /** Whether it receives what is not addressed to it: for want of a filter in the NIC, or because a port learns. */
  readonly promiscuous: boolean;
  /** Why guests' frames for the wire pass through it; null while they skip it, a veth that nobody watches. */
  readonly through: string | null;
  /** Why it is absent; null while it is there. */
  readonly absent: string | null;
  /** As the kernel says. Guests' links do not follow it: they still have each other, and the host. */
  readonly carrier: boolean;
}

/** initialising: waiting for the front end; fenced: the front end broke the protocol and was cut off; foreign: another driver has it; absent: its
 * interface is gone, and comes back into use when it is there again. */
export type VifState = 'initialising' | 'connected' | 'closing' | 'closed' | 'fenced' | 'foreign' | 'absent';

/**
 * netif: a guest's vif in user space; tap: the host's own; kernel: an attached interface; crossing: the tap between
 * user space and the kernel; uplink: the wire, and host: the host's stack behind the uplink, as far as they exchanged
 * frames with ports.
 */
export type VifKind = 'netif' | 'tap' | 'kernel' | 'crossing' | 'uplink' | 'host';

/** A port: where frames come in and go out. */
export interface Vif {
  /** `web/0` (guest and vif number), or the tap's name. */
  readonly name: string;
  readonly kind: VifKind;
  readonly guest: string | null;
  readonly domid: number | null;
  /** The first; '' when none is known. */
  readonly mac: string;
  /** Every MAC behind it that is known, learned ones too. */
  readonly macs: readonly string[];
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly state: VifState;
  /** Why, when it is fenced or absent, or connected without a carrier. */
  readonly reason: string | null;
  /** Frames get through: it is connected, its link is up, and a guest takes what it is sent. */
  readonly carrier: boolean;
  readonly transfer: TransferName | null;
  readonly counters: PortCounters | null;
  /** Each queue's share of them, of a vif that has several. */
  readonly queues?: readonly PortCounters[];
}

export interface GuestInfo {
  readonly name: string;
  readonly domid: number;
  /** The domain's process, in the daemon's pid namespace. */
  readonly pid: number;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly state: VifState;
  readonly transfer: TransferName;
}

/** A kernel interface that is to be a port. */
export const attachRequest = z.strictObject({
  /** Interface in the daemon's network namespace. */
  device: z.string().min(1).max(15),
  /** What it is called here; default: as the interface. */
  name: z
    .string()
    .regex(/^[^\s/%:]{1,32}$/)
    .optional(),
  /** MACs behind it; with neither these nor `learn`, it learns one. */
  macs: z.array(z.string().max(17)).max(64).optional(),
  /** How many MACs it may learn from what it sends. */
  learn: z.number().int().min(0).max(LEARN_MAX).optional(),
  /** IP addresses that it may be sender of (IP, ARP, ND), without prefix length; absent: not checked. */
  addresses: z.array(z.string().max(64)).max(64).optional(),
});
export type AttachRequest = z.infer<typeof attachRequest>;

/** A guest's vif is to have its cable pulled, or put in again. */
export const linkRequest = z.strictObject({ up: z.boolean() });
export type LinkRequest = z.infer<typeof linkRequest>;

/** The daemon is to end. */
export const downRequest = z.strictObject({
  /** On a Xen host: guests' vifs are closed, instead of being left for a successor. */
  closeVifs: z.boolean().optional(),
});
export type DownRequest = z.infer<typeof downRequest>;

export interface Refusal {
  readonly error: string;
  readonly hint: string;
}

/** Names of what lies in the daemon's directory. */
export const CONTROL_SOCKET = 'control.sock';
export const HYPERVISOR_SOCKET = 'hypervisor.sock';
export const XENSTORE_SOCKET = 'xenstored.sock';
/** Locked (flock) by the daemon while it runs; holds its pid. */
export const LOCK_FILE = 'lock';
