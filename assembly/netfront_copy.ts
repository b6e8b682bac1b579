// The guest's own copy of what it receives: out of the granted page, which is free again at once (the talk's second
// copy of a static buffer).
import { C_COPIED_BYTES, C_COPIES } from './counters';
import { fragOf, frameRest } from './frame';
import { F_NFRAGS, F_SETTLED, FRAME_SIZE, G_ADDR, G_GREF, G_LEN } from './layout';
import { copyBytes, count } from './memory';
import { NF_COUNTERS, NF_PAGES } from './netif_layout';
import { stackPush } from './stack';

/**
 * Copies what lies in the fragments of list[0 … n) to private memory, 64 KiB a descriptor (by its place behind
 * `frames`) at `to`, and gives the pages back. Frames that are settled already keep theirs until their release.
 */
export function netfrontCopyOut(nf: u32, list: u32, n: u32, frames: u32, to: u32): void {
  const pages = load<u32>(nf + NF_PAGES);
  let bytes: u64 = 0;
  let copies: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    const start = to + ((frame - frames) / FRAME_SIZE) * 65536;
    let at = start;
    const frags = load<u32>(frame + F_NFRAGS);
    for (let k: u32 = 0; k < frags; k++) {
      const frag = fragOf(frame, k);
      const length = <u32>load<u16>(frag, G_LEN);
      copyBytes(at, load<u32>(frag, G_ADDR), length);
      at += length;
      stackPush(pages, load<u32>(frag, G_GREF));
    }
    frameRest(frame, start, at - start);
    store<u32>(fragOf(frame, 0), 0, G_GREF); // no page goes back with it
    copies += frags;
    bytes += at - start;
  }
  count(load<u32>(nf + NF_COUNTERS), C_COPIES, copies);
  count(load<u32>(nf + NF_COUNTERS), C_COPIED_BYTES, bytes);
}
