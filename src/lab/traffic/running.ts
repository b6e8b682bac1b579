/** Two network namespaces, and something between them that carries frames: what traffic is sent through. */
import { accessSync, constants } from 'node:fs';
import { SetupError } from '../../sys/errors.js';
import type { Netns } from './netns.js';

/** A carrier of frames that is up. */
export interface Running {
  nsA: Netns;
  nsB: Netns;
  addressA: string;
  addressB: string;
  /** The processes that carry frames: whose CPU time is its cost. */
  pids: number[];
  /** Ends processes, taps and namespaces. */
  stop(): Promise<void>;
}

/** Why nobody can have taps here; undefined if it can. */
export function tapsMissing(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return '/dev/net/tun may not be opened (modprobe tun; run as root)';
  }
}

/** Waits until A reaches B. Throws SetupError if it does not within ten seconds, and the signal's reason. */
export async function untilReachable(r: Running, signal?: AbortSignal): Promise<void> {
  const ping = ['ping', '-c', '1', '-w', '10', '-i', '0.2', r.addressB];
  const { status } = await r.nsA.run(ping, 30_000, signal);
  if (status !== 0) throw new SetupError(`no ping from ${r.addressA} to ${r.addressB} within 10 s`);
}
