/**
 * What guests live on: the embedded platform, whose hypervisor, xenstore and toolstack are the daemon's own, or a Xen
 * host, where all three were there before it. The daemon does not care which.
 */
import type { TransferName } from '../transfer/transfer.js';
import type { Platform } from '../xen/platform.js';
import type { AddressBook } from './addresses.js';
import type { GuestInfo, Vif, XenInfo } from './api.js';
import type { HostPlace } from './host_port.js';
import type { Log } from './log.js';
import type { DaemonOptions, HostOptions } from './options.js';
import type { Vifs } from './vifs.js';

export interface MachineParts {
  readonly options: DaemonOptions;
  readonly vifs: Vifs;
  readonly book: AddressBook;
  readonly log: Log;
  /** Of vifs that name none; undefined where nothing in the daemon has one. */
  readonly mtu: number | undefined;
  /** A vif takes part, or no longer: who mirrors the forwarding table follows. Throws SetupError. */
  onMac(mac: string, takesPart: boolean): void;
  /** Something made, by how it is unmade; last first. */
  own(undo: () => void | Promise<void>): void;
  /** Throws once the daemon has begun to close. */
  mustGoOn(): void;
}

export interface Machine {
  readonly platform: Platform;
  /** Of guests that name none. */
  readonly transfer: TransferName;
  /** Serves guests from now on. Throws SetupError; what was made is owned by then. */
  open(parts: MachineParts): Promise<void>;
  /** The rows of `vif list`. */
  vifs(): Vif[];
  /** Rejects with UnknownPort when no guest's vif is called so. */
  setLink(name: string, up: boolean): Promise<void>;
  guests(): GuestInfo[];
  /** Domains that have a vif. */
  readonly guestCount: number;
  /** Rejects with UnknownGuest. */
  removeGuest(name: string): Promise<void>;
  /** Null on the embedded platform. */
  xen(): XenInfo | null;
  /** The host's port as a vif of its own, where that can be. Once it is open. Throws SetupError; nothing is left then. */
  openHost?(host: HostOptions, mac: string): Promise<HostPlace>;
  /** Vifs of guests that live on are closed when the daemon ends, instead of being left for a successor. */
  closeVifs(): void;
  close(): void;
}
