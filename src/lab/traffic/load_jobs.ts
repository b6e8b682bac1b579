/**
 * The two ends of a turn of traffic, as the processes of `load.ts` play them. Both ends are made first, then run at a
 * time agreed upon, by CLOCK_MONOTONIC, which all processes share:
 *
 *   begin ──────── from ═══════════ until        counted and timed: from … until; before, the flow settles
 *
 * An end stays open after its window, until it is told to close: the other may still be in its own.
 */
import { constants } from 'node:os';
import { POLLIN, POLLOUT } from '../../abi/poll.js';
import { MSG_DONTWAIT } from '../../abi/socket.js';
import { SetupError } from '../../sys/errors.js';
import * as socket from '../../sys/inet_socket.js';
import { close, pinned } from '../../sys/libc.js';
import { quantile } from '../stats.js';
import { now } from './clock.js';
import { busyBetween, MachineCpu } from './machine_cpu.js';

export type Kind = 'udp' | 'tcp' | 'roundTrips';

/** What an end is told at first. */
export interface EndOptions {
  readonly kind: Kind;
  /** Whose network namespace: a process's pid. */
  readonly pid: number;
  /** The other end's address. */
  readonly to: string;
  /** At both ends, but for that of the near end of a stream. */
  readonly port: number;
  /** Parallel TCP streams. */
  readonly streams: number;
}

/** In the milliseconds of `now()`. */
export interface Window {
  readonly begin: number;
  readonly from: number;
  readonly until: number;
}

/** What the near end found. `amount` in frames or bytes sent, round trips made. */
export interface NearFigures {
  readonly seconds: number;
  readonly amount: number;
  /** Of this process. */
  readonly cpuSeconds: number;
  /** Of the whole machine. */
  readonly busySeconds: number;
  /** Round trips, µs. */
  readonly p50: number;
  readonly p99: number;
}

/** What the far end found. `amount` in frames or bytes that arrived. */
export interface FarFigures {
  readonly seconds: number;
  readonly amount: number;
}

/** An end that is set up: carries its part of the window, then is closed. */
export interface End<F> {
  run(window: Window): F;
  close(): void;
}

/** With the headers of UDP, IP and Ethernet, without the frame check sequence: 64 bytes. */
export const PAYLOAD_64 = 22;
const BATCH = 64;
const DATAGRAM_MAX = 2048;
const SEND_CHUNK = 128 << 10;
const RECEIVE_CHUNK = 256 << 10;
const CONGESTION = 'cubic';
/** How long an end waits for a sign of the other. */
const PATIENCE_MS = 40;
/** Streams of which none can move look at the clock so often. */
const STREAM_WAIT_MS = 2;
/** A sender goes on a little, so that its receiver does not wait in vain at the end of its own window. */
const TAIL_MS = 2;
const RECEIVE_BUFFER = 4 << 20;
const PING = 64;
/** A datagram this short ends the echo. */
const GOODBYE = 1;
const { EAGAIN } = constants.errno;

const machine = new MachineCpu();
const outgoing = new socket.Datagrams(BATCH, PAYLOAD_64);
const incoming = new socket.Datagrams(BATCH, DATAGRAM_MAX);
const bytes = pinned(RECEIVE_CHUNK).address;

/** Calls `step` from begin to until, and says what it added up to from `from` on, at what cost. */
function near({ begin, from, until }: Window, tail: number, step: () => number): NearFigures {
  while (now() < begin);
  while (now() < from) step();
  const start = now();
  const idle = machine.idle();
  const cpu = process.cpuUsage();
  let amount = 0;
  while (now() < until) amount += step();
  const { user, system } = process.cpuUsage(cpu);
  const cpuSeconds = (user + system) / 1e6;
  const seconds = (now() - start) / 1000;
  // The machine's clock ticks in hundredths; it was not busy for less than this process alone.
  const busySeconds = Math.max(cpuSeconds, busyBetween(idle, machine.idle(), seconds));
  while (now() < until + tail) step();
  return { seconds, amount, cpuSeconds, busySeconds, p50: 0, p99: 0 };
}

function far({ from, until }: Window, step: () => number): FarFigures {
  while (now() < from) step();
  const start = now();
  let amount = 0;
  while (now() < until) amount += step();
  return { seconds: (now() - start) / 1000, amount };
}

