/** Event channels over /dev/xen/evtchn: one open file a datapath thread. The owner binds, the thread hears. */

import type { Epoll } from '../../sys/epoll.js';
import { SetupError } from '../../sys/errors.js';
import { bindInterdomain, bindUnbound, notifier, PendingEvents, unbind } from '../../sys/evtchn.js';
import { close } from '../../sys/libc.js';
import { openXenDevice } from '../../sys/xen_device.js';
import { type Channel, EVENTS_TOKEN, type EventChannels, type EventSource } from '../event_channels.js';

export class NativeEventChannels implements EventChannels {
  /** For the thread that hears them. */
  readonly fd = openXenDevice('evtchn');
  readonly #bound = new Set<number>();

  bindInterdomain(domid: number, remotePort: number): number {
    if (!isU32(domid) || !isU32(remotePort))
      throw new SetupError(`event channel ${remotePort} of domain ${domid}: no such port`);
    const port = bindInterdomain(this.fd, domid, remotePort);
    this.#bound.add(port);
    return port;
  }

  /** A new port for domain `domid` to bind: a front end's way. Throws SysError. */
  bindUnbound(domid: number): number {
    const port = bindUnbound(this.fd, domid);
    this.#bound.add(port);
    return port;
  }

  /** What wakes the peer of one of them, for the thread that binds. */
  notifier(port: number): () => void {
    return notifier(this.fd, port);
  }

  unbind(port: number): void {
    if (this.#bound.delete(port)) unbind(this.fd, port);
  }

  channel(port: number): Channel {
    if (!this.#bound.has(port)) throw new SetupError(`event channel: no local port ${port}`);
    return { port, notifyFd: this.fd, waitFd: this.fd };
  }

  /** Unbinds them all. */
  close(): void {
    close(this.fd);
  }
}

/** Ports that Xen has at most (FIFO event channels). */
const PORTS_MAX = 1 << 17;

/** The thread's half: all channels are one descriptor, and a flat table says whose each port is. */
export class NativeEvents implements EventSource {
  readonly #epoll: Epoll;
  readonly #fd: number;
  readonly #pending: PendingEvents;
  /** By port: its token; 0: nobody's. */
  readonly #tokens = new Uint32Array(PORTS_MAX);
  /** What the last collect found. */
  #found: Uint32Array = new Uint32Array(0);

  constructor(epoll: Epoll, fd: number) {
    this.#epoll = epoll;
    this.#fd = fd;
    this.#pending = new PendingEvents(fd);
    epoll.addLevel(fd, EVENTS_TOKEN);
  }

  /** What came before was nobody's. */
  add(channel: Channel, token: number): boolean {
    this.#tokens[channel.port] = token;
    return true;
  }

  remove(channel: Channel): void {
    this.#tokens[channel.port] = 0;
  }

  notifier(channel: Channel): () => void {
    return notifier(channel.notifyFd, channel.port);
  }

  collect(): number {
    const { ports } = this.#pending;
    const n = this.#pending.take();
    if (n < 0) return this.#everything();
    let known = 0;
    for (let i = 0; i < n; i++) {
      const token = this.#tokens[ports[i]];
      if (token !== 0) ports[known++] = token; // unmasked already
    }
    this.#found = ports;
    return known;
  }

  token(i: number): number {
    return this.#found[i];
  }

  close(): void {
    this.#epoll.remove(this.#fd);
  }

  /** The driver lost some: whoever has a channel looks. */
  #everything(): number {
    this.#found = this.#tokens.filter((token) => token !== 0);
    return this.#found.length;
  }
}

function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
