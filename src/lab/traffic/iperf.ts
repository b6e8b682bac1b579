/** iperf3 between two namespaces: a one-off server in one, a client in the other, its JSON read. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { SetupError } from '../../sys/errors.js';
import { end, type Netns, untilSays } from './netns.js';

export interface IperfOptions {
  /** Namespace of the server. */
  server: Netns;
  /** Namespace of the client, which sends (unless reverse). */
  client: Netns;
  /** The server's address, IPv4 or IPv6, as the client reaches it. */
  address: string;
  /** Default 3. */
  seconds?: number;
  /** Ends after so many bytes instead. */
  bytes?: number;
  /** Parallel streams, default 1. */
  streams?: number;
  /** The server sends. */
  reverse?: boolean;
  /** UDP at this many bits a second (0 = as fast as it goes) instead of TCP. */
  udpBitrate?: number;
  /** TCP congestion control; `inherit` leaves the namespace's own. Default cubic, so that machines compare. */
  congestion?: string;
  /** Further arguments for the client: `-M 1400`, `--omit 1`. */
  extra?: string[];
  /** Default 5201. Namespaces have ports of their own. */
  port?: number;
  /** Ends the run when it is aborted; its reason is thrown. */
  signal?: AbortSignal;
}

export interface IperfResult {
  /** Payload received. */
  bitsPerSecond: number;
  bytes: number;
  seconds: number;
  /** TCP segments sent again, all streams; 0 for UDP. */
  retransmits: number;
  /** UDP datagrams lost, in per cent; 0 for TCP. */
  lostPercent: number;
  /** CPU of iperf3 itself at each end, in per cent of one core. */
  clientCpu: number;
  serverCpu: number;
}

/** Why iperf3 cannot run here; undefined if it can. */
export function iperfMissing(): string | undefined {
  return programMissing('iperf3', 'iperf3');
}

/** `NAME not found (apt-get install PACKAGE)`, or undefined if NAME is on the PATH. */
export function programMissing(name: string, debianPackage: string): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const found = dirs.some((dir) => dir !== '' && isExecutable(join(dir, name)));
  return found ? undefined : `${name} not found (apt-get install ${debianPackage})`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One run. Throws SetupError with iperf3's own reason if it fails, and the signal's reason. */
export async function iperf(o: IperfOptions): Promise<IperfResult> {
  try {
    return await run(o);
  } catch (error) {
    o.signal?.throwIfAborted(); // the namespaces go at the same moment: what then fails is no reason of its own
    throw error;
  }
}

async function run(o: IperfOptions): Promise<IperfResult> {
  const missing = iperfMissing();
  if (missing) throw new SetupError(missing);
  const port = String(o.port ?? 5201);
  const seconds = o.seconds ?? 3;
  await Promise.all([o.server, o.client].map((space) => useCongestion(space, o.congestion ?? 'cubic')));
  const server = o.server.spawn(['iperf3', '-s', '-1', '-p', port, '--forceflush']);
  try {
    await untilSays(server, 'listening');
    const argv = ['iperf3', '-J', '-c', o.address, '-p', port, '-i', '0'];
    argv.push(...(o.bytes === undefined ? ['-t', String(seconds)] : ['-n', String(o.bytes)]));
    argv.push('--connect-timeout', '3000', ...trafficArguments(o), ...(o.extra ?? []));
    // A peer that vanishes leaves iperf3 waiting on its control connection: hence the deadline.
    const { stdout, stderr } = await o.client.run(argv, (seconds + 15) * 1000, o.signal);
    return parseIperf(stdout, stderr);
  } finally {
    await end(server);
  }
}

function trafficArguments(o: IperfOptions): string[] {
  const args = ['-P', String(o.streams ?? 1)];
  if (o.reverse) args.push('-R');
  if (o.udpBitrate !== undefined) return [...args, '-u', '-b', String(o.udpBitrate)];
  return args;
}

/**
 * By the routes, so that sockets have it from their first packet. `iperf3 -C` asks only once it is connected: a socket
 * that began as bbr, where that is the default, then goes on pacing its segments with a timer for each.
 */
async function useCongestion(space: Netns, congestion: string): Promise<void> {
  if (congestion === 'inherit') return;
  for (const family of ['-4', '-6']) {
    const { stdout } = await space.exec(['ip', family, 'route', 'show']);
    for (const route of stdout.split('\n').filter((line) => line.trim() !== '')) {
      const words = route
        .trim()
        .split(/\s+/)
        .filter((word) => word !== 'linkdown');
      await space.exec(['ip', family, 'route', 'change', ...words, 'congctl', congestion]);
    }
  }
}

const Sum = z.object({
  bits_per_second: z.number(),
  bytes: z.number(),
  seconds: z.number(),
  retransmits: z.number().optional(),
  lost_percent: z.number().optional(),
});

/** The part of `iperf3 -J` that is read. `sum` is UDP's; a run that failed has `error` and an empty `end`. */
const Json = z.object({
  error: z.string().optional(),
  end: z
    .object({
      sum: Sum.optional(),
      sum_sent: Sum.optional(),
      sum_received: Sum.optional(),
      cpu_utilization_percent: z.object({ host_total: z.number(), remote_total: z.number() }).optional(),
    })
    .optional(),
});

/** What `iperf3 -J` printed. Throws SetupError with the reason iperf3 gave, or if it is no result at all. */
export function parseIperf(stdout: string, stderr = ''): IperfResult {
  const json = Json.safeParse(parseJson(stdout));
  if (!json.success) {
    throw new SetupError(`iperf3: ${stderr.trim() || 'printed no result'}`, '', { cause: json.error });
  }
  if (json.data.error) throw new SetupError(`iperf3: ${json.data.error.replace(/^error - /, '')}`);
  const { sum, sum_sent: sent, sum_received, cpu_utilization_percent: cpu } = json.data.end ?? {};
  const received = sum_received ?? sum;
  if (!received) throw new SetupError('iperf3: its result has no sum');
  return {
    bitsPerSecond: received.bits_per_second,
    bytes: received.bytes,
    seconds: received.seconds,
    retransmits: sent?.retransmits ?? 0,
    lostPercent: received.lost_percent ?? sum?.lost_percent ?? 0,
    clientCpu: cpu?.host_total ?? 0,
    serverCpu: cpu?.remote_total ?? 0,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
