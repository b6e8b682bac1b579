/** Packet sockets: linux/if_packet.h; the level from sys/socket.h. */

export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;

// struct packet_mreq: s32 interface index, u16 type, u16 address length, u8 address[8].
export const PACKET_MREQ_IFINDEX = 0;
export const PACKET_MREQ_TYPE = 4;
export const PACKET_MREQ_ALEN = 6;
export const PACKET_MREQ_ADDRESS = 8;
export const PACKET_MREQ_SIZE = 16;

export const PACKET_MR_MULTICAST = 0;
export const PACKET_MR_PROMISC = 1;
/** Every group address. */
export const PACKET_MR_ALLMULTI = 2;
/** One more address of the interface itself. */
export const PACKET_MR_UNICAST = 3;
