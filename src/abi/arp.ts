/** ARP and reverse ARP: net/if_arp.h, netinet/if_ether.h. Numbers in host order; on the wire big-endian. */

export const ARPHRD_ETHER = 1;
export const ARPHRD_IEEE802 = 6;
export const ARPOP_REQUEST = 1;
/** Of reverse ARP: who am I? */
export const ARPOP_RREQUEST = 3;

// struct ether_arp: Ethernet and IPv4.
export const ARP_HRD = 0;
export const ARP_PRO = 2;
export const ARP_HLN = 4;
export const ARP_PLN = 5;
export const ARP_OP = 6;
export const ARP_SHA = 8;
export const ARP_SPA = 14;
export const ARP_TPA = 24;
export const ARP_SIZE = 28;
