/** /dev/xen/gntalloc, by which a process grants pages of its own to a domain: xen/gntalloc.h of Linux. */

export const IOCTL_GNTALLOC_ALLOC_GREF = 0x184705;
export const IOCTL_GNTALLOC_DEALLOC_GREF = 0x104706;
export const GNTALLOC_FLAG_WRITABLE = 1;

// struct ioctl_gntalloc_alloc_gref: u16 domid, u16 flags, u32 count, u64 index (out: the offset to mmap), then (out)
// `count` references, u32 each.
export const ALLOC_GREF_DOMID = 0;
export const ALLOC_GREF_FLAGS = 2;
export const ALLOC_GREF_COUNT = 4;
export const ALLOC_GREF_INDEX = 8;
export const ALLOC_GREF_IDS = 16;

// struct ioctl_gntalloc_dealloc_gref: u64 index, u32 count.
export const DEALLOC_GREF_INDEX = 0;
export const DEALLOC_GREF_COUNT = 8;
export const DEALLOC_GREF_SIZE = 16;
