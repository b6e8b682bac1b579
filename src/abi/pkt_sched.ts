/** Queueing disciplines and filters by rtnetlink: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h. */

export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
export const RTM_GETQDISC = 38;
export const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;

// struct tcmsg. For a filter, info is priority << 16 | protocol in network order.
export const TCMSG_FAMILY = 0;
export const TCMSG_IFINDEX = 4;
export const TCMSG_HANDLE = 8;
export const TCMSG_PARENT = 12;
export const TCMSG_INFO = 16;
export const TCMSG_SIZE = 20;

export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;

/** Parent of the one clsact (or ingress) qdisc of an interface; 0xfff1 in the low half names no filter list. */
export const TC_H_CLSACT = 0xfffffff1;
/** Low half of a filter's parent: which of clsact's two lists. */
export const TC_H_MIN_INGRESS = 0xfff2;
export const TC_H_MIN_EGRESS = 0xfff3;

// Inside TCA_OPTIONS of a filter of kind bpf.
export const TCA_BPF_FD = 6;
export const TCA_BPF_NAME = 7;
export const TCA_BPF_FLAGS = 8;
export const TCA_BPF_ID = 11;
/** In TCA_BPF_FLAGS: the program's return value is the verdict. */
export const TCA_BPF_FLAG_ACT_DIRECT = 1;
