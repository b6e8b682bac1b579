/** ICMPv6 types of multicast listener discovery: linux/icmpv6.h. Those of neighbour discovery: neighbour_discovery.ts. */

export const ICMPV6_MGM_REPORT = 131;
export const ICMPV6_MGM_REDUCTION = 132;
export const ICMPV6_MLD2_REPORT = 143;
