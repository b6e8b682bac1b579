// The Internet checksum (RFC 1071). Sums are u32 partial sums in the machine's byte order, as Linux's
// __wsum: one's-complement addition does not care about byte order, so a folded sum can be stored as a
// plain little-endian u16 and is right on the wire.
//
// Speed: every 32-bit half of the data is added into a 64-bit lane, where 2^32 additions fit without a
// carry. So the loop has no carry chain at all, and one fold at the end settles everything.

/** One's-complement sum of two partial sums. */
export function csumAdd(a: u32, b: u32): u32 {
  const sum = a + b;
  return sum + u32(sum < a);
}

/** 64 bits down to an equivalent partial sum of 32 (2^32 ≡ 1 modulo 0xffff). */
function reduce(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  return u32(sum) + u32(sum >> 32);
}

/**
 * Adds `len` bytes at `addr` to the partial sum `sum`. Any alignment, any length; an odd last byte counts
 * as the first byte of a 16-bit word. Never reads beyond `addr + len`.
 */
export function csumPartial(addr: u32, len: u32, sum: u32): u32 {
  let total: u64 = sum;
  if (len >= 64) {
    const low = i64x2.splat(0xffffffff);
    let even0 = i64x2.splat(0);
    let even1 = even0;
    let odd0 = even0;
    let odd1 = even0;
    const stop = addr + (len & ~63);
    do {
      const a = v128.load(addr);
      const b = v128.load(addr, 16);
      const c = v128.load(addr, 32);
      const d = v128.load(addr, 48);
      even0 = i64x2.add(even0, v128.and(a, low));
      odd0 = i64x2.add(odd0, i64x2.shr_u(a, 32));
      even1 = i64x2.add(even1, v128.and(b, low));
      odd1 = i64x2.add(odd1, i64x2.shr_u(b, 32));
      even0 = i64x2.add(even0, v128.and(c, low));
      odd0 = i64x2.add(odd0, i64x2.shr_u(c, 32));
      even1 = i64x2.add(even1, v128.and(d, low));
      odd1 = i64x2.add(odd1, i64x2.shr_u(d, 32));
      addr += 64;
    } while (addr != stop);
    even0 = i64x2.add(i64x2.add(even0, even1), i64x2.add(odd0, odd1));
    total += i64x2.extract_lane(even0, 0) + i64x2.extract_lane(even0, 1);
    len &= 63;
  }
  while (len >= 8) {
    total += u64(load<u32>(addr)) + u64(load<u32>(addr, 4));
    addr += 8;
    len -= 8;
  }
  if (len & 4) {
    total += load<u32>(addr);
    addr += 4;
  }
  if (len & 2) {
    total += load<u16>(addr);
    addr += 2;
  }
  if (len & 1) total += load<u8>(addr);
  return reduce(total);
}

/**
 * Appends the partial sum `next` of a block that begins `offset` bytes after the start of `sum`'s data.
 * At an odd offset every byte of the block sits in the other half of its word: rotate by eight.
 */
export function csumBlockAdd(sum: u32, next: u32, offset: u32): u32 {
  return csumAdd(sum, offset & 1 ? rotr<u32>(next, 8) : next);
}

/** A partial sum as 16 bits, not complemented: what a "blank" checksum field holds. */
export function csumFold16(sum: u32): u16 {
  sum = (sum & 0xffff) + (sum >> 16);
  return u16(sum + (sum >> 16));
}

/** The checksum itself: folded and complemented, ready for store<u16>. */
export function csumFold(sum: u32): u16 {
  return ~csumFold16(sum);
}

/** Pseudo-header sum (RFC 9293 3.1) of the IPv4 header at `ip`, for `length` bytes of layer 4. */
export function csumPseudo4(ip: u32, length: u32, proto: u32): u32 {
  return csumPartial(ip + 12, 8, u32(bswap<u16>(u16(length))) + (proto << 8));
}

/** Pseudo-header sum (RFC 8200 8.1) of the IPv6 header at `ip`, for `length` bytes of layer 4. */
export function csumPseudo6(ip: u32, length: u32, proto: u32): u32 {
  return csumPartial(ip + 8, 32, csumAdd(bswap<u32>(length), proto << 24));
}
