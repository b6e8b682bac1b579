/** The hook's maps: made, written and read as `programs/layout.ts` lays them out. */
import {
  BPF_F_RDONLY_PROG,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
} from '../abi/bpf.js';
import { mapCreate, mapDelete, mapLookup, mapUpdate } from '../sys/bpf.js';
import { mapEntries } from '../sys/bpf_entries.js';
import { possibleCpus } from '../sys/cpus.js';
import { close } from '../sys/libc.js';
import * as layout from './programs/layout.js';

/** Map → type, bytes of key and value, entries, flags. */
const SHAPES = {
  macs: [BPF_MAP_TYPE_HASH, layout.MAC_KEY_SIZE, layout.MAC_ENTRY_SIZE, layout.MACS_MAX, BPF_F_RDONLY_PROG],
  learned: [BPF_MAP_TYPE_HASH, layout.MAC_KEY_SIZE, layout.LEARNED_ENTRY_SIZE, layout.LEARNED_MOST],
  ports: [BPF_MAP_TYPE_ARRAY, 4, layout.PORT_ENTRY_SIZE, layout.SLOTS],
  groups: [BPF_MAP_TYPE_ARRAY, 4, layout.GROUP_ENTRY_SIZE, layout.SLOTS],
  addresses: [BPF_MAP_TYPE_HASH, layout.ADDRESS_KEY_SIZE, layout.ADDRESS_ENTRY_SIZE, layout.ADDRESSES_MAX],
  learns: [BPF_MAP_TYPE_ARRAY, 4, layout.LEARN_COUNT_SIZE, layout.SLOTS],
  limits: [BPF_MAP_TYPE_ARRAY, 4, layout.LEARN_COUNT_SIZE, layout.SLOTS, BPF_F_RDONLY_PROG],
  counters: [BPF_MAP_TYPE_PERCPU_ARRAY, 4, layout.COUNTERS_SIZE, layout.SLOTS],
  config: [BPF_MAP_TYPE_ARRAY, 4, layout.CONFIG_SIZE, 1],
  programs: [BPF_MAP_TYPE_PROG_ARRAY, 4, 4, layout.PROGRAMS],
} as const;
type MapName = keyof typeof SHAPES;

export type Counters = Record<layout.CounterName, number>;

/** What programs found. */
export interface LearnedEntry {
  /** The MAC's key, as MacTable's. */
  readonly key: number;
  readonly slot: number;
  /** CLOCK_MONOTONIC, ns. */
  readonly seen: bigint;
}

export interface PortEntry {
  readonly ifindex: number;
  /** PORT_* */
  readonly flags: number;
  /** 6 bytes, or none. */
  readonly mac: Uint8Array | undefined;
  /** 4 bytes, one of the port's in `addresses`; or none. */
  readonly ipv4?: Uint8Array | undefined;
  /** Bytes of the longest frame that it takes; absent: any. */
  readonly longest?: number;
}

function u32s(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return bytes;
}

/** A MAC's 48 bits as a number: cheaper to compare and to keep than bytes or text. */
export function macKey(mac: Uint8Array): number {
  const [a, b, c, d, e, f] = mac;
  return ((a | (b << 8) | (c << 16) | (d << 24)) >>> 0) + (e | (f << 8)) * 2 ** 32;
}

/** The six bytes of a key. */
export function macOf(key: number): Uint8Array {
  return keyBytes(key).slice(0, 6);
}

function keyBytes(key: number): Uint8Array {
  return u32s(key, key / 2 ** 32);
}

/** One set of maps; all methods throw SysError when the kernel refuses. */
export class Maps {
  /** By name, for linking programs. */
  readonly descriptors: Readonly<Record<MapName, number>>;
  readonly #cpus = possibleCpus();

  constructor() {
    const descriptors: Partial<Record<MapName, number>> = {};
    try {
      for (const [name, [type, keySize, valueSize, maxEntries, flags = 0]] of Object.entries(SHAPES)) {
        const shape = { name: `netferry_${name}`, type, keySize, valueSize, maxEntries, flags };
        descriptors[name as MapName] = mapCreate(shape);
      }
    } catch (error) {
      for (const fd of Object.values(descriptors)) close(fd);
      throw error;
    }
    this.descriptors = descriptors as Record<MapName, number>;
  }

  close(): void {
    for (const fd of Object.values(this.descriptors)) close(fd);
  }

  /** A program that others end in. The map drops it when the last descriptor of the map is closed. */
  setProgram(index: number, program: number): void {
    mapUpdate(this.descriptors.programs, u32s(index), u32s(program));
  }

