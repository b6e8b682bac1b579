/**
 * A user-space port: opens a tap (argument), prints each frame it receives as `hdr hex`, and sends those that come as
 * hexadecimal lines, with an empty virtio_net_hdr, or, where two words are in a line, with the first as header.
 */
import { readSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { VIRTIO_NET_HDR_V1_SIZE } from '../../../src/abi/virtio_net.js';
import { linkSet } from '../../../src/sys/netlink.js';
import { openTap } from '../../../src/sys/tun.js';

const tap = openTap(process.argv[2]);
linkSet(tap.name, { up: true });
console.log('ready');
const buffer = Buffer.alloc(70_000);
const timer = setInterval(() => {
  for (;;) {
    let length = 0;
    try {
      length = readSync(tap.fd, buffer);
    } catch {
      return; // EAGAIN: nothing more
    }
    const header = buffer.toString('hex', 0, VIRTIO_NET_HDR_V1_SIZE);
    console.log(`${header} ${buffer.toString('hex', VIRTIO_NET_HDR_V1_SIZE, length)}`);
  }
}, 5);
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [frame, given = ''] = line.split(' ').reverse();
    const header = Buffer.alloc(VIRTIO_NET_HDR_V1_SIZE);
    header.write(given, 'hex');
    try {
      writeSync(tap.fd, Buffer.concat([header, Buffer.from(frame, 'hex')]));
    } catch {} // a header that the kernel refuses: EINVAL
  })
  .on('close', () => clearInterval(timer));
