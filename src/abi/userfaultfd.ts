/** userfaultfd(2) and its ioctls: linux/userfaultfd.h. */

/** The system call's number on x86-64; newer architectures share asm-generic/unistd.h's. */
export const SYS_USERFAULTFD_X86_64 = 323;
export const SYS_USERFAULTFD_GENERIC = 282;

/** Flag of the call: only faults of user space are handled; then it needs no privilege. Linux ≥ 5.11. */
export const UFFD_USER_MODE_ONLY = 1;

export const UFFD_API = 0xaa;
export const UFFDIO_API = 0xc018aa3f;
export const UFFDIO_REGISTER = 0xc020aa00;
export const UFFDIO_UNREGISTER = 0x8010aa01;
export const UFFDIO_MOVE = 0xc028aa05;

/** UFFDIO_MOVE is there. Linux ≥ 6.8. */
export const UFFD_FEATURE_MOVE = 0x10000;

// struct uffdio_api: u64 api, u64 features, u64 ioctls.
export const UFFDIO_API_API = 0;
export const UFFDIO_API_FEATURES = 8;
export const UFFDIO_API_SIZE = 24;

// struct uffdio_range: u64 start, u64 len.
export const UFFDIO_RANGE_START = 0;
export const UFFDIO_RANGE_LEN = 8;
export const UFFDIO_RANGE_SIZE = 16;

// struct uffdio_register: struct uffdio_range, u64 mode, u64 ioctls.
export const UFFDIO_REGISTER_RANGE = 0;
export const UFFDIO_REGISTER_MODE = 16;
export const UFFDIO_REGISTER_SIZE = 32;
export const UFFDIO_REGISTER_MODE_MISSING = 1;
export const UFFDIO_REGISTER_MODE_WP = 2;

// struct uffdio_move: u64 dst, u64 src, u64 len, u64 mode, s64 move (bytes moved, or a negative errno).
export const UFFDIO_MOVE_DST = 0;
export const UFFDIO_MOVE_SRC = 8;
export const UFFDIO_MOVE_LEN = 16;
export const UFFDIO_MOVE_MODE = 24;
export const UFFDIO_MOVE_MOVE = 32;
export const UFFDIO_MOVE_SIZE = 40;
/** A source that was never touched moves too: nothing is there afterwards, on either side. */
export const UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES = 2;
