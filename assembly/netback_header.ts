// The first bytes of a guest's frame are brought into its descriptor: all that is ever inspected.
import { cachedPage, lend, mayCopy } from './cache';
import { fragOf } from './frame';
import { F_HDR_LEN, F_HEADER, F_LEN, F_NFRAGS, G_ADDR, G_DOM, G_GREF, G_LEN, G_OFF } from './layout';
import { copyBytes } from './memory';
import { HEADER_FETCH } from './netif_layout';
import { segAt, segFinish, segSource, segTarget } from './segment_list';

/** In place of a number of segments: a grant does not allow it. */
export const REFUSED: u32 = 0xffffffff;

/** Segments that bring the first HEADER_FETCH bytes into the descriptor, out of as many slots as they lie in (XSA-423). */
export function headerSegments(frame: u32, into: u32): u32 {
  const want = min(load<u32>(frame + F_LEN), <u32>HEADER_FETCH);
  let done: u32 = 0;
  let n: u32 = 0;
  while (done < want) {
    const frag = fragOf(frame, n);
    const take = min(<u32>load<u16>(frag, G_LEN), want - done);
    headerSegment(frame, frag, segAt(into, n), done, take);
    done += take;
    n++;
  }
  store<u32>(frame + F_HDR_LEN, want);
  return n;
}

/** One slot's share: `take` bytes that belong at `done` of the header. */
function headerSegment(frame: u32, frag: u32, seg: u32, done: u32, take: u32): u32 {
  const offset = <u32>load<u16>(frag, G_OFF);
  segSource(seg, 0, load<u32>(frag, G_GREF), offset, load<u16>(frag, G_DOM));
  segTarget(seg, frame + F_HEADER + done, 0, 0, 0);
  segFinish(seg, take, frame);
  store<u16>(frag, <u16>(load<u16>(frag, G_LEN) - take), G_LEN);
  store<u16>(frag, <u16>(offset + take), G_OFF);
  return 1;
}

/**
 * The same through a mapping cache: the bytes are copied at once, and what is left of each slot becomes readable in
 * place. Inspected is only the copy: the guest may still change what it mapped. Slots whose pages were not announced
 * take segments, whose number is returned.
 */
export function headerInPlace(cache: u32, frame: u32, into: u32): u32 {
  const want = min(load<u32>(frame + F_LEN), <u32>HEADER_FETCH);
  const slots = load<u32>(frame + F_NFRAGS);
  let nsegs: u32 = 0;
  let done: u32 = 0;
  for (let n: u32 = 0; n < slots; n++) {
    const frag = fragOf(frame, n);
    const page = cachedPage(cache, load<u32>(frag, G_GREF), false);
    const length = <u32>load<u16>(frag, G_LEN);
    const take = min(length, want - done);
    if (page == 0) {
      if (!mayCopy()) return REFUSED;
      if (take != 0) nsegs += headerSegment(frame, frag, segAt(into, nsegs), done, take);
      done += take;
      continue;
    }
    const address = page + load<u16>(frag, G_OFF);
    if (take != 0) copyBytes(frame + F_HEADER + done, address, take);
    if (length != take) lend(page);
    store<u32>(frag, address + take, G_ADDR);
    store<u16>(frag, <u16>(length - take), G_LEN);
    done += take;
  }
  store<u32>(frame + F_HDR_LEN, want);
  return nsegs;
}
