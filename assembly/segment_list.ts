// Copy segments: what netback asks a transfer to move. One list a datapath thread, filled and moved in turn.
import {
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_SRC_OFF,
  S_STATUS,
  S_TAG,
  SEG_SIZE,
} from './layout';

export function segAt(list: u32, index: u32): u32 {
  return list + index * SEG_SIZE;
}

export function segSource(seg: u32, address: u32, gref: u32, offset: u32, domid: u32): void {
  store<u32>(seg, address, S_SRC_ADDR);
  store<u32>(seg, gref, S_SRC_GREF);
  store<u16>(seg, <u16>offset, S_SRC_OFF);
  store<u16>(seg, <u16>domid, S_SRC_DOM);
}

export function segTarget(seg: u32, address: u32, gref: u32, offset: u32, domid: u32): void {
  store<u32>(seg, address, S_DST_ADDR);
  store<u32>(seg, gref, S_DST_GREF);
  store<u16>(seg, <u16>offset, S_DST_OFF);
  store<u16>(seg, <u16>domid, S_DST_DOM);
}

export function segFinish(seg: u32, length: u32, tag: u32): void {
  store<u16>(seg, <u16>length, S_LEN);
  store<i16>(seg, 0, S_STATUS);
  store<u32>(seg, tag, S_TAG);
}
