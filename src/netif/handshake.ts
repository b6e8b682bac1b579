/** What the back end does about the states of a vif's two ends: one table, as Linux netback's frontend_changed. */
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateReconfigured,
  XenbusStateReconfiguring,
  XenbusStateUnknown,
} from '../abi/xenbus.js';

import type { VifPhase } from './vif_connector.js';

export interface Ends {
  /** The front end's state, as it wrote it. */
  readonly peer: string;
  /** Our own. */
  readonly own: number;
  /** The toolstack wrote Closing for us and is about to remove the vif. */
  readonly removing: boolean;
  /** We meet this front end for the first time, and a predecessor of ours may have served it. */
  readonly first: boolean;
  readonly connected: boolean;
}

export type Move =
  /** Let go of the guest, and say Closing, or Closed. */
  | 'closing'
  | 'closed'
  /** Let go of the guest, and wait for it to begin anew. */
  | 'offer'
  | 'connect'
  /** Connect to rings that have been in use. */
  | 'resume'
  /** It is connected, and may have changed what it may change; and wants that confirmed. */
  | 'follow'
  | 'reconfigure'
  | 'wait'
  /** No state at all. */
  | 'nonsense';

export function nextMove({ peer, own, removing, first, connected }: Ends): Move {
  if (removing) return 'closed';
  switch (/^\d$/.test(peer) ? Number(peer) : -1) {
    case XenbusStateUnknown: // the guest has not written anything yet, or it is gone
      return own <= XenbusStateInitWait ? 'offer' : 'closed';
    case XenbusStateInitialising:
    case XenbusStateInitWait:
      return 'offer';
    case XenbusStateInitialised:
    case XenbusStateConnected:
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
      if (connected) return Number(peer) === XenbusStateReconfiguring ? 'reconfigure' : 'follow';
      if (own === XenbusStateInitWait && !first) return 'connect';
      // What a predecessor was about to close is closed; anything else goes on.
      return first && own !== XenbusStateClosing ? 'resume' : 'wait';
    case XenbusStateClosing:
      return own === XenbusStateClosed ? 'wait' : 'closing';
    case XenbusStateClosed:
      return 'closed';
    default:
      return own === XenbusStateClosing ? 'wait' : 'nonsense'; // once is enough
  }
}

/** What people are told while our state is this. */
export function phaseOf(own: number): VifPhase {
  if (own === XenbusStateConnected || own === XenbusStateReconfigured) return 'connected';
  if (own === XenbusStateClosing) return 'closing';
  return own === XenbusStateClosed ? 'closed' : 'initialising';
}
