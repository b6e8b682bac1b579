/**
 * The bare loop in C: `bare-loop TAP_A TAP_B poll|threads vnet|plain`. It makes two taps, says "ready", and
 * carries every frame of one to the other with one read and one write into one buffer: two kernel copies, no
 * look at the frame, nothing that a switch would have to do. Its speed is the ceiling of whatever joins taps.
 *
 * Kept as text, because the benchmark compiles it where it runs, into a directory of the moment.
 */
export const BARE_LOOP_C = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The largest frame: virtio_net_hdr_v1, Ethernet header with a VLAN tag, a 64 KiB IP packet. */
enum { VNET = 12, FRAME = VNET + 18 + 65536, BURST = 64 };

struct side { int from, to; char *buffer; };

static void die(const char *what) { perror(what); exit(1); }

static int open_tap(const char *name, int vnet, int nonblocking) {
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0));
  if (fd < 0) die("/dev/net/tun");
  struct ifreq ifr;
  memset(&ifr, 0, sizeof ifr);
  strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
  ifr.ifr_flags = IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0);
  if (ioctl(fd, TUNSETIFF, &ifr) < 0) die("TUNSETIFF");
  int size = VNET;
  if (vnet && ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) die("TUNSETVNETHDRSZ");
  if (vnet && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) die("TUNSETOFFLOAD");
  return fd;
}

/* Up to BURST frames; 0 when the tap is empty. A frame that the other side refuses (EIO: down) is lost. */
static int carry(struct side *s) {
  for (int i = 0; i < BURST; i++) {
    ssize_t n = read(s->from, s->buffer, FRAME);
    if (n < 0) {
      if (errno == EAGAIN) return 0;
      if (errno == EINTR) continue;
      die("read");
    }
    if (write(s->to, s->buffer, n) < 0 && errno != EIO && errno != EAGAIN && errno != ENOBUFS) die("write");
  }
  return 1;
}

static void *carry_forever(void *side) {
  for (;;) carry(side);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int threads = !strcmp(argv[3], "threads"), vnet = !strcmp(argv[4], "vnet");
  int a = open_tap(argv[1], vnet, !threads), b = open_tap(argv[2], vnet, !threads);
  struct side ab = { a, b, aligned_alloc(4096, (FRAME + 4095) & ~4095) };
  struct side ba = { b, a, aligned_alloc(4096, (FRAME + 4095) & ~4095) };
  if (!ab.buffer || !ba.buffer) die("aligned_alloc");
  puts("ready");
  fflush(stdout);
  if (threads) {
    pthread_t other;
    if (pthread_create(&other, 0, carry_forever, &ba)) die("pthread_create");
    carry_forever(&ab);
  }
  struct pollfd taps[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
  for (;;) {
    if (poll(taps, 2, -1) < 0 && errno != EINTR) die("poll");
    if (taps[0].revents) carry(&ab);
    if (taps[1].revents) carry(&ba);
  }
}
`;
