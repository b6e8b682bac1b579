/** The addresses that an interface takes in beside its own: its unicast filter (`bridge fdb show dev …`, self). */
import { NDA_LLADDR, NDMSG_FAMILY, NDMSG_IFINDEX, NDMSG_SIZE, RTM_GETNEIGH } from '../abi/rtnetlink.js';
import { AF_BRIDGE } from '../abi/socket.js';
import { macText } from './netlink.js';
import { decodeAttributes, viewOf } from './netlink_codec.js';
import { dump } from './netlink_socket.js';

/**
 * MACs as text. In it are those of macvlans and VLAN interfaces on it, in whatever namespace they are, and those that
 * packet sockets asked for. [] for one that is gone. Throws SysError.
 */
export function unicastFilter(ifindex: number): string[] {
  const header = new Uint8Array(NDMSG_SIZE);
  header[NDMSG_FAMILY] = AF_BRIDGE;
  viewOf(header).setInt32(NDMSG_IFINDEX, ifindex, true);
  const macs: string[] = [];
  for (const { payload } of dump('RTM_GETNEIGH', RTM_GETNEIGH, header, [])) {
    if (payload.length < NDMSG_SIZE || viewOf(payload).getInt32(NDMSG_IFINDEX, true) !== ifindex) continue;
    const mac = decodeAttributes(payload.subarray(NDMSG_SIZE)).get(NDA_LLADDR);
    if (mac?.length === 6 && (mac[0] & 1) === 0) macs.push(macText(mac));
  }
  return macs;
}
