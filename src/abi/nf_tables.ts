/** Chains of nf_tables by netlink: linux/netfilter/nf_tables.h, nfnetlink.h, linux/netfilter.h. */

export const NFNL_SUBSYS_NFTABLES = 10;
export const NFT_MSG_GETCHAIN = 4;
/** Chains of interfaces. */
export const NFPROTO_NETDEV = 5;
export const NF_NETDEV_EGRESS = 1;

/** struct nfgenmsg: u8 family, u8 version, be16 resource. */
export const NFGENMSG_SIZE = 4;

export const NFTA_CHAIN_HOOK = 4;
// Inside NFTA_CHAIN_HOOK; numbers are big-endian.
export const NFTA_HOOK_HOOKNUM = 1;
export const NFTA_HOOK_DEV = 3;
export const NFTA_HOOK_DEVS = 4;
// Inside NFTA_HOOK_DEVS.
export const NFTA_DEVICE_NAME = 1;
/** How names of interfaces begin that are meant. */
export const NFTA_DEVICE_PREFIX = 2;
