/** /dev/xen/evtchn: xen/evtchn.h of Linux. read(2) gives u32 ports, each then masked until it is written back. */

export const IOCTL_EVTCHN_BIND_INTERDOMAIN = 0x84501;
export const IOCTL_EVTCHN_BIND_UNBOUND_PORT = 0x44502;
export const IOCTL_EVTCHN_UNBIND = 0x44503;
export const IOCTL_EVTCHN_NOTIFY = 0x44504;
export const IOCTL_EVTCHN_RESET = 0x4505;

// struct ioctl_evtchn_bind_interdomain: u32, u32. The others hold one u32: a domid (bind_unbound_port), or the port.
export const BIND_REMOTE_DOMAIN = 0;
export const BIND_REMOTE_PORT = 4;
export const BIND_INTERDOMAIN_SIZE = 8;
