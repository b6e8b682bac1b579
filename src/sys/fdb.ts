/** The addresses that an interface takes in beside its own: its unicast filter (`bridge fdb show dev …`, self permanent). */
import {
  IFINFO_FAMILY,
  IFINFO_INDEX,
  IFINFO_SIZE,
  NDA_DST,
  NDA_LLADDR,
  NDA_NH_ID,
  NDMSG_FLAGS,
  NDMSG_IFINDEX,
  NDMSG_SIZE,
  NDMSG_STATE,
  NTF_SELF,
  NUD_PERMANENT,
  RTM_GETNEIGH,
} from '../abi/rtnetlink.js';
import { AF_BRIDGE } from '../abi/socket.js';
import { macText } from './netlink.js';
import { decodeAttributes, viewOf } from './netlink_codec.js';
import { dump } from './netlink_socket.js';

/**
 * MACs as text. In it are those of macvlans and VLAN interfaces on it, in whatever namespace they are, and those that
 * packet sockets asked for. [] for one that is gone. Throws SysError.
 */
export function unicastFilter(ifindex: number): string[] {
  // By a struct ifinfomsg the kernel tells of that interface alone; in a struct ndmsg it overlooks the index.
  const header = new Uint8Array(IFINFO_SIZE);
  header[IFINFO_FAMILY] = AF_BRIDGE;
  viewOf(header).setInt32(IFINFO_INDEX, ifindex, true);
  const macs: string[] = [];
  for (const { payload } of dump('RTM_GETNEIGH', RTM_GETNEIGH, header, [])) {
    if (payload.length < NDMSG_SIZE || !isOwn(payload, ifindex)) continue;
    const attributes = decodeAttributes(payload.subarray(NDMSG_SIZE));
    if (attributes.has(NDA_DST) || attributes.has(NDA_NH_ID)) continue; // a tunnel's far end
    const mac = attributes.get(NDA_LLADDR);
    if (mac?.length === 6 && (mac[0] & 1) === 0) macs.push(macText(mac));
  }
  return macs;
}

/**
 * As ndo_dflt_fdb_dump (net/core/rtnetlink.c) writes its entries. Bridges, switch ports and vxlan have lists of their
 * own in the same dump: stations that they learned on the wire.
 */
function isOwn(payload: Uint8Array, ifindex: number): boolean {
  const view = viewOf(payload);
  return (
    view.getInt32(NDMSG_IFINDEX, true) === ifindex &&
    (view.getUint8(NDMSG_FLAGS) & NTF_SELF) !== 0 &&
    (view.getUint16(NDMSG_STATE, true) & NUD_PERMANENT) !== 0
  );
}
