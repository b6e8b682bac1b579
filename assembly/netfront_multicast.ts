// netfront's half of multicast control: a TX request without a frame, whose extra info names a group.
import {
  NETIF_RSP_OKAY,
  NETTXF_extra_info,
  TXREQ_FLAGS,
  TXREQ_GREF,
  TXREQ_ID,
  TXREQ_OFFSET,
  TXREQ_SIZE,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
} from '../src/abi/netif';
import { NETIF_RING_SIZE } from '../src/abi/ring';
import {
  NF_FENCED,
  NF_FREE_IDS,
  NF_MCAST_REFUSED,
  NF_TX_CONS,
  NF_TX_REQ,
  NF_TX_RING,
  NF_TX_TABLE,
  TX_BUFFER,
  TX_HEAD,
  TX_LEFT,
} from './netif_layout';
import { txEntry } from './ring';
import { stackPop } from './stack';

/** Asks for a group (low: first four octets of its MAC, high: the other two), or for no more of it. False: no room now. */
export function netfrontMulticast(nf: u32, listed: bool, low: u32, high: u32): bool {
  const req = load<u32>(nf + NF_TX_REQ);
  if (load<u32>(nf + NF_FENCED) || <u32>NETIF_RING_SIZE - (req - load<u32>(nf + NF_TX_CONS)) < 2)
    return false;
  const id = stackPop(load<u32>(nf + NF_FREE_IDS));
  if (id == 0) return false;
  const row = load<u32>(nf + NF_TX_TABLE) + ((id - 1) << 2);
  store<u32>(row, 1, TX_LEFT);
  store<u32>(row, 0, TX_BUFFER);
  store<u32>(row, id, TX_HEAD);
  const ring = load<u32>(nf + NF_TX_RING);
  const entry = txEntry(ring, req);
  store<u32>(entry, 0, TXREQ_GREF);
  store<u16>(entry, 0, TXREQ_OFFSET);
  store<u16>(entry, NETTXF_extra_info, TXREQ_FLAGS);
  store<u16>(entry, <u16>(id - 1), TXREQ_ID);
  store<u16>(entry, 0, TXREQ_SIZE);
  const extra = txEntry(ring, req + 1);
  const type = listed ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
  store<u64>(extra, <u64>type | ((<u64>low) << 16) | ((<u64>(high & 0xffff)) << 48));
  store<u32>(extra, 0, 8);
  store<u32>(nf + NF_TX_REQ, req + 2);
  return true;
}

export function multicastAnswered(nf: u32, status: i32): void {
  if (status == NETIF_RSP_OKAY) return;
  store<u32>(nf + NF_MCAST_REFUSED, load<u32>(nf + NF_MCAST_REFUSED) + 1);
}
