/** Traffic between two places, with what came out of it held against what went in. */
import assert from 'node:assert/strict';
import { type Place, until } from './place.js';

/** Seconds that a transfer may take. */
const TRANSFER = 120;

/** Bytes of a slow stream's piece. */
const PIECE = 65_536;

let nextPort = 5001;

export interface StreamOptions {
  /** The receiver's address. */
  readonly address: string;
  readonly bytes: number;
  readonly seconds?: number;
  /** Sends a piece at a time with pauses between: it is still under way when other things happen. */
  readonly slow?: boolean;
}

/** Sends random bytes over TCP and compares hashes: a copy gone wrong that a checksum missed shows here. */
export async function streamHashed(from: Place, to: Place, options: StreamOptions): Promise<void> {
  const stream = await startStream(from, to, options);
  await stream.finish();
}

export interface Stream {
  /** Resolves when all has arrived and is what was sent. */
  finish(): Promise<void>;
  /** Bytes that have come so far. */
  arrived(): Promise<number>;
  /** Ends it where it is; an end that is gone is nothing to wonder at. */
  abandon(): Promise<void>;
}

/** A stream that goes on while other things happen. */
export async function startStream(from: Place, to: Place, options: StreamOptions): Promise<Stream> {
  const { address, bytes, seconds = TRANSFER, slow = false } = options;
  const port = nextPort++;
  const v6 = address.includes(':');
  const [source, sink] = [`/tmp/sent.${port}`, `/tmp/received.${port}`];
  await from.ok(`head -c ${bytes} /dev/urandom >${source}`, seconds);
  const sent = await from.ok(`sha256sum <${source}`);
  const receiver = await to.start(
    `socat -u TCP${v6 ? 6 : 4}-LISTEN:${port},reuseaddr OPEN:${sink},creat,trunc`,
  );
  await listens(to, port);
  const target = v6 ? `TCP6:[${address}]:${port}` : `TCP4:${address}:${port}`;
  const sender = await from.start(
    slow ? `${pieces(source, bytes)} | socat -u STDIN ${target}` : `socat -u OPEN:${source} ${target}`,
  );
  const what = `${from.name} → ${to.name}, ${bytes} bytes to ${address}`;
  return {
    async finish() {
      for (const [name, task] of Object.entries({ sender, receiver })) {
        const { code, stdout, stderr } = await task.wait(seconds);
        assert.equal(code, 0, `${what}: the ${name} ended with ${code}: ${stdout}${stderr}`);
      }
      assert.equal(await to.ok(`sha256sum <${sink}`), sent, `${what}: other bytes arrived than were sent`);
      await Promise.all([from.run(`rm -f ${source}`), to.run(`rm -f ${sink}`)]);
    },
    async arrived() {
      return Number(await to.ok(`stat -c %s ${sink} 2>/dev/null || echo 0`));
    },
    async abandon() {
      await Promise.allSettled([sender.kill(), receiver.kill()]);
    },
  };
}

/** Prints a file with a pause after each piece. */
function pieces(file: string, bytes: number): string {
  const piece = `dd if=${file} bs=${PIECE} skip=$i count=1 2>/dev/null; sleep 0.1`;
  return `{ i=0; while [ $i -lt ${Math.ceil(bytes / PIECE)} ]; do ${piece}; i=$((i+1)); done; }`;
}

/** iperf3's report, from the client's side. */
export interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_sent?: IperfSum;
    readonly sum_received?: IperfSum;
    /** UDP. */
    readonly sum?: IperfSum & { readonly packets: number; readonly lost_packets: number };
  };
}

export interface IperfSum {
  readonly seconds: number;
  readonly bytes: number;
  readonly bits_per_second: number;
}

/** One test; the client is `from` and sends unless `args` say -R. Rejects with iperf3's own error. */
export async function iperf(
  from: Place,
  to: Place,
  address: string,
  args = '-t 5',
  seconds = TRANSFER,
): Promise<IperfReport> {
  const port = nextPort++;
  const server = await to.start(`iperf3 -s -1 -p ${port}`);
  try {
    await listens(to, port);
    const { stdout } = await from.run(`iperf3 -c ${address} -p ${port} -J ${args}`, seconds);
    const report = JSON.parse(stdout) as IperfReport;
    if (report.error !== undefined) throw new Error(`iperf3 ${from.name} → ${address}: ${report.error}`);
    return report;
  } finally {
    await server.kill();
  }
}

/** Resolves once somebody listens at that TCP port of a place. */
async function listens(place: Place, port: number): Promise<void> {
  await until(
    `${place.name}: port ${port}`,
    async () => (await place.run(`netstat -ltn | grep -q ":${port} "`)).code === 0,
    30,
  );
}
