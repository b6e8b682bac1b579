// Multicast control (netif.h, "feature-multicast-control"): a guest lists the groups it wants, by extra infos on its
// TX ring, and gets no others while request-multicast-control is set. As in Linux netback the list is kept, and may be
// changed, while the filter is off, and a group that was added twice has to be deleted twice.
import { XEN_NETIF_EXTRA_TYPE_MCAST_ADD } from '../src/abi/netif';
import { CT_MCAST, CT_MCAST_COUNT, MCAST_MAX } from './control_layout';
import { C_MULTICAST } from './counters';
import { fragOf } from './frame';
import {
  F_COOKIE,
  F_COOKIE2,
  F_HEADER,
  F_NFRAGS,
  F_SETTLED,
  F_VERDICT,
  G_COOKIE,
  VERDICT_DROP,
} from './layout';
import { count } from './memory';
import { NB_CONTROL, NB_COUNTERS } from './netif_layout';

const BROADCAST: u64 = 0xffffffffffff;

function find(control: u32, mac: u64): u32 {
  const n = load<u32>(control + CT_MCAST_COUNT);
  for (let i: u32 = 0; i < n; i++) {
    if (load<u64>(control + CT_MCAST + (i << 3)) == mac) return i;
  }
  return n;
}

/** False when the list is full. */
function add(control: u32, mac: u64): bool {
  const n = load<u32>(control + CT_MCAST_COUNT);
  if (n >= <u32>MCAST_MAX) return false;
  store<u64>(control + CT_MCAST + (n << 3), mac);
  store<u32>(control + CT_MCAST_COUNT, n + 1);
  return true;
}

function remove(control: u32, mac: u64): void {
  const at = find(control, mac);
  const n = load<u32>(control + CT_MCAST_COUNT);
  if (at == n) return; // Linux answers OKAY all the same
  store<u64>(control + CT_MCAST + (at << 3), load<u64>(control + CT_MCAST + ((n - 1) << 3)));
  store<u32>(control + CT_MCAST_COUNT, n - 1);
}

/**
 * Obeys an extra info (its 8 octets: type, flags, MAC) and makes its request a settled frame that nobody gets: all
 * that is left is to answer it.
 */
export function multicastChange(nb: u32, frame: u32, extra: u64, extras: u32, id: u16): void {
  const control = load<u32>(nb + NB_CONTROL);
  let done = true;
  if (<u32>(extra & 0xff) == XEN_NETIF_EXTRA_TYPE_MCAST_ADD) done = add(control, extra >> 16);
  else remove(control, extra >> 16);
  store<u16>(fragOf(frame, 0), id, G_COOKIE);
  store<u32>(frame + F_NFRAGS, 1);
  store<u32>(frame + F_COOKIE, done ? 0 : 1);
  store<u32>(frame + F_COOKIE2, extras);
  store<u32>(frame + F_VERDICT, VERDICT_DROP);
  store<u32>(frame + F_SETTLED, 1);
  count(load<u32>(nb + NB_COUNTERS), C_MULTICAST, 1);
}

/** Whether a guest under multicast control gets this frame: unicast, broadcast, or a group of its list. */
export function multicastAllows(control: u32, frame: u32): bool {
  const mac = <u64>load<u32>(frame + F_HEADER) | ((<u64>load<u16>(frame + F_HEADER + 4)) << 32);
  if ((mac & 1) == 0 || mac == BROADCAST) return true;
  return find(control, mac) != load<u32>(control + CT_MCAST_COUNT);
}
