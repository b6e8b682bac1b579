/** /dev/xen/gntdev, by which a back end maps and copies what domains granted: xen/gntdev.h of Linux. */

export const IOCTL_GNTDEV_MAP_GRANT_REF = 0x184700;
export const IOCTL_GNTDEV_UNMAP_GRANT_REF = 0x104701;
export const IOCTL_GNTDEV_SET_UNMAP_NOTIFY = 0x104707;
export const IOCTL_GNTDEV_GRANT_COPY = 0x104708;

// struct ioctl_gntdev_map_grant_ref: u32 count, u64 index (out: the offset to mmap), then `count` references.
export const MAP_GRANT_COUNT = 0;
export const MAP_GRANT_INDEX = 8;
export const MAP_GRANT_REFS = 16;
// struct ioctl_gntdev_grant_ref
export const GRANT_REF_DOMID = 0;
export const GRANT_REF_REF = 4;
export const GRANT_REF_SIZE = 8;

// struct ioctl_gntdev_unmap_grant_ref: u64 index and u32 count as they were mapped; munmap comes first.
export const UNMAP_GRANT_INDEX = 0;
export const UNMAP_GRANT_COUNT = 8;
export const UNMAP_GRANT_SIZE = 16;

// struct ioctl_gntdev_unmap_notify: u64 index of a byte of the page, u32 action, u32 local event channel port.
export const UNMAP_NOTIFY_INDEX = 0;
export const UNMAP_NOTIFY_ACTION = 8;
export const UNMAP_NOTIFY_PORT = 12;
export const UNMAP_NOTIFY_SIZE = 16;
export const UNMAP_NOTIFY_CLEAR_BYTE = 1;
export const UNMAP_NOTIFY_SEND_EVENT = 2;

// struct ioctl_gntdev_grant_copy: u32 count, u64 address of the segments.
export const GRANT_COPY_COUNT = 0;
export const GRANT_COPY_SEGMENTS = 8;
export const GRANT_COPY_SIZE = 16;

// struct gntdev_grant_copy_segment. Each end is u64 address, or u32 reference, u16 offset, u16 domid.
export const COPY_SOURCE = 0;
export const COPY_DEST = 8;
export const COPY_END_REF = 0;
export const COPY_END_OFFSET = 4;
export const COPY_END_DOMID = 6;
export const COPY_LEN = 16;
/** GNTCOPY_source_gref, GNTCOPY_dest_gref. */
export const COPY_FLAGS = 18;
/** i16 GNTST_*. Undefined for all segments when the call as a whole fails. */
export const COPY_STATUS = 20;
export const COPY_SEGMENT_SIZE = 24;
