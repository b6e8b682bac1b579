// Extra infos on their way to a guest (netif.h, "struct netif_extra_info"): they follow the first data slot, each
// but the last with the MORE flag, in Linux netback's order.
import {
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_XDP,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from '../src/abi/netif';
import { XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ } from '../src/abi/netif_ctrl';
import { VIRTIO_NET_HDR_GSO_TCPV4 } from '../src/abi/virtio_net';
import { C_HASHED } from './counters';
import { V_GSO_SIZE } from './layout';
import { count } from './memory';
import { rxAnswer } from './netback_show';
import { META_ENTRY, META_EXTRA, META_KIND, NB_COUNTERS, NB_META } from './netif_layout';
import { RING_MASK } from './ring';
import { hashValue } from './toeplitz';

const MORE: u64 = XEN_NETIF_EXTRA_FLAG_MORE << 8;

export function metaOf(nb: u32, slot: u32): u32 {
  return load<u32>(nb + NB_META) + (slot & RING_MASK) * META_ENTRY;
}

/**
 * Prepares the extra infos of a frame in the slots behind `slot`; returns the last one's. `gso`: VIRTIO_NET_HDR_GSO_*,
 * 0 = none; `hash`: what hashFrame just said; `headroom`: in front of its bytes in each page.
 */
export function extraInfos(nb: u32, slot: u32, frame: u32, gso: u32, hash: u32, headroom: u32): u32 {
  let last = slot;
  if (gso != 0) {
    const kind = gso == VIRTIO_NET_HDR_GSO_TCPV4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
    const size = <u64>load<u16>(frame, V_GSO_SIZE);
    const more = (hash | headroom) != 0 ? MORE : 0;
    put(nb, ++last, <u64>XEN_NETIF_EXTRA_TYPE_GSO | more | (size << 16) | ((<u64>kind) << 32));
  }
  if (hash != 0) {
    const what = ((<u64>(hash - 1)) << 16) | ((<u64>XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ) << 24);
    const more = headroom != 0 ? MORE : 0;
    put(nb, ++last, <u64>XEN_NETIF_EXTRA_TYPE_HASH | more | what | ((<u64>hashValue) << 32));
    count(load<u32>(nb + NB_COUNTERS), C_HASHED, 1);
  }
  if (headroom != 0) put(nb, ++last, <u64>XEN_NETIF_EXTRA_TYPE_XDP | ((<u64>headroom) << 16));
  return last;
}

function put(nb: u32, slot: u32, octets: u64): void {
  store<u64>(rxAnswer(nb, slot), octets);
  store<u32>(metaOf(nb, slot), META_EXTRA, META_KIND);
}
