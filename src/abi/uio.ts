/** Scatter/gather vectors: linux/uio.h, LP64. Also what process_vm_readv(2) and io_uring take. */

export const IOV_BASE = 0;
export const IOV_LEN = 8;
export const IOVEC_SIZE = 16;
/** Vectors per call at most. */
export const UIO_MAXIOV = 1024;
/** Flag of preadv2(2) and of io_uring's rw_flags: fail with EAGAIN rather than wait. linux/fs.h. */
export const RWF_NOWAIT = 8;
