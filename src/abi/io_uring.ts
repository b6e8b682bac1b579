/** io_uring(7): linux/io_uring.h; system call numbers asm-generic/unistd.h (the same on x86-64). */

export const SYS_io_uring_setup = 425;
export const SYS_io_uring_enter = 426;
export const SYS_io_uring_register = 427;

export const IORING_SETUP_SQPOLL = 2;
export const IORING_SETUP_CQSIZE = 8;
export const IORING_SETUP_CLAMP = 0x10;
export const IORING_SETUP_R_DISABLED = 0x40;
export const IORING_SETUP_SUBMIT_ALL = 0x80;
export const IORING_SETUP_COOP_TASKRUN = 0x100;
export const IORING_SETUP_TASKRUN_FLAG = 0x200;
export const IORING_SETUP_SINGLE_ISSUER = 0x1000;
export const IORING_SETUP_DEFER_TASKRUN = 0x2000;
/** Since Linux 6.5: the caller provides the memory of the rings (SQ_OFF_USER_ADDR, CQ_OFF_USER_ADDR). */
export const IORING_SETUP_NO_MMAP = 0x4000;
/** Since Linux 6.6: entry i of the submission queue is simply SQE i. */
export const IORING_SETUP_NO_SQARRAY = 0x10000;

export const IORING_ENTER_GETEVENTS = 1;
export const IORING_ENTER_SQ_WAKEUP = 2;
export const IORING_ENTER_EXT_ARG = 8;

export const IORING_FEAT_SINGLE_MMAP = 1;
export const IORING_FEAT_NODROP = 2;
export const IORING_FEAT_EXT_ARG = 0x100;

export const IORING_SQ_NEED_WAKEUP = 1;
export const IORING_SQ_CQ_OVERFLOW = 2;
export const IORING_SQ_TASKRUN = 4;

export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_CQ_RING = 0x8000000;
export const IORING_OFF_SQES = 0x10000000;

export const IORING_OP_NOP = 0;
export const IORING_OP_READV = 1;
export const IORING_OP_WRITEV = 2;
export const IORING_OP_READ_FIXED = 4;
export const IORING_OP_WRITE_FIXED = 5;
export const IORING_OP_POLL_ADD = 6;
export const IORING_OP_POLL_REMOVE = 7;
export const IORING_OP_TIMEOUT = 11;
export const IORING_OP_ASYNC_CANCEL = 14;
export const IORING_OP_READ = 22;
export const IORING_OP_WRITE = 23;

export const IOSQE_FIXED_FILE = 1;
export const IOSQE_IO_DRAIN = 2;
export const IOSQE_IO_LINK = 4;
export const IOSQE_ASYNC = 0x10;
export const IOSQE_CQE_SKIP_SUCCESS = 0x40;

export const IORING_POLL_ADD_MULTI = 1;
export const IORING_CQE_F_MORE = 2;

export const IORING_REGISTER_BUFFERS = 0;
export const IORING_UNREGISTER_BUFFERS = 1;
export const IORING_REGISTER_FILES = 2;
export const IORING_UNREGISTER_FILES = 3;
export const IORING_REGISTER_EVENTFD = 4;
export const IORING_REGISTER_PROBE = 8;
export const IORING_REGISTER_ENABLE_RINGS = 12;

// struct io_uring_sqe.
export const SQE_OPCODE = 0;
export const SQE_FLAGS = 1;
export const SQE_IOPRIO = 2;
export const SQE_FD = 4;
export const SQE_OFF = 8;
export const SQE_ADDR = 16;
export const SQE_LEN = 24;
/** rw_flags, poll32_events, timeout_flags… by opcode. */
export const SQE_OP_FLAGS = 28;
export const SQE_USER_DATA = 32;
export const SQE_BUF_INDEX = 40;
export const SQE_SIZE = 64;

// struct io_uring_cqe: u64 user_data, s32 res (bytes, or -errno), u32 flags.
export const CQE_USER_DATA = 0;
export const CQE_RES = 8;
export const CQE_FLAGS = 12;
export const CQE_SIZE = 16;

// struct io_uring_params; the caller fills it, the kernel answers in it.
export const PARAMS_SQ_ENTRIES = 0;
export const PARAMS_CQ_ENTRIES = 4;
export const PARAMS_FLAGS = 8;
export const PARAMS_SQ_THREAD_CPU = 12;
export const PARAMS_SQ_THREAD_IDLE = 16;
export const PARAMS_FEATURES = 20;
export const PARAMS_WQ_FD = 24;
export const PARAMS_SQ_OFF = 40;
export const PARAMS_CQ_OFF = 80;
export const PARAMS_SIZE = 120;

// struct io_sqring_offsets, from PARAMS_SQ_OFF: where each u32 lies in the ring's memory.
export const SQ_OFF_HEAD = 0;
export const SQ_OFF_TAIL = 4;
export const SQ_OFF_RING_MASK = 8;
export const SQ_OFF_RING_ENTRIES = 12;
export const SQ_OFF_FLAGS = 16;
export const SQ_OFF_DROPPED = 20;
export const SQ_OFF_ARRAY = 24;
/** u64, with IORING_SETUP_NO_MMAP: address of the SQEs. */
export const SQ_OFF_USER_ADDR = 32;

// struct io_cqring_offsets, from PARAMS_CQ_OFF.
export const CQ_OFF_HEAD = 0;
export const CQ_OFF_TAIL = 4;
export const CQ_OFF_RING_MASK = 8;
export const CQ_OFF_RING_ENTRIES = 12;
export const CQ_OFF_OVERFLOW = 16;
export const CQ_OFF_CQES = 20;
export const CQ_OFF_FLAGS = 24;
/** u64, with IORING_SETUP_NO_MMAP: address of both rings. */
export const CQ_OFF_USER_ADDR = 32;

// struct io_uring_getevents_arg, with IORING_ENTER_EXT_ARG: u64 sigmask, u32 size, u32 pad, u64 timespec.
export const GETEVENTS_SIGMASK = 0;
export const GETEVENTS_SIGMASK_SZ = 8;
export const GETEVENTS_TS = 16;
export const GETEVENTS_SIZE = 24;
