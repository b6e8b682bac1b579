/** A datapath thread's half of the native platform. */
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import type { Epoll } from '../../sys/epoll.js';
import type { EventSource } from '../event_channels.js';
import type { NativeStart, ThreadPlatform } from '../platform.js';
import { NativeEvents } from './events.js';
import { NativeGrantTable } from './grants.js';

export class NativeThread implements ThreadPlatform {
  readonly grants: NativeGrantTable;
  readonly events: EventSource;
  /** Xen knows its domains; nothing of them is kept here. */
  readonly records = 0;
  readonly pins = true;

  /** Throws SetupError: no /dev/xen/gntdev. */
  constructor(arena: Arena, loops: Loops, start: NativeStart, epoll: Epoll) {
    this.grants = new NativeGrantTable(arena, loops, start.segments, start.foreign);
    this.events = new NativeEvents(epoll, start.eventsFd);
  }

  admit(): void {}

  forget(): void {}

  /** `page`: a reference. */
  mapPage(domid: number, address: number, page: number, writable: boolean): number {
    return this.grants.mapPage(domid, page, address, writable);
  }

  unmapPage(address: number): number {
    return this.grants.unmapPage(address);
  }

  unmapWindow(address: number, bytes: number): void {
    this.grants.unmapWindow(address, bytes);
  }

  close(): void {
    this.events.close();
    this.grants.close();
  }
}
