/** Sockets and ancillary data: asm-generic/socket.h, linux/socket.h, linux/un.h; layouts of LP64 glibc. */

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
// Both take a struct timeval: two longs, seconds and microseconds.
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const SO_RCVBUFFORCE = 33;
export const SO_NETNS_COOKIE = 71;
export const SCM_RIGHTS = 1;

export const MSG_PEEK = 2;
export const MSG_CTRUNC = 8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
/** recvmmsg(2): what is there after the first. */
export const MSG_WAITFORONE = 0x10000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

// struct msghdr: ptr name, u32 namelen, ptr iov, size_t iovlen, ptr control, size_t controllen, int flags.
export const MSGHDR_NAME = 0;
export const MSGHDR_NAMELEN = 8;
export const MSGHDR_IOV = 16;
export const MSGHDR_IOVLEN = 24;
export const MSGHDR_CONTROL = 32;
export const MSGHDR_CONTROLLEN = 40;
export const MSGHDR_FLAGS = 48;
export const MSGHDR_SIZE = 56;

// struct mmsghdr: struct msghdr, then u32 len, padding.
export const MMSGHDR_LEN = 56;
export const MMSGHDR_SIZE = 64;

// struct cmsghdr: size_t len (header included), int level, int type, then data; next one aligned to 8.
export const CMSG_LEN_OFFSET = 0;
export const CMSG_LEVEL = 8;
export const CMSG_TYPE = 12;
export const CMSG_HEADER_SIZE = 16;
export const CMSG_ALIGNMENT = 8;

// struct ucred (SO_PEERCRED): pid, uid, gid.
export const UCRED_PID = 0;
export const UCRED_UID = 4;
export const UCRED_GID = 8;
export const UCRED_SIZE = 12;

// struct sockaddr_un: u16 family, char path[108]. A path that starts with NUL is abstract.
export const SUN_FAMILY = 0;
export const SUN_PATH = 2;
export const SUN_PATH_MAX = 108;
export const SOCKADDR_UN_SIZE = 110;

// struct sockaddr_in: u16 family, u16 port and u32 address in network order, zeros.
export const SIN_FAMILY = 0;
export const SIN_PORT = 2;
export const SIN_ADDR = 4;
export const SOCKADDR_IN_SIZE = 16;
