/** How a hook and its ports are asked for. */
import type { Mode, Order, Orders } from './attachment.js';
import type { FeatureOptions } from './switched_off.js';

export type Mac = Uint8Array | string;

export interface HookOptions {
  /** Interface that leads to the wire; absent: none yet. */
  readonly uplink?: string;
  /**
   * Ports' unicast frames for the wire arrive at the other end of a veth without passing through the uplink: faster,
   * but its statistics, queueing and others' egress programs do not see them. Default: where there is nothing that
   * would miss them (`shortcut.ts`, `Hook.examine`); false: never.
   */
  readonly uplinkPeer?: boolean;
  /** Default: TCX where the kernel has it, else clsact. */
  readonly mode?: Mode;
  /** Where among others' programs on the uplink; default: first on both sides, at the bottom. */
  readonly orders?: Orders;
  /** What a NIC must not do meanwhile; default: `switched_off.ts`. */
  readonly features?: FeatureOptions;
}

export interface PortOptions {
  /** Interface, in this namespace. */
  readonly name: string;
  /** MACs that are behind it; it may send from these alone. More by setMac. */
  readonly macs?: readonly Mac[];
  /** IP addresses without prefix: the port may be sender (IP, ARP, ND) of these alone. Absent: not checked. */
  readonly addresses?: readonly string[];
  /** How many other MACs it may learn from what it sends; default 0. */
  readonly learn?: number;
  /** Frames arrive at the other end of a veth without passing through it; default: as of `uplinkPeer`. */
  readonly peer?: boolean;
  /** While there is no uplink, unknown unicast goes here (one port at most). */
  readonly fallback?: boolean;
  readonly order?: Order;
}
