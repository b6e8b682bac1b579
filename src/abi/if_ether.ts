/** Ethernet: linux/if_ether.h, linux/if_vlan.h. Ethertypes in host order; on the wire big-endian. */

export const ETH_ALEN = 6;
export const ETH_HLEN = 14;
export const ETH_ZLEN = 60;
export const ETH_DATA_LEN = 1500;
export const ETH_FRAME_LEN = 1514;
export const ETH_MIN_MTU = 68;
export const ETH_MAX_MTU = 0xffff;

// struct ethhdr.
export const ETH_DEST = 0;
export const ETH_SOURCE = 6;
export const ETH_PROTO = 12;

/** Bytes an 802.1Q tag adds. */
export const VLAN_HLEN = 4;

export const ETH_P_ALL = 3;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_RARP = 0x8035;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_8021AD = 0x88a8;
// Tags of switches that are older than 802.1ad.
export const ETH_P_QINQ1 = 0x9100;
export const ETH_P_QINQ2 = 0x9200;
export const ETH_P_QINQ3 = 0x9300;
/** What is less is no type, but the length of an 802.3 frame. */
export const ETH_P_802_3_MIN = 0x0600;
