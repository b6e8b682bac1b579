/** The same iperf3 traffic for whoever carries it, rivals and ours alike, with what it cost the one between. */
import { type IperfOptions, type IperfResult, iperf } from './iperf.js';
import { watchCpu } from './process.js';
import type { Running } from './running.js';

/** What can be measured: two namespaces, and the processes that carry frames from one to the other. */
export type Contestant = Pick<Running, 'nsA' | 'nsB' | 'addressB' | 'pids'>;

export interface TrafficResult extends IperfResult {
  /** CPU of the carrying processes, in per cent of one core. */
  carrierCpu: number;
  /** CPU seconds of the carrying processes for 10⁹ bytes of payload. */
  carrierSecondsPerGb: number;
}

/** TCP from A to B (B to A with `reverse`) for `seconds`. Throws SetupError if iperf3 fails. */
export async function tcpThrough(
  contestant: Contestant,
  options: Pick<IperfOptions, 'seconds' | 'bytes' | 'streams' | 'reverse' | 'congestion' | 'signal'> = {},
): Promise<TrafficResult> {
  const { nsA, nsB, addressB, pids } = contestant;
  const watches = pids.map(watchCpu);
  const result = await iperf({ ...options, server: nsB, client: nsA, address: addressB });
  // Over the seconds of traffic, not of iperf3's whole life: its start and end cost the carriers nothing.
  const cpuSeconds = watches.reduce((sum, stop) => sum + stop().cpuSeconds, 0);
  return {
    ...result,
    carrierCpu: (100 * cpuSeconds) / result.seconds,
    carrierSecondsPerGb: cpuSeconds / (result.bytes / 1e9),
  };
}
