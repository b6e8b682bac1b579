/** poll(2): poll.h. */

export const POLLIN = 1;
export const POLLOUT = 4;

// struct pollfd: int fd, short events, short revents.
export const POLLFD_FD = 0;
export const POLLFD_EVENTS = 4;
export const POLLFD_REVENTS = 6;
export const POLLFD_SIZE = 8;
