/** The tap driver: linux/if_tun.h; struct ifreq from linux/if.h. ioctl numbers of x86-64 and arm64. */

export const TUNSETIFF = 0x400454ca;
export const TUNSETPERSIST = 0x400454cb;
export const TUNSETOWNER = 0x400454cc;
export const TUNGETFEATURES = 0x800454cf;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNGETIFF = 0x800454d2;
export const TUNSETSNDBUF = 0x400454d4;
export const TUNGETVNETHDRSZ = 0x800454d7;
export const TUNSETVNETHDRSZ = 0x400454d8;
export const TUNSETQUEUE = 0x400454d9;
export const TUNSETVNETLE = 0x400454dc;
export const TUNSETCARRIER = 0x400454e2;

export const IFF_TUN = 1;
export const IFF_TAP = 2;
export const IFF_NAPI = 0x10;
export const IFF_NAPI_FRAGS = 0x20;
export const IFF_MULTI_QUEUE = 0x100;
export const IFF_ATTACH_QUEUE = 0x200;
export const IFF_DETACH_QUEUE = 0x400;
export const IFF_PERSIST = 0x800;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const IFF_TUN_EXCL = 0x8000;

// What the reader of the tap can take: TUNSETOFFLOAD.
export const TUN_F_CSUM = 1;
export const TUN_F_TSO4 = 2;
export const TUN_F_TSO6 = 4;
export const TUN_F_TSO_ECN = 8;
export const TUN_F_UFO = 0x10;
/** Since Linux 6.2; older kernels answer EINVAL to the whole word. */
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

// struct ifreq: char name[16], then a union of which TUNSETIFF reads s16 flags.
export const IFREQ_NAME = 0;
export const IFREQ_FLAGS = 16;
export const IFREQ_SIZE = 40;
/** Longest interface name, with its NUL. */
export const IFNAMSIZ = 16;
