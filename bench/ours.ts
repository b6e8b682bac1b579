/** Netferry as a contestant: a daemon and two guests, in namespaces of the benchmark's own. */
import { type RunningNetferry, startNetferry } from '../src/lab/traffic/netferry.js';
import type { TransferName } from '../src/transfer/transfer.js';
import { type Rival, tapsMissing } from './rivals/rival.js';

/** Netferry's `start` also tells which process is the daemon. */
export interface Ourselves extends Rival {
  start(): Promise<RunningNetferry>;
}

export function netferry(transfer: TransferName): Ourselves {
  return {
    name: `netferry, ${transfer}`,
    notes: [`transfer ${transfer}`],
    missing: tapsMissing,
    start: () => startNetferry(transfer),
  };
}
