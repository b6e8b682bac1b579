/** epoll(7): linux/eventpoll.h. */

export const EPOLL_CLOEXEC = 0x80000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
/** The sign bit of an i32. */
export const EPOLLET = 0x80000000;

// struct epoll_event: u32 events, u64 data. Packed on x86-64 only; elsewhere data is aligned to 8.
export const EPOLL_EVENT_EVENTS = 0;
export const EPOLL_EVENT_DATA_X86_64 = 4;
export const EPOLL_EVENT_SIZE_X86_64 = 12;
export const EPOLL_EVENT_DATA_GENERIC = 8;
export const EPOLL_EVENT_SIZE_GENERIC = 16;
