/** How a daemon is started. */
import type { TransferName } from '../transfer/transfer.js';

export interface DaemonOptions {
  /** Runtime directory, private to the user; sockets live there while the daemon runs. */
  readonly directory: string;
  /** The host's own tap, or null for none. */
  readonly host?: HostOptions | null;
  /** For guests that name none. */
  readonly transfer: TransferName;
  readonly log: 'json' | 'pretty';
  /** The daemon runs in user and network namespaces of its own. */
  readonly rootless: boolean;
}

export interface HostOptions {
  readonly name: string;
  /** With prefix: `10.206.0.1/24`. Guests get addresses from these networks. */
  readonly addresses: readonly string[];
  readonly mtu: number;
}

export const DEFAULT_HOST: HostOptions = {
  name: 'nf0',
  addresses: ['10.206.0.1/24', 'fd4e:4652::1/64'],
  mtu: 1500,
};
