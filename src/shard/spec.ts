/**
 * What the owner of a datapath thread tells it. Plain data: arena addresses (memory that the owner allocated and
 * frees after the detach) and descriptors (process-wide, owned by the owner).
 */
import type { TransferName } from '../transfer/transfer.js';
import type { Channel } from '../xen/event_channels.js';
import type { ThreadStart } from '../xen/platform.js';

export interface TapSpec {
  readonly kind: 'tap';
  readonly id: number;
  readonly name: string;
  readonly mac?: Uint8Array;
  readonly fd: number;
  readonly block: number;
  readonly memory: number;
  readonly buffers: number;
  readonly header: number;
  readonly uring?: boolean;
  /** What is behind it may send from any MAC, and what nobody here owns goes to it. */
  readonly uplink?: boolean;
  readonly isolated?: boolean;
}

/** A netback's pair of rings, mapped. */
export interface QueueSpec {
  readonly txRing: number;
  readonly rxRing: number;
  /** One event channel, or TX then RX. */
  readonly channels: readonly Channel[];
}

export interface NetbackSpec {
  readonly kind: 'netback';
  readonly id: number;
  readonly name: string;
  readonly mac: Uint8Array;
  readonly domid: number;
  readonly queues: readonly QueueSpec[];
  /** Of the vif, other threads' included. */
  readonly queuesInAll: number;
  readonly features: number;
  readonly block: number;
  /** netbackMemory(queues) bytes. */
  readonly memory: number;
  readonly bounce: number;
  /** Its control ring, mapped, with an event channel of its own. */
  readonly control?: { readonly ring: number; readonly channel: Channel } | undefined;
  readonly multicastControl: boolean;
  readonly xdpHeadroom: number;
  /** Its domain made signals of ours wait before. */
  readonly wary: boolean;
  /** What the guest may send. */
  readonly rate?: { readonly bytes: number; readonly interval: number } | undefined;
  /** IP addresses and networks that it may be sender of; none: any. */
  readonly addresses?: readonly string[] | undefined;
  /** Its rings were in use before: the guest is signalled once, whatever its last signal said. */
  readonly resumed: boolean;
  readonly transfer: TransferName;
  /** What a mapping cache, or a table of announced pages, needs; or ("map") a window and its requests. */
  readonly cache: { window: number; tables: number; capacity: number; grants: number; ramFd: number };
}

export interface NetfrontSpec {
  readonly kind: 'netfront';
  readonly id: number;
  readonly name: string;
  readonly ram: number;
  readonly ramPages: number;
  readonly grefBase: number;
  readonly grefs?: number;
  readonly txRing: number;
  readonly rxRing: number;
  readonly rxPages: number;
  readonly buffers: number;
  readonly features: number;
  readonly block: number;
  readonly memory: number;
  readonly channels: readonly Channel[];
}

/** The way to another datapath thread. */
export interface JunctionSpec {
  readonly kind: 'junction';
  readonly id: number;
  readonly name: string;
  readonly block: number;
  readonly outbox: number;
  readonly inbox: number;
  readonly waitFd: number;
  readonly notifyFd: number;
  /** The other thread's bit. */
  readonly beyond: number;
}

export type PortSpec = TapSpec | NetbackSpec | NetfrontSpec | JunctionSpec;

/** Threads of one datapath: a junction of theirs is a megabyte, and there is one for each pair, each way. */
export const THREADS_MAX = 16;

/** How the thread starts. */
export interface ShardStart {
  readonly memory: WebAssembly.Memory;
  /** An eventfd: something is on the message port. */
  readonly controlFd: number;
  readonly forwarding: number;
  readonly segments: number;
  /** HEARTBEAT_SIZE bytes, see below. */
  readonly heartbeat: number;
  readonly platform: ThreadStart;
}

/** u32 rounds; u32 descriptor being signalled right now, + 1 (0 = none); u32 1: the process ends, stop at once. */
export const HEARTBEAT_SIZE = 12;

export type ShardRequest =
  /** `threads`: as AttachOptions'. */
  | { readonly op: 'attach'; readonly sequence: number; readonly spec: PortSpec; readonly threads: number }
  /** Frames for this MAC go to an attached port whose own it is not; and no more. */
  | {
      readonly op: 'route' | 'unroute';
      readonly sequence: number;
      readonly mac: Uint8Array;
      readonly id: number;
    }
  | { readonly op: 'detach'; readonly sequence: number; readonly id: number }
  | { readonly op: 'wire'; readonly sequence: number; readonly a: number; readonly b: number }
  /** A descriptor of the owner's: whenever it gets something to read, the owner is told. */
  | { readonly op: 'watch' | 'unwatch'; readonly sequence: number; readonly fd: number }
  | { readonly op: 'stop'; readonly sequence: number };

export type ShardMessage =
  | { readonly sequence: number; readonly error?: string; readonly io?: 'io_uring' | 'plain' }
  | { readonly fenced: number; readonly why: number }
  /** A peer made signals wait, and cannot any more; by what it is signalled. */
  | { readonly slowedBy: number }
  | { readonly readable: true };
