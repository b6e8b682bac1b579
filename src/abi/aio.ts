/** Asynchronous I/O of the kernel's own kind, io_submit(2): linux/aio_abi.h, asm/unistd_64.h. */

export const NR_io_setup = 206;
export const NR_io_destroy = 207;
export const NR_io_getevents = 208;
export const NR_io_submit = 209;

export const IOCB_CMD_PREAD = 0;
export const IOCB_FLAG_RESFD = 1;

/** struct iocb. */
export const IOCB_OPCODE = 16; // u16
export const IOCB_FILDES = 20; // u32
export const IOCB_BUF = 24; // u64
export const IOCB_NBYTES = 32; // u64
export const IOCB_FLAGS = 56; // u32
export const IOCB_RESFD = 60; // u32
export const IOCB_SIZE = 64;

export const IO_EVENT_SIZE = 32;
