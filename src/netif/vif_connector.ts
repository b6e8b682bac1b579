/** Between the handshake, the datapath and the daemon: what each knows of a vif. */
import type { XenStore } from '../xen/xenstore.js';
import type { FrontendKeys, FrontendSettings } from './frontend_keys.js';
import type { VifConfig } from './vif_config.js';

/** What a vif needs of the datapath: rings mapped, channels bound, a port attached; and all of that undone. */
export interface VifConnector {
  /**
   * `resumed`: the rings have been in use, by a predecessor of ours; what it knew of the guest beside them is lost.
   * Undone when it throws. Rejects with NotYet when it may be asked again.
   */
  connect(vif: VifIdentity, keys: FrontendKeys, resumed: boolean): Promise<void>;
  disconnect(vif: VifIdentity): Promise<void>;
  /** A connected front end has changed what it may change. */
  changed(vif: VifIdentity, settings: FrontendSettings): void;
}

/** What a vif needs is somebody else's at present: it waits until that lets go, as a vif does of a guest that migrates here. */
export class NotYet extends Error {
  override readonly name = 'NotYet';
}

export interface VifIdentity {
  readonly domid: number;
  readonly handle: number;
  /** For people: `web/0`, or what its `vifname` says. */
  readonly name: string;
  /** In lower case. */
  readonly mac: string;
  readonly config: VifConfig;
}

export interface BackendLog {
  info(message: string): void;
  warn(message: string): void;
}

export interface BackendOptions {
  /** The back end's own domain path, `/local/domain/0`. */
  readonly home?: string;
  /** Who else has the vif (kernel netback): then it is left alone until nobody has. `serving`: we have it now. */
  readonly holderOf?: (domid: number, handle: number, serving: boolean) => string | undefined;
  /** Whether vifs may have been served before we started: then those that are connected go on. */
  readonly resume?: boolean;
  /** Queues that a front end may have; default 1. */
  readonly queues?: number;
  /** Of vifs whose toolstack names none; the front end is told. */
  readonly mtu?: () => number | undefined;
}

/** What all vifs of a back end have in common. */
export interface Backend {
  readonly store: XenStore;
  readonly connector: VifConnector;
  readonly log: BackendLog;
  readonly options: BackendOptions;
  /** Its own domain path. */
  readonly home: string;
}

/** foreign: another driver has it. */
export type VifPhase = 'initialising' | 'connected' | 'closing' | 'closed' | 'fenced' | 'foreign';

/** A vif as people see it. */
export interface VifView {
  readonly domid: number;
  readonly handle: number;
  readonly name: string;
  /** The domain's name, its uuid, or its number. */
  readonly guest: string;
  readonly phase: VifPhase;
  readonly reason: string | null;
  readonly config: VifConfig | undefined;
  readonly mtu: number | undefined;
  /** It is connected and its link is up. */
  readonly carrier: boolean;
}

/** How the vifs are left. `keep`: connected, for a successor; `close`: closed, so that guests see it. */
export type Ending = 'keep' | 'close';