export function nearEnd(o: EndOptions): End<NearFigures> {
  if (o.kind === 'tcp') return streamsFrom(o);
  const fd = datagramSocket(o);
  const run =
    o.kind === 'udp'
      ? (window: Window) => near(window, TAIL_MS, () => outgoing.send(fd))
      : (window: Window) => ping(fd, window);
  return { run, close: () => close(fd) };
}

export function farEnd(o: EndOptions): End<FarFigures> {
  if (o.kind === 'tcp') return streamsTo(o);
  const fd = datagramSocket(o);
  const run =
    o.kind === 'udp'
      ? (window: Window) => far(window, () => incoming.receive(fd))
      : (window: Window) => echo(fd, window);
  return { run, close: () => close(fd) };
}

/** For what comes from the other end alone. */
function datagramSocket({ to, port }: EndOptions): number {
  const fd = socket.udpSocket();
  try {
    socket.receiveBuffer(fd, RECEIVE_BUFFER);
    socket.timeout(fd, PATIENCE_MS);
    socket.bindPort(fd, port);
    socket.connectTo(fd, to, port);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** One datagram there and back after the other. */
function ping(fd: number, window: Window): NearFigures {
  const trips: number[] = [];
  const figures = near(window, 0, () => {
    const start = now();
    if (socket.send(fd, bytes, PING, 0) !== PING) return 0;
    if (socket.receive(fd, bytes, RECEIVE_CHUNK, 0) !== PING) return 0;
    const end = now();
    if (start >= window.from) trips.push((end - start) * 1000);
    return 1;
  });
  for (let i = 0; i < 3; i++) socket.send(fd, bytes, GOODBYE, 0);
  return { ...figures, p50: quantile(trips, 0.5), p99: quantile(trips, 0.99) };
}

function echo(fd: number, { begin, until }: Window): FarFigures {
  let amount = 0;
  while (now() < until + PATIENCE_MS) {
    const length = socket.receive(fd, bytes, RECEIVE_CHUNK, 0);
    if (length === GOODBYE) break;
    if (length > 0 && socket.send(fd, bytes, length, 0) > 0) amount++;
  }
  return { seconds: (until - begin) / 1000, amount };
}

function streamsFrom(o: EndOptions): End<NearFigures> {
  const fds: number[] = [];
  const closeAll = () => fds.splice(0).forEach(close);
  try {
    for (let i = 0; i < o.streams; i++) {
      const fd = socket.tcpSocket(CONGESTION);
      fds.push(fd);
      socket.timeout(fd, 1000);
      socket.connectTo(fd, o.to, o.port);
    }
  } catch (error) {
    closeAll();
    throw error;
  }
  const send = (fd: number) => socket.send(fd, bytes, SEND_CHUNK, MSG_DONTWAIT);
  const ready = new socket.PollSet(fds, POLLOUT);
  return { run: (window) => near(window, TAIL_MS, () => onEach(fds, send, ready)), close: closeAll };
}

function streamsTo(o: EndOptions): End<FarFigures> {
  const fds: number[] = [socket.tcpSocket(CONGESTION)];
  const closeAll = () => fds.splice(0).forEach(close);
  const [listener] = fds;
  try {
    socket.timeout(listener, 1000);
    socket.bindPort(listener, o.port);
    socket.listen(listener, o.streams);
  } catch (error) {
    closeAll();
    throw error;
  }
  const receive = (fd: number) => socket.receive(fd, bytes, RECEIVE_CHUNK, MSG_DONTWAIT);
  return {
    run: (window) => {
      for (let i = 0; i < o.streams; i++) fds.push(socket.accept(listener));
      const streams = fds.slice(1);
      const ready = new socket.PollSet(streams, POLLIN);
      return far(window, () => onEach(streams, receive, ready));
    },
    close: closeAll,
  };
}

/** One transfer on each stream, bytes in all; waits where none can do anything. Throws SetupError when one breaks. */
function onEach(fds: readonly number[], transfer: (fd: number) => number, ready: socket.PollSet): number {
  let sum = 0;
  for (let i = 0; i < fds.length; i++) {
    const moved = transfer(fds[i]);
    if (moved > 0) sum += moved;
    else if (moved !== -EAGAIN) throw new SetupError(`a TCP stream broke: errno ${-moved}`);
  }
  if (sum === 0) ready.wait(STREAM_WAIT_MS);
  return sum;
}
