/** Links, addresses and routes: linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/if.h. */

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_GETNEIGH = 30;

// Groups, as bits of sockaddr_nl.
export const RTMGRP_LINK = 1;
export const RTMGRP_TC = 8;

// struct ifinfomsg.
export const IFINFO_FAMILY = 0;
export const IFINFO_TYPE = 2;
export const IFINFO_INDEX = 4;
export const IFINFO_FLAGS = 8;
export const IFINFO_CHANGE = 12;
export const IFINFO_SIZE = 16;

export const IFF_UP = 1;
export const IFF_LOOPBACK = 8;
export const IFF_RUNNING = 0x40;
export const IFF_PROMISC = 0x100;
export const IFF_LOWER_UP = 0x10000;

export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_LINK = 5;
/** The name of the root qdisc. */
export const IFLA_QDISC = 6;
export const IFLA_MASTER = 10;
export const IFLA_TXQLEN = 13;
export const IFLA_LINKINFO = 18;
export const IFLA_NET_NS_PID = 19;
export const IFLA_NET_NS_FD = 28;
export const IFLA_EXT_MASK = 29;
/** How many have asked for promiscuous mode, the kernel itself among them. */
export const IFLA_PROMISCUITY = 30;
/** There if the other end of the link is in another network namespace. */
export const IFLA_LINK_NETNSID = 37;
export const IFLA_GSO_MAX_SIZE = 41;
export const IFLA_GRO_MAX_SIZE = 58;
/** What the hardware came with; absent where it came with none. */
export const IFLA_PERM_ADDRESS = 54;
/** The device it is a function of: a PCI address, most often. */
export const IFLA_PARENT_DEV_NAME = 56;
/** In IFLA_EXT_MASK: leave the statistics out of the answer. */
export const RTEXT_FILTER_SKIP_STATS = 8;
// Inside IFLA_LINKINFO.
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
/** Kind of the master. */
export const IFLA_INFO_SLAVE_KIND = 4;

// struct ifaddrmsg.
export const IFADDR_FAMILY = 0;
export const IFADDR_PREFIXLEN = 1;
export const IFADDR_FLAGS = 2;
export const IFADDR_SCOPE = 3;
export const IFADDR_INDEX = 4;
export const IFADDR_SIZE = 8;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_BROADCAST = 4;
export const IFA_FLAGS = 8;
/** No duplicate address detection: the address works at once. */
export const IFA_F_NODAD = 2;

// struct ndmsg.
export const NDMSG_FAMILY = 0;
export const NDMSG_IFINDEX = 4;
export const NDMSG_STATE = 8;
export const NDMSG_FLAGS = 10;
export const NDMSG_SIZE = 12;
/** In the state: nobody learned it. */
export const NUD_PERMANENT = 0x80;
/** In the flags: the interface's own list, not its bridge's. */
export const NTF_SELF = 2;
/** Where a tunnel sends it. */
export const NDA_DST = 1;
export const NDA_LLADDR = 2;
/** The same, as a group of next hops. */
export const NDA_NH_ID = 13;

// struct rtmsg.
export const RTMSG_FAMILY = 0;
export const RTMSG_DST_LEN = 1;
export const RTMSG_TABLE = 4;
export const RTMSG_PROTOCOL = 5;
export const RTMSG_SCOPE = 6;
export const RTMSG_TYPE = 7;
export const RTMSG_SIZE = 12;

export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;

export const RT_TABLE_MAIN = 254;
export const RTPROT_STATIC = 4;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RTN_UNICAST = 1;
