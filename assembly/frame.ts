// Frame descriptors: the few things that every port does with one.
import {
  F_COOKIE,
  F_FRAGS,
  F_HDR_LEN,
  F_HEADER,
  F_LEN,
  F_NFRAGS,
  F_SETTLED,
  F_SINCE,
  F_SRC,
  F_VERDICT,
  F_VNET,
  FRAG_SIZE,
  G_ADDR,
  G_LEN,
} from './layout';
import { copyBytes } from './memory';

/** A blank descriptor: no bytes, no offloads, pending. The header bytes themselves are not touched. */
export function frameClear(frame: u32, source: u32): void {
  store<u32>(frame + F_LEN, 0);
  store<u32>(frame + F_HDR_LEN, 0);
  store<u32>(frame + F_NFRAGS, 0);
  store<u32>(frame + F_SETTLED, 0);
  store<u32>(frame + F_VERDICT, 0);
  store<u32>(frame + F_SINCE, 0);
  store<u32>(frame + F_COOKIE, 0);
  store<u64>(frame + F_COOKIE + 4, 0);
  store<u32>(frame + F_SRC, source);
  store<u32>(frame + F_VNET, 0);
  store<u64>(frame + F_VNET + 4, 0);
}

export function fragOf(frame: u32, index: u32): u32 {
  return frame + F_FRAGS + index * FRAG_SIZE;
}

/** All bytes of a frame, whose fragments are all readable here, in one run at `to`. Returns its length. */
export function frameLinearize(frame: u32, to: u32): u32 {
  const header = load<u32>(frame + F_HDR_LEN);
  copyBytes(to, frame + F_HEADER, header);
  let at = to + header;
  const n = load<u32>(frame + F_NFRAGS);
  for (let i: u32 = 0; i < n; i++) {
    const frag = fragOf(frame, i);
    const length = <u32>load<u16>(frag, G_LEN);
    if (length == 0) continue;
    copyBytes(at, load<u32>(frag, G_ADDR), length);
    at += length;
  }
  return at - to;
}

/** True when every fragment can be read in the arena. */
export function frameIsLocal(frame: u32): bool {
  const n = load<u32>(frame + F_NFRAGS);
  for (let i: u32 = 0; i < n; i++) {
    const frag = fragOf(frame, i);
    if (load<u16>(frag, G_LEN) != 0 && load<u32>(frag, G_ADDR) == 0) return false;
  }
  return true;
}

/**
 * A frame whose bytes lie in one run: `header` of them are copied into the descriptor, the rest is a fragment.
 * The offload fields are left alone.
 */
export function frameFromLinear(frame: u32, address: u32, length: u32, header: u32): void {
  const head = min(header, length);
  copyBytes(frame + F_HEADER, address, head);
  store<u32>(frame + F_LEN, length);
  store<u32>(frame + F_HDR_LEN, head);
  frameRest(frame, address + head, length - head);
}

/** The bytes behind the header: one fragment, or none. */
export function frameRest(frame: u32, address: u32, length: u32): void {
  store<u32>(frame + F_NFRAGS, length == 0 ? 0 : 1);
  const frag = fragOf(frame, 0);
  store<u32>(frag, address, G_ADDR);
  store<u16>(frag, <u16>length, G_LEN);
}
