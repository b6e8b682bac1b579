/** iperf3 between two places: its own account of what came through. */
import { type Place, until } from './place.js';

export interface Transferred {
  readonly sent: number;
  readonly received: number;
  /** TCP. */
  readonly retransmits: number;
  /** UDP. */
  readonly packets: number;
  readonly lost: number;
}

interface Report {
  readonly end: {
    readonly sum_sent?: { bytes: number; retransmits?: number };
    readonly sum_received?: { bytes: number };
    readonly sum?: { bytes: number; packets?: number; lost_packets?: number };
  };
}

/** A server in `to` for this one run; `options` are the client's. */
export async function iperf(
  from: Place,
  to: Place,
  address: string,
  ...options: string[]
): Promise<Transferred> {
  const server = to.start(['iperf3', '-s', '-1']);
  try {
    await until('iperf3 listens', async () => (await to.run('ss -Hlnt sport = 5201')).length > 0);
    const { end } = JSON.parse(
      await from.run([
        'iperf3',
        '-J',
        '-c',
        address,
        ...(options.includes('-n') ? [] : ['-t', '2']),
        ...options,
      ]),
    ) as Report;
    return {
      sent: end.sum_sent?.bytes ?? end.sum?.bytes ?? 0,
      received: end.sum_received?.bytes ?? end.sum?.bytes ?? 0,
      retransmits: end.sum_sent?.retransmits ?? 0,
      packets: end.sum?.packets ?? 0,
      lost: end.sum?.lost_packets ?? 0,
    };
  } finally {
    await server.stop('SIGKILL');
  }
}
