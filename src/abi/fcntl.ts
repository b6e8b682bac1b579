/** File flags and seals: asm-generic/fcntl.h, linux/fcntl.h. */

export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;

export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;

export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
/** No more seals. */
export const F_SEAL_SEAL = 1;
/** A shrunk file would be a SIGBUS in every process that maps it. */
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;

/** flock(2). */
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
