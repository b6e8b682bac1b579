/**
 * The bare loop for a machine without gcc: `node bare-loop-node.js TAP_A TAP_B threads vnet|plain`, the same
 * arguments and the same work as the C program: a blocking thread a direction, one read and one write a frame.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { O_RDWR } from '../../src/abi/fcntl.js';
import {
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  IFREQ_FLAGS,
  IFREQ_SIZE,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETVNETHDRSZ,
} from '../../src/abi/if_tun.js';
import { addressOf, check, ioctlPointer } from '../../src/sys/libc.js';

const VNET = 12;
/** virtio_net_hdr_v1, an Ethernet header with a VLAN tag, a 64 KiB IP packet. */
const FRAME = VNET + 18 + 65536;

interface Side {
  from: number;
  to: number;
}

function openTap(name: string, vnet: boolean): number {
  const fd = openSync('/dev/net/tun', O_RDWR);
  const ifreq = Buffer.alloc(IFREQ_SIZE);
  ifreq.write(name, 'latin1');
  ifreq.writeInt16LE(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0), IFREQ_FLAGS);
  check('TUNSETIFF', ioctlPointer(fd, TUNSETIFF, addressOf(ifreq)), name);
  if (!vnet) return fd;
  const size = Buffer.alloc(4);
  size.writeInt32LE(VNET);
  check('TUNSETVNETHDRSZ', ioctlPointer(fd, TUNSETVNETHDRSZ, addressOf(size)), name);
  check('TUNSETOFFLOAD', ioctlPointer(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), name);
  return fd;
}

/** Never returns: the process is ended from outside. */
function carryForever({ from, to }: Side): never {
  const buffer = Buffer.alloc(FRAME);
  for (;;) {
    const length = readSync(from, buffer);
    try {
      writeSync(to, buffer, 0, length);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error; // EIO: the other tap is down
    }
  }
}

if (isMainThread) {
  const [nameA, nameB, , offload] = process.argv.slice(2);
  if (!nameA || !nameB) throw new RangeError('two tap names are wanted');
  const a = openTap(nameA, offload === 'vnet');
  const b = openTap(nameB, offload === 'vnet');
  const back: Side = { from: b, to: a };
  new Worker(new URL(import.meta.url), { workerData: back }).once('message', () => {
    writeSync(1, 'ready\n');
    carryForever({ from: a, to: b });
  });
} else {
  parentPort?.postMessage('up');
  carryForever(workerData as Side);
}
