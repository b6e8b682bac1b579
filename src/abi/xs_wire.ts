// xenstore's wire protocol: xen/include/public/io/xs_wire.h. Every integer is little-endian u32 on x86 and Arm.

// enum xsd_sockmsg_type
export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
// 20 was XS_RESTRICT, removed.
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;
/** One more than the highest type. */
export const XS_TYPE_COUNT = 23;

// struct xsd_sockmsg: byte offsets
export const XSD_SOCKMSG_TYPE = 0;
export const XSD_SOCKMSG_REQ_ID = 4;
export const XSD_SOCKMSG_TX_ID = 8;
export const XSD_SOCKMSG_LEN = 12;
export const XSD_SOCKMSG_SIZE = 16;

/** Payload beyond this ends the connection. */
export const XENSTORE_PAYLOAD_MAX = 4096;
/** Paths beyond these are answered with EINVAL. */
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;
