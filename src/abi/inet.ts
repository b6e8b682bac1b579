/** IPv4, IPv6, TCP and UDP headers: linux/ip.h, linux/ipv6.h, linux/tcp.h, linux/udp.h, linux/in.h, linux/in6.h. */

export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;
// Extension headers.
export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_AH = 51;
export const IPPROTO_DSTOPTS = 60;

// struct iphdr. Byte 0: version in the high nibble, header length in 32-bit words in the low.
export const IPHDR_TOT_LEN = 2;
export const IPHDR_ID = 4;
export const IPHDR_FRAG_OFF = 6;
export const IPHDR_TTL = 8;
export const IPHDR_PROTOCOL = 9;
export const IPHDR_CHECK = 10;
export const IPHDR_SADDR = 12;
export const IPHDR_DADDR = 16;
/** Without options. */
export const IPHDR_SIZE = 20;

// struct ipv6hdr.
export const IPV6HDR_PAYLOAD_LEN = 4;
export const IPV6HDR_NEXTHDR = 6;
export const IPV6HDR_HOP_LIMIT = 7;
export const IPV6HDR_SADDR = 8;
export const IPV6HDR_DADDR = 24;
export const IPV6HDR_SIZE = 40;

// struct tcphdr. Byte 12: data offset in 32-bit words in the high nibble; byte 13: the flags.
export const TCPHDR_SOURCE = 0;
export const TCPHDR_DEST = 2;
export const TCPHDR_SEQ = 4;
export const TCPHDR_ACK_SEQ = 8;
export const TCPHDR_DOFF = 12;
export const TCPHDR_FLAGS = 13;
export const TCPHDR_WINDOW = 14;
export const TCPHDR_CHECK = 16;
export const TCPHDR_SIZE = 20;
export const TCP_FLAG_FIN = 1;
export const TCP_FLAG_SYN = 2;
export const TCP_FLAG_RST = 4;
export const TCP_FLAG_PSH = 8;
export const TCP_FLAG_ACK = 0x10;
export const TCP_FLAG_CWR = 0x80;

/** Socket option at level IPPROTO_TCP: the congestion control's name. */
export const TCP_CONGESTION = 13;

// struct udphdr.
export const UDPHDR_SOURCE = 0;
export const UDPHDR_DEST = 2;
export const UDPHDR_LEN = 4;
export const UDPHDR_CHECK = 6;
export const UDPHDR_SIZE = 8;
