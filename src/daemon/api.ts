/**
 * What the daemon says over its control socket: HTTP with JSON on a Unix socket (DIRECTORY/control.sock, 0600).
 * The command line is one client; `curl --unix-socket` is another.
 *
 *   GET    /v1/status          → Status
 *   GET    /v1/vifs            → Vif[]
 *   GET    /v1/guests          → GuestInfo[]
 *   GET    /v1/guests/NAME     → GuestInfo
 *   DELETE /v1/guests/NAME     → 204, once it is gone
 *
 * A refusal is { error, hint } with a 4xx or 5xx status.
 */
import type { PortCounters } from '../datapath/counters.js';
import type { TransferName } from '../transfer/transfer.js';

export interface Status {
  readonly version: string;
  readonly pid: number;
  /** Seconds since start. */
  readonly uptime: number;
  readonly directory: string;
  readonly platform: 'embedded';
  /** The host's own port; null with --no-host. */
  readonly host: {
    readonly name: string;
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly mtu: number;
  } | null;
  readonly guests: number;
  readonly vifs: number;
  readonly transfer: TransferName;
  /** How taps are read and written. */
  readonly io: 'io_uring' | 'plain';
  /** Bytes. */
  readonly rss: number;
  /** True when daemon and host port live in a namespace of their own (not root). */
  readonly rootless: boolean;
}

/** initialising: waiting for the front end; fenced: the front end broke the protocol and was cut off. */
export type VifState = 'initialising' | 'connected' | 'closing' | 'closed' | 'fenced';

/** A port of the datapath: a guest's vif, or the host's own tap. */
export interface Vif {
  /** `web/0` (guest and vif number), or the tap's name. */
  readonly name: string;
  readonly kind: 'netif' | 'tap';
  readonly guest: string | null;
  readonly domid: number | null;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly state: VifState;
  /** Why, when it is fenced. */
  readonly reason: string | null;
  readonly transfer: TransferName | null;
  readonly counters: PortCounters | null;
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
