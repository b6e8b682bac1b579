/**
 * A user-space port: opens a tap (argument), prints each frame it receives as `hdr hex`, and sends those that come as
 * hexadecimal lines, with an empty virtio_net_hdr.
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
  .on('line', (hex) => {
    writeSync(tap.fd, Buffer.concat([Buffer.alloc(VIRTIO_NET_HDR_V1_SIZE), Buffer.from(hex, 'hex')]));
  })
  .on('close', () => clearInterval(timer));
