/** The netlink envelope every family shares: linux/netlink.h. Host byte order; messages and attributes align to 4. */

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const SOL_NETLINK = 270;
/** Error replies without a copy of the request's payload. */
export const NETLINK_CAP_ACK = 10;
/** Error replies with a message in words (NLMSGERR_ATTR_MSG). */
export const NETLINK_EXT_ACK = 11;
/** The kernel checks header fields and attributes of a dump request strictly, and filters by them. */
export const NETLINK_GET_STRICT_CHK = 12;

// struct sockaddr_nl: u16 family, u16 pad, u32 port id, u32 groups.
export const SOCKADDR_NL_FAMILY = 0;
export const SOCKADDR_NL_PID = 4;
export const SOCKADDR_NL_GROUPS = 8;
export const SOCKADDR_NL_SIZE = 12;

// struct nlmsghdr: u32 length with this header, u16 type, u16 flags, u32 sequence number, u32 port id.
export const NLMSG_LEN = 0;
export const NLMSG_TYPE = 4;
export const NLMSG_FLAGS = 6;
export const NLMSG_SEQ = 8;
export const NLMSG_PID = 12;
export const NLMSG_HDRLEN = 16;
export const NLMSG_ALIGNTO = 4;

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 1;
export const NLM_F_MULTI = 2;
export const NLM_F_ACK = 4;
/** The dump was torn by a change meanwhile; ask again. */
export const NLM_F_DUMP_INTR = 0x10;
// For requests that get.
export const NLM_F_ROOT = 0x100;
export const NLM_F_MATCH = 0x200;
export const NLM_F_DUMP = 0x300;
// For requests that make.
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
// For acknowledgements.
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

// struct nlmsgerr: s32 error (-errno, 0 = done), then the header of the request, then attributes.
export const NLMSGERR_ERROR = 0;
export const NLMSGERR_MSG = 4;
export const NLMSGERR_SIZE = 20;
export const NLMSGERR_ATTR_MSG = 1;
export const NLMSGERR_ATTR_OFFS = 2;

// struct nlattr: u16 length with this header, u16 type.
export const NLA_LEN = 0;
export const NLA_TYPE = 2;
export const NLA_HDRLEN = 4;
export const NLA_F_NESTED = 0x8000;
export const NLA_TYPE_MASK = 0x3fff;
