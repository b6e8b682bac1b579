/** What a datapath thread makes of its owner's orders: ports, each with the transfer and the wake-ups that it asks for. */
import { DOM_SIZE } from '../../assembly/grant_layout.js';
import type { Arena } from '../arena/arena.js';
import type { Loops } from '../arena/loops.js';
import { JunctionPort } from '../datapath/junction_port.js';
import type { Port } from '../datapath/port.js';
import { NetbackPort } from '../netif/netback_port.js';
import type { Notify } from '../netif/netback_queue.js';
import { NetfrontPort } from '../netif/netfront_port.js';
import { signal } from '../sys/eventfd.js';
import { TapPort } from '../tap/tap_port.js';
import { GrantCopy } from '../transfer/grant_copy.js';
import { MapUnmap } from '../transfer/map.js';
import { Persistent } from '../transfer/persistent.js';
import { Static } from '../transfer/static.js';
import type { Transfer } from '../transfer/transfer.js';
import type { Channel } from '../xen/event_channels.js';
import type { ThreadPlatform } from '../xen/platform.js';
import type { JunctionSpec, NetbackSpec, NetfrontSpec, TapSpec } from './spec.js';

export class PortMaker {
  readonly #arena: Arena;
  readonly #loops: Loops;
  readonly #platform: ThreadPlatform;
  readonly #segments: number;

  /** `segments`: SEGMENTS_SIZE bytes, the thread's. */
  constructor(arena: Arena, loops: Loops, platform: ThreadPlatform, segments: number) {
    this.#arena = arena;
    this.#loops = loops;
    this.#platform = platform;
    this.#segments = segments;
  }

  open(spec: TapSpec | JunctionSpec | NetfrontSpec): Port {
    // Where mappings pin we are a domain of Xen's, whose every system call passes through it.
    const eager = this.#platform.pins;
    if (spec.kind === 'tap') return new TapPort(this.#arena, this.#loops, { ...spec, eager });
    return spec.kind === 'netfront' ? this.#netfront(spec) : this.#junction(spec);
  }

  netback(spec: NetbackSpec): NetbackPort {
    const transfer = this.#transfer(spec);
    const segments = this.#segments;
    const descriptors = channelsOf(spec).map((channel) => channel.waitFd);
    const queues = spec.queues.map((queue) => ({ ...queue, ...this.#notifiers(queue.channels, spec.wary) }));
    const { control: own } = spec;
    const control = own && { ring: own.ring, notify: this.#platform.events.notifier(own.channel, spec.wary) };
    const options = { ...spec, segments, descriptors, queues, transfer, control };
    return new NetbackPort(this.#arena, this.#loops, options);
  }

  #netfront(spec: NetfrontSpec): Port {
    const descriptors = spec.channels.map((channel) => channel.waitFd);
    const options = { ...spec, descriptors, ...this.#notifiers(spec.channels) };
    return new NetfrontPort(this.#arena, this.#loops, options);
  }

  #junction(spec: JunctionSpec): Port {
    const notify = () => signal(spec.notifyFd);
    return new JunctionPort(this.#arena, this.#loops, { ...spec, descriptors: [spec.waitFd], notify });
  }

  #transfer(spec: NetbackSpec): Transfer {
    const { domid, block: counters } = spec;
    const { grants, records, pins } = this.#platform;
    const unmapWindow = (address: number, bytes: number) => this.#platform.unmapWindow(address, bytes);
    if (spec.transfer === 'grant-copy')
      return new GrantCopy(this.#loops, grants, counters, records && records + domid * DOM_SIZE);
    if (spec.transfer === 'map') {
      const { window, tables: requests } = spec.cache;
      const memory = { domains: records, window, requests, counters };
      return new MapUnmap(this.#arena, this.#loops, grants, memory);
    }
    const cache = { ...spec.cache, id: spec.id, domid, domains: records, counters, pins, unmapWindow };
    const kind = spec.transfer === 'static' ? Static : Persistent;
    return new kind(this.#arena, this.#loops, grants, cache);
  }

  #notifiers(channels: readonly Channel[], wary = false): { notifyTx: Notify; notifyRx: Notify } {
    const [notifyTx, notifyRx = notifyTx] = channels.map((one) => this.#platform.events.notifier(one, wary));
    return { notifyTx, notifyRx };
  }
}

/** All that wake a vif's back end; its control ring's is the last. */
export function channelsOf({ queues, control }: NetbackSpec): Channel[] {
  const channels = queues.flatMap((queue) => queue.channels);
  return control ? [...channels, control.channel] : channels;
}
