/** ICMPv6 types of neighbour discovery, and where the parts of its messages begin: netinet/icmp6.h. */

export const ND_ROUTER_SOLICIT = 133;
export const ND_ROUTER_ADVERT = 134;
export const ND_NEIGHBOR_SOLICIT = 135;
export const ND_NEIGHBOR_ADVERT = 136;
export const ND_REDIRECT = 137;

/** Of solicitations and advertisements alike. */
export const ND_TARGET = 8;
/** Where their options begin, and those of a router solicitation. */
export const ND_OPTIONS = 24;
export const ND_RS_OPTIONS = 8;

export const ND_OPT_SOURCE_LINKADDR = 1;
export const ND_OPT_TARGET_LINKADDR = 2;
