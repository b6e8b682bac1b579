/** Service access points of 802.2, the first byte behind an 802.3 header's length: linux/llc.h. The lowest bit says group. */

export const LLC_SAP_IP = 0x06;
export const LLC_SAP_SNAP = 0xaa;
