/** Taps: /dev/net/tun (Documentation/networking/tuntap.rst, linux/if_tun.h). */
import { closeSync, constants, openSync } from 'node:fs';
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_TUN_EXCL,
  IFF_VNET_HDR,
  IFNAMSIZ,
  IFREQ_FLAGS,
  IFREQ_SIZE,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUNGETIFF,
  TUNSETCARRIER,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETVNETHDRSZ,
} from '../abi/if_tun.js';
import { VIRTIO_NET_HDR_V1_SIZE } from '../abi/virtio_net.js';
import { SetupError } from './errors.js';
import { check, errno, libc } from './libc.js';

const ioctlBuffer = libc.func('int ioctl(int fd, unsigned long request, void *argument)');
const ioctlNumber = libc.func('int ioctl(int fd, unsigned long request, intptr_t argument)');

export const TUN_DEVICE = '/dev/net/tun';
/** asm-generic/errno.h; Node has no name for it. */
const EBADFD = 77;

/** An open tap; the interface vanishes when the descriptor is closed, by whatever end of the process. */
export interface Tap {
  readonly fd: number;
  readonly name: string;
}

/**
 * Creates tap `name` in the caller's network namespace: non-blocking, 12-byte virtio_net_hdr before each
 * frame, checksum and TCP segmentation offload both ways (not TSO_ECN: netif cannot say it).
 * `multiQueue`: the descriptor is its queue 0, and there may be more. Throws SetupError for a missing device or
 * privilege, SysError for the rest.
 */
export function openTap(name: string, { multiQueue = false } = {}): Tap {
  if (Buffer.byteLength(name) >= IFNAMSIZ || !/^[^\s/%:]+$/.test(name)) {
    throw new SetupError(
      `${name}: not an interface name`,
      `at most ${IFNAMSIZ - 1} bytes, no spaces, '/', ':' or '%'`,
    );
  }
  const fd = openDevice();
  try {
    setUp(fd, name, IFF_TUN_EXCL | (multiQueue ? IFF_MULTI_QUEUE : 0));
    return { fd, name };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Another queue of a tap that was opened with `multiQueue`; its descriptor. Throws as openTap. */
export function openTapQueue(name: string): number {
  const fd = openDevice();
  try {
    setUp(fd, name, IFF_MULTI_QUEUE);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Whether the interface of a tap has a carrier; it does from the start. Throws SysError. */
export function setCarrier(fd: number, up: boolean): void {
  check('ioctl TUNSETCARRIER', ioctlBuffer(fd, TUNSETCARRIER, new Int32Array([up ? 1 : 0])));
}

/** Whether a tap's interface was deleted: its descriptors lead nowhere then (EBADFD), for ever. */
export function isDeleted(fd: number): boolean {
  return ioctlBuffer(fd, TUNGETIFF, new Uint8Array(IFREQ_SIZE)) === -1 && errno() === EBADFD;
}

function setUp(fd: number, name: string, flags: number): void {
  const request = new DataView(new ArrayBuffer(IFREQ_SIZE));
  Buffer.from(request.buffer).write(name);
  request.setUint16(IFREQ_FLAGS, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags, true);
  check('ioctl TUNSETIFF', ioctlBuffer(fd, TUNSETIFF, new Uint8Array(request.buffer)), name, IFF_HINT);
  const size = new Int32Array([VIRTIO_NET_HDR_V1_SIZE]);
  check('ioctl TUNSETVNETHDRSZ', ioctlBuffer(fd, TUNSETVNETHDRSZ, size), name);
  check('ioctl TUNSETOFFLOAD', ioctlNumber(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), name);
}

function openDevice(): number {
  try {
    return openSync(TUN_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    const hint =
      code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO'
        ? 'load the tun module: modprobe tun; in a container, pass the device: --device /dev/net/tun'
        : 'run as root, or give your user the device: chmod 0666 /dev/net/tun';
    throw new SetupError(`${TUN_DEVICE}: ${code}`, hint, { cause });
  }
}

const IFF_HINT =
  'EBUSY or EEXIST: the name is taken; EPERM: run as root or in a namespace of your own (unshare -rn)';
