/** How a daemon is started. */
import { availableParallelism } from 'node:os';
import type { Mode } from '../hook/attachment.js';
import type { TransferName } from '../transfer/transfer.js';
import type { PlatformKind } from '../xen/platform.js';

export { THREADS_MAX } from '../shard/spec.js';

export interface DaemonOptions {
  /** Runtime directory, private to the user; sockets live there while the daemon runs. */
  readonly directory: string;
  /** The host's own port, or null for none. */
  readonly host?: HostOptions | null;
  /** How the daemon uses the kernel's interfaces. */
  readonly kernel?: KernelOptions;
  /** Of guests that name none; default: the host port's, else the uplink's, else 1500. */
  readonly guestMtu?: number;
  /** For guests that name none; default: the platform's. */
  readonly transfer?: TransferName;
  /** Where guests live; default: embedded. */
  readonly platform?: PlatformKind;
  /** On a Xen host: close guests' vifs at the end, instead of leaving them connected for a successor. */
  readonly closeVifs?: boolean;
  /** Queues that a guest may have; default: as there are CPUs, four at most. */
  readonly queues?: number;
  /** Datapath threads; default: one. */
  readonly threads?: number;
  readonly log: 'json' | 'pretty';
  /** The daemon runs in user and network namespaces of its own. */
  readonly rootless: boolean;
}

const DEFAULT_QUEUES = 4;

/** multi-queue-max-queues. */
export function queuesOffered({ queues }: DaemonOptions): number {
  return queues ?? Math.min(availableParallelism(), DEFAULT_QUEUES);
}

export interface KernelOptions {
  /** Physical interface that leads to the wire; absent: none. */
  readonly uplink?: string;
  /** Guests' frames for the wire always pass through the uplink; default: they skip a veth that nobody watches. */
  readonly throughUplink?: boolean;
  /** How programs are attached; default: by TCX where the kernel has it, else by clsact. */
  readonly mode?: Mode;
  /** Seconds after which a learned MAC that was not seen is forgotten; default: a bridge's 300. */
  readonly ageing?: number;
}

export interface HostOptions {
  readonly name: string;
  /** With prefix: `10.206.0.1/24`. Guests get addresses from these networks. */
  readonly addresses: readonly string[];
  readonly mtu: number;
  /** Default: a tap. `netfront`: a vif of the host's own, on a Xen host (host_netfront.ts). */
  readonly driver?: HostDriver;
}

export type HostDriver = 'tap' | 'netfront';

export const DEFAULT_HOST: HostOptions = {
  name: 'nf0',
  addresses: ['10.206.0.1/24', 'fd4e:4652::1/64'],
  mtu: 1500,
};
