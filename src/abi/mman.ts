/** mmap(2), madvise(2) and memfd_create(2): linux/mman.h, asm-generic/mman.h, linux/memfd.h. */

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;

export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;

export const MADV_DONTNEED = 4;
export const MADV_REMOVE = 9;
export const MADV_DONTFORK = 10;
export const MADV_HUGEPAGE = 14;

export const MADV_NOHUGEPAGE = 15;

export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;
/** The old range stays mapped, empty. Linux ≥ 5.7. */
export const MREMAP_DONTUNMAP = 4;

export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_HUGETLB = 4;
