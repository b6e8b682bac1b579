/** Netferry and two guests whose segmentation offloads go on and off between runs of one TCP stream. */
import type { Vif } from '../../daemon/api.js';
import type { TransferName } from '../../transfer/transfer.js';
import { iperfMissing, programMissing } from './iperf.js';
import { startNetferry } from './netferry.js';
import { tapsMissing, untilReachable } from './running.js';
import { tcpThrough } from './tcp.js';

export const ON = 'on';
export const OFF = 'off';
export type OffloadState = typeof ON | typeof OFF;

/** Why this cannot be measured here; undefined if it can. */
export function offloadsMissing(): string | undefined {
  return (
    tapsMissing() ??
    iperfMissing() ??
    programMissing('ethtool', 'ethtool') ??
    programMissing('nsenter', 'util-linux')
  );
}

export interface OffloadStage {
  /** `bytes` from a to b: Gb/s of payload, and CPU seconds of the daemon per 10⁹ bytes. Throws SetupError. */
  run(state: OffloadState, bytes: number): Promise<{ gbps: number; cpu: number }>;
  /** The daemon's word on its vifs. */
  vifs(): Promise<Vif[]>;
  /** Ends daemon, guests and namespaces. */
  stop(): Promise<void>;
}

/** Throws SetupError, leaving nothing behind. */
export async function offloads(transfer: TransferName, signal: AbortSignal): Promise<OffloadStage> {
  const running = await startNetferry(transfer, { signal });
  let state: OffloadState = ON;
  try {
    await untilReachable(running, signal);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return {
    run: async (wanted, bytes) => {
      if (wanted !== state) {
        const features = ['tso', wanted, 'gso', wanted, 'gro', wanted];
        for (const ns of [running.nsA, running.nsB]) await ns.exec(['ethtool', '-K', 'eth0', ...features]);
        state = wanted;
      }
      const backEnd = { ...running, pids: [running.daemon] };
      const result = await tcpThrough(backEnd, { bytes, signal });
      return { gbps: result.bitsPerSecond / 1e9, cpu: result.carrierSecondsPerGb };
    },
    vifs: running.vifs,
    stop: running.stop,
  };
}
