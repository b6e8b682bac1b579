// The same arithmetic as the WebAssembly, plain and slow, over whole frames in JavaScript: the reference.

/** RFC 1071 over big-endian words, with an odd last byte as the high half. */
export function referenceSum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at]! * 256 + (at + 1 < bytes.length ? bytes[at + 1]! : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export function pseudoHeader(bytes: Uint8Array, l3: number, l4: number, proto: number): Uint8Array {
  const length = bytes.length - l4;
  const tail = [length >> 8, length & 255];
  return bytes[l3]! >> 4 === 4
    ? Uint8Array.from([...bytes.slice(l3 + 12, l3 + 20), 0, proto, ...tail])
    : Uint8Array.from([...bytes.slice(l3 + 8, l3 + 40), 0, 0, ...tail, 0, 0, 0, proto]);
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >> 8) & 255;
  bytes[at + 1] = value & 255;
}

/** A copy of the frame with its TCP or UDP checksum complete. */
export function completed(frame: Uint8Array, l3: number, l4: number, proto: number): Uint8Array {
  const bytes = frame.slice();
  const field = l4 + (proto === 6 ? 16 : 6);
  put16(bytes, field, 0);
  const pseudo = referenceSum(pseudoHeader(bytes, l3, l4, proto));
  put16(bytes, field, 0xffff - referenceSum(bytes.subarray(l4), pseudo) || 0xffff);
  return bytes;
}

/** The TCP segments that a frame makes, each whole and with complete checksums. */
export function referenceSegments(frame: Uint8Array, l3: number, l4: number, size: number): Uint8Array[] {
  const headers = l4 + (frame[l4 + 12]! >> 4) * 4;
  const view = new DataView(frame.buffer, frame.byteOffset);
  const segments: Uint8Array[] = [];
  for (let at = headers; at < frame.length; at += size) {
    const index = segments.length;
    const last = at + size >= frame.length;
    const bytes = new Uint8Array(Buffer.concat([frame.subarray(0, headers), frame.subarray(at, at + size)]));
    if (frame[l3]! >> 4 === 4) {
      put16(bytes, l3 + 2, bytes.length - l3);
      put16(bytes, l3 + 4, view.getUint16(l3 + 4) + index);
      put16(bytes, l3 + 10, 0);
      put16(bytes, l3 + 10, 0xffff - referenceSum(bytes.subarray(l3, l3 + (frame[l3]! & 15) * 4)));
    } else {
      put16(bytes, l3 + 4, bytes.length - l3 - 40);
    }
    new DataView(bytes.buffer).setUint32(l4 + 4, (view.getUint32(l4 + 4) + at - headers) >>> 0);
    if (!last) bytes[l4 + 13]! &= ~0x09; // FIN, PSH
    if (index > 0) bytes[l4 + 13]! &= ~0x80; // CWR
    segments.push(completed(bytes, l3, l4, 6));
  }
  return segments;
}
