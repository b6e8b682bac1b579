/**
 * One end of the demo's traffic, run inside a guest or beside the host: node demo_endpoint.js
 *
 *   ping ADDRESS COUNT SIZE     echo requests, one after the other
 *   source ADDRESS SECONDS      listens, sends the pattern to the first who connects
 *   sink ADDRESS PORT           connects, compares what comes with the pattern
 *
 * It speaks JSON lines on stdout, and ends when its stdin does: with whoever started it.
 */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pinger } from '../sys/icmp.js';

/** Milliseconds. */
const PING_DEADLINE = 1000;
const PING_PAUSE = 20;
const CONNECT_DEADLINE = 5000;
const PROGRESS_INTERVAL = 100;

/** A prime: no power of two that gets lost, doubled or swapped goes unnoticed. */
const PERIOD = 1048583;
const CHUNK = 256 << 10;
const READ_SIZE = 1 << 20;

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; null when nothing came back. */
  readonly minimum: number | null;
  readonly average: number | null;
}

export interface SinkResult {
  readonly bytes: number;
  /** From connected to the last byte. */
  readonly seconds: number;
  /** Each byte was the one that was sent. */
  readonly verified: boolean;
}

/** Two periods of pseudo-random bytes (xorshift32), so that any CHUNK of the endless pattern is one slice. */
function makePattern(): Buffer {
  const pattern = Buffer.alloc(PERIOD * 2);
  let state = 0x6e666572;
  for (let i = 0; i < PERIOD; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    pattern[i] = state;
  }
  pattern.copy(pattern, PERIOD, 0, PERIOD);
  return pattern;
}

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function ping(address: string, count: number, size: number): Promise<void> {
  const pinger = new Pinger(address);
  const times: number[] = [];
  for (let sequence = 0; sequence < count; sequence++) {
    const time = pinger.ping(sequence, size, PING_DEADLINE);
    if (time !== undefined) times.push(time);
    await sleep(PING_PAUSE);
  }
  pinger.close();
  const sum = times.reduce((total, time) => total + time, 0);
  const result: PingResult = {
    sent: count,
    received: times.length,
    minimum: times.length > 0 ? Math.min(...times) : null,
    average: times.length > 0 ? sum / times.length : null,
  };
  say(result);
}

async function source(address: string, seconds: number): Promise<void> {
  const pattern = makePattern();
  const server = createServer({ highWaterMark: 4 * CHUNK });
  server.listen(0, address);
  await once(server, 'listening');
  say(server.address() as object);
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  const end = performance.now() + seconds * 1000;
  for (let at = 0; performance.now() < end; at = (at + CHUNK) % PERIOD) {
    if (!socket.write(pattern.subarray(at, at + CHUNK))) await once(socket, 'drain');
  }
  socket.end();
  await once(socket, 'close');
}

async function sink(address: string, port: number): Promise<void> {
  const pattern = makePattern();
  let bytes = 0;
  let verified = true;
  let told = 0;
  let start = 0;
  let last = 0;
  const check = (length: number, data: Uint8Array): boolean => {
    for (let at = 0; at < length; ) {
      const from = (bytes + at) % PERIOD;
      const run = Math.min(length - at, PERIOD);
      if (pattern.compare(data, at, at + run, from, from + run) !== 0) verified = false;
      at += run;
    }
    bytes += length;
    last = performance.now();
    if (last - told >= PROGRESS_INTERVAL) {
      say({ bytes });
      told = last;
    }
    return true;
  };
  const socket = connect({
    host: address,
    port,
    onread: { buffer: Buffer.alloc(READ_SIZE), callback: check },
  });
  socket.setTimeout(CONNECT_DEADLINE, () => socket.destroy(new Error(`${address} is silent`)));
  await once(socket, 'connect');
  start = last = performance.now();
  await once(socket, 'close');
  const result: SinkResult = { bytes, seconds: (last - start) / 1000, verified: verified && bytes > 0 };
  say(result);
}

process.stdin.resume().on('end', () => process.exit(1));
const [mode, address, first, second] = process.argv.slice(2);
try {
  if (mode === 'ping') await ping(address, Number(first), Number(second));
  else if (mode === 'source') await source(address, Number(first));
  else if (mode === 'sink') await sink(address, Number(first));
  else throw new Error(`${mode}: ping, source or sink`);
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