  /** `fallback`: where unknown unicast goes without an uplink. `groups`: entries of the group list in use. `flags`: PORT_PEER. */
  setConfig(config: {
    uplink: number;
    fallback: number;
    groups: number;
    flags: number;
    longest?: number;
  }): void {
    const { uplink, fallback, groups, flags, longest = layout.LONGEST_MAX } = config;
    mapUpdate(this.descriptors.config, u32s(0), u32s(uplink, fallback, groups, flags, longest));
  }

  setPort(slot: number, entry: PortEntry | undefined): void {
    const value = new Uint8Array(layout.PORT_ENTRY_SIZE);
    new DataView(value.buffer).setBigUint64(layout.PORT_MAC, layout.MAC_NONE, true);
    if (entry) {
      value.set(u32s(entry.ifindex, entry.flags), layout.PORT_IFINDEX);
      if (entry.mac) value.set(keyBytes(macKey(entry.mac)), layout.PORT_MAC);
      value.set(entry.ipv4 ?? [], layout.PORT_IPV4);
      value.set(u32s(entry.longest ?? layout.LONGEST_MAX), layout.PORT_LONGEST);
    }
    mapUpdate(this.descriptors.ports, u32s(slot), value);
  }

  /** One place of the group list: 8 bytes at once, so a program sees the old receiver or the new. */
  setGroup(place: number, ifindex: number, slot: number, longest = layout.LONGEST_MAX): void {
    const atMost = Math.min(longest, layout.LONGEST_MAX);
    mapUpdate(this.descriptors.groups, u32s(place), u32s(ifindex, slot | (atMost << 16)));
  }

  /** Gives a MAC to a slot, or to another. */
  setMac(mac: Uint8Array, slot: number): void {
    mapUpdate(this.descriptors.macs, keyBytes(macKey(mac)), u32s(slot, 0));
  }

  removeMac(mac: Uint8Array): void {
    mapDelete(this.descriptors.macs, keyBytes(macKey(mac)));
  }

  /** Every MAC that programs found. */
  learned(): LearnedEntry[] {
    const { count, keys, values } = mapEntries(this.descriptors.learned, {
      keySize: layout.MAC_KEY_SIZE,
      valueSize: layout.LEARNED_ENTRY_SIZE,
      most: layout.LEARNED_MOST,
    });
    return Array.from({ length: count }, (_, i) => {
      const key = i * layout.MAC_KEY_SIZE;
      const value = i * layout.LEARNED_ENTRY_SIZE;
      return {
        key: keys.getUint32(key, true) + keys.getUint16(key + 4, true) * 2 ** 32,
        slot: values.getUint32(value + layout.LEARNED_SLOT, true),
        seen: values.getBigUint64(value + layout.LEARNED_SEEN, true),
      };
    });
  }

  /** False: it was gone already. */
  forget(key: number): boolean {
    return mapDelete(this.descriptors.learned, keyBytes(key));
  }

  /** u32: how many MACs programs have learned for a slot, less those that they have taken away again. */
  learns(slot: number): number {
    const value = new Uint8Array(layout.LEARN_COUNT_SIZE);
    mapLookup(this.descriptors.learns, u32s(slot), value);
    return new DataView(value.buffer).getUint32(0, true);
  }

  /** Up to where `learns` may go. */
  setLimit(slot: number, limit: number): void {
    mapUpdate(this.descriptors.limits, u32s(slot), u32s(limit));
  }

  /** `address`: 4 or 16 bytes. */
  setAddress(slot: number, address: Uint8Array, allowed: boolean): void {
    const key = new Uint8Array(layout.ADDRESS_KEY_SIZE);
    key.set(u32s(slot, address.length === 4 ? 4 : 6));
    key.set(address, layout.ADDRESS_BYTES);
    if (allowed) mapUpdate(this.descriptors.addresses, key, u32s(1));
    else mapDelete(this.descriptors.addresses, key);
  }

  /** The sum over all CPUs. */
  counters(slot: number): Counters {
    const value = new Uint8Array(layout.COUNTERS_SIZE * this.#cpus);
    mapLookup(this.descriptors.counters, u32s(slot), value);
    const words = new BigUint64Array(value.buffer);
    const sums = layout.COUNTERS.map((name, i): [string, number] => {
      let sum = 0n;
      for (let cpu = 0; cpu < this.#cpus; cpu++) sum += words[cpu * layout.COUNTERS.length + i];
      return [name, Number(sum)];
    });
    return Object.fromEntries(sums) as Counters;
  }

  clearCounters(slot: number): void {
    mapUpdate(this.descriptors.counters, u32s(slot), new Uint8Array(layout.COUNTERS_SIZE * this.#cpus));
  }
}
