/** Features of an interface by ioctl: linux/ethtool.h, linux/sockios.h; struct ifreq from linux/if.h. */

export const SIOCETHTOOL = 0x8946;

// struct ifreq: char name[16], then a union of which this ioctl reads a pointer.
export const IFREQ_DATA = 16;

export const ETHTOOL_GSTRINGS = 0x1b;
export const ETHTOOL_GSSET_INFO = 0x37;
export const ETHTOOL_GFEATURES = 0x3a;
export const ETHTOOL_SFEATURES = 0x3b;

/** The set of strings with the features' names; the n-th is that of bit n. */
export const ETH_SS_FEATURES = 4;
export const ETH_GSTRING_LEN = 32;

// struct ethtool_sset_info: the mask holds the sets that are there, data[] the size of each.
export const SSET_INFO_MASK = 8;
export const SSET_INFO_DATA = 16;

// struct ethtool_gstrings.
export const GSTRINGS_SET = 4;
export const GSTRINGS_LEN = 8;
export const GSTRINGS_DATA = 12;

// struct ethtool_gfeatures and ethtool_sfeatures: command, number of blocks, then blocks of 32 features each.
export const FEATURES_COUNT = 4;
export const FEATURES_BLOCKS = 8;
export const GET_FEATURES_AVAILABLE = 0;
export const GET_FEATURES_ACTIVE = 8;
export const GET_FEATURES_BLOCK_SIZE = 16;
export const SET_FEATURES_VALID = 0;
export const SET_FEATURES_REQUESTED = 4;
export const SET_FEATURES_BLOCK_SIZE = 8;
