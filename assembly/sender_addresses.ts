// The addresses that a port may be sender of, looked up (senders_layout.ts).
import {
  SENDER_V4_SIZE,
  SENDER_V6_SIZE,
  SENDERS_V4,
  SENDERS_V4_FIRST,
  SENDERS_V6,
  SENDERS_V6_FIRST,
} from './senders_layout';

const SOURCE_MAC: u32 = 6;
const MAC: u64 = 0xffffffffffff;

/** One of the port's. `address`: as it lies. */
export function mayBeV4(senders: u32, address: u32): bool {
  const n = load<u32>(senders, SENDERS_V4);
  for (let i: u32 = 0; i < n; i++) {
    const entry = senders + SENDERS_V4_FIRST + i * SENDER_V4_SIZE;
    if (((address ^ load<u32>(entry)) & load<u32>(entry, 4)) == 0) return true;
  }
  return false;
}

/** The same of the 16 octets at `at`. */
export function mayBeV6(senders: u32, at: u32): bool {
  const high = load<u64>(at);
  const low = load<u64>(at, 8);
  const n = load<u32>(senders, SENDERS_V6);
  for (let i: u32 = 0; i < n; i++) {
    const entry = senders + SENDERS_V6_FIRST + i * SENDER_V6_SIZE;
    const differs = (high ^ load<u64>(entry)) & load<u64>(entry, 16);
    if ((differs | ((low ^ load<u64>(entry, 8)) & load<u64>(entry, 24))) == 0) return true;
  }
  return false;
}

/** The six octets at `at` are the frame's source. `header`: its first octet. */
export function isSource(header: u32, at: u32): bool {
  const mac = <u64>load<u32>(at) | ((<u64>load<u16>(at + 4)) << 32);
  return mac == (load<u64>(header + SOURCE_MAC) & MAC);
}
