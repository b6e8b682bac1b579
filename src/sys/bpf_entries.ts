/** All entries of a hash map: by BPF_MAP_LOOKUP_BATCH, which walks bucket by bucket, or, before Linux 5.6, key by key. */
import { constants } from 'node:os';
import * as abi from '../abi/bpf.js';
import { Attributes, failure, mapLookup } from './bpf.js';

const { EINVAL, ENOENT, ENOSPC } = constants.errno;
/** linux/errno.h; not for user space by rights, but what the kernel says of a map that has no batches. */
const ENOTSUPP = 524;

/** `count` keys and values, back to back. Each key is there once. One that comes or goes meanwhile may be missed. */
export interface Entries {
  readonly count: number;
  readonly keys: DataView;
  readonly values: DataView;
}

/** What is asked for: bytes of key and value, and how many entries there can be. */
export interface EntriesShape {
  readonly keySize: number;
  readonly valueSize: number;
  readonly most: number;
}

/** Throws SysError. */
export function mapEntries(fd: number, shape: EntriesShape): Entries {
  return entriesByBatch(fd, shape) ?? entriesByKey(fd, shape);
}

/** undefined: the kernel cannot. */
export function entriesByBatch(fd: number, { keySize, valueSize, most }: EntriesShape): Entries | undefined {
  const keys = new Uint8Array(keySize * most);
  const values = new Uint8Array(valueSize * most);
  const place = new Uint8Array(4); // the next bucket
  let count = 0;
  for (let ended = false; !ended && count < most; ) {
    const attributes = new Attributes()
      .pointer(abi.BATCH_OUT, place)
      .pointer(abi.BATCH_KEYS, keys.subarray(count * keySize))
      .pointer(abi.BATCH_VALUES, values.subarray(count * valueSize))
      .u32(abi.BATCH_COUNT, most - count)
      .u32(abi.BATCH_MAP_FD, fd);
    if (count > 0) attributes.pointer(abi.BATCH_IN, place);
    const result = attributes.try(abi.BPF_MAP_LOOKUP_BATCH);
    if (count === 0 && (result === -EINVAL || result === -ENOTSUPP)) return undefined;
    // Without room for the whole next bucket: more came meanwhile than the map has at one time.
    ended = result === -ENOENT || result === -ENOSPC;
    if (result < 0 && !ended) throw failure('MAP_LOOKUP_BATCH', -result, '');
    const found = result === -ENOSPC ? 0 : attributes.view.getUint32(abi.BATCH_COUNT, true);
    if (found === 0) break;
    count += found;
  }
  return { count, keys: new DataView(keys.buffer), values: new DataView(values.buffer) };
}

/** The same with two calls an entry. */
export function entriesByKey(fd: number, { keySize, valueSize, most }: EntriesShape): Entries {
  const keys = new Uint8Array(keySize * most);
  const values = new Uint8Array(valueSize * most);
  const seen = new Set<string>();
  let count = 0;
  let steps = 0;
  for (const key of mapKeys(fd, keySize)) {
    // The walk starts again whenever its key is taken away, so it need not end by itself.
    if (count === most || ++steps > 2 * most) break;
    const text = Buffer.from(key).toString('latin1');
    const value = values.subarray(count * valueSize, (count + 1) * valueSize);
    if (seen.has(text) || !mapLookup(fd, key, value)) continue;
    seen.add(text);
    keys.set(key, count * keySize);
    count++;
  }
  return { count, keys: new DataView(keys.buffer), values: new DataView(values.buffer) };
}

/**
 * The keys of a map. One that is changed meanwhile may be missed or come twice; after one that is taken away while the
 * walk stands on it, the walk begins again.
 */
export function* mapKeys(fd: number, keySize: number): Generator<Uint8Array> {
  let key: Uint8Array | undefined;
  for (;;) {
    const next = new Uint8Array(keySize);
    const attributes = new Attributes().u32(abi.MAP_ELEM_FD, fd).pointer(abi.MAP_ELEM_VALUE, next);
    if (key) attributes.pointer(abi.MAP_ELEM_KEY, key); // without: the first
    const result = attributes.try(abi.BPF_MAP_GET_NEXT_KEY);
    if (result === -ENOENT) return;
    if (result < 0) throw failure('MAP_GET_NEXT_KEY', -result, '');
    key = next;
    yield next;
  }
}
