/** eventfd(2): linux/eventfd.h (sys/eventfd.h). The counter is a u64. */

export const EFD_SEMAPHORE = 1;
export const EFD_NONBLOCK = 0x800;
export const EFD_CLOEXEC = 0x80000;
