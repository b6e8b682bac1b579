/** The hook's maps: made, written and read as `programs/layout.ts` lays them out. */
import {
  BPF_ANY,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_NOEXIST,
} from '../abi/bpf.js';
import { mapCreate, mapDelete, mapKeys, mapLookup, mapUpdate } from '../sys/bpf.js';
import { possibleCpus } from '../sys/cpus.js';
import { close } from '../sys/libc.js';
import * as layout from './programs/layout.js';

/** Map → type, bytes of key and value, entries. */
const SHAPES = {
  macs: [BPF_MAP_TYPE_HASH, layout.MAC_KEY_SIZE, layout.MAC_ENTRY_SIZE, layout.MACS_MAX],
  ports: [BPF_MAP_TYPE_ARRAY, 4, layout.PORT_ENTRY_SIZE, layout.SLOTS],
  groups: [BPF_MAP_TYPE_ARRAY, 4, layout.GROUP_ENTRY_SIZE, layout.SLOTS],
  addresses: [BPF_MAP_TYPE_HASH, layout.ADDRESS_KEY_SIZE, layout.ADDRESS_ENTRY_SIZE, layout.ADDRESSES_MAX],
  learned: [BPF_MAP_TYPE_ARRAY, 4, layout.LEARNED_ENTRY_SIZE, layout.SLOTS],
  counters: [BPF_MAP_TYPE_PERCPU_ARRAY, 4, layout.COUNTERS_SIZE, layout.SLOTS],
  config: [BPF_MAP_TYPE_ARRAY, 4, layout.CONFIG_SIZE, 1],
  programs: [BPF_MAP_TYPE_PROG_ARRAY, 4, 4, layout.PROGRAMS],
} as const;
type MapName = keyof typeof SHAPES;

export type Counters = Record<layout.CounterName, number>;

export interface MacEntry {
  readonly slot: number;
  readonly learned: boolean;
  /** CLOCK_MONOTONIC, ns; 0 unless learned. */
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

function macKey(mac: Uint8Array): Uint8Array {
  const key = new Uint8Array(layout.MAC_KEY_SIZE);
  key.set(mac);
  return key;
}

/** One set of maps; all methods throw SysError when the kernel refuses. */
export class Maps {
  /** By name, for linking programs. */
  readonly descriptors: Readonly<Record<MapName, number>>;
  readonly #cpus = possibleCpus();

  constructor() {
    const descriptors: Partial<Record<MapName, number>> = {};
    try {
      for (const [name, [type, keySize, valueSize, maxEntries]] of Object.entries(SHAPES)) {
        const shape = { name: `netferry_${name}`, type, keySize, valueSize, maxEntries };
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
    if (entry) {
      value.set(u32s(entry.ifindex, entry.flags), layout.PORT_IFINDEX);
      value.set(entry.mac ?? [], layout.PORT_MAC);
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

  /** Gives a MAC to a slot. `only`: throws EEXIST if it is somebody's. */
  setMac(mac: Uint8Array, slot: number, only: boolean): void {
    const value = new Uint8Array(layout.MAC_ENTRY_SIZE);
    value.set(u32s(slot, 0));
    mapUpdate(this.descriptors.macs, macKey(mac), value, only ? BPF_NOEXIST : BPF_ANY);
  }

  removeMac(mac: Uint8Array): boolean {
    return mapDelete(this.descriptors.macs, macKey(mac));
  }

  mac(mac: Uint8Array): MacEntry | undefined {
    const value = new Uint8Array(layout.MAC_ENTRY_SIZE);
    if (!mapLookup(this.descriptors.macs, macKey(mac), value)) return undefined;
    const view = new DataView(value.buffer);
    return {
      slot: view.getUint32(layout.MAC_SLOT, true),
      learned: (view.getUint32(layout.MAC_FLAGS, true) & layout.MAC_LEARNED) !== 0,
      seen: view.getBigUint64(layout.MAC_SEEN, true),
    };
  }

  /** Every MAC, learned ones too. */
  macs(): { mac: Uint8Array; entry: MacEntry }[] {
    const all = [];
    for (const key of mapKeys(this.descriptors.macs, layout.MAC_KEY_SIZE)) {
      const mac = key.slice(0, 6);
      const entry = this.mac(mac);
      if (entry) all.push({ mac, entry });
    }
    return all;
  }

  setLearned(slot: number, count: number, most: number): void {
    mapUpdate(this.descriptors.learned, u32s(slot), u32s(count, most));
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
