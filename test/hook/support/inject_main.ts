/** Sends frames out of an interface, as they are: arguments are the interface and the frames in hexadecimal. */
import { AF_PACKET, SOCK_RAW } from '../../../src/abi/socket.js';
import { check, close, libc } from '../../../src/sys/libc.js';
import { linkIndex } from '../../../src/sys/netlink.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const sendto = libc.func(
  'intptr_t sendto(int fd, void *data, size_t length, int flags, void *address, uint32_t addressLength)',
);

const [, , link, ...frames] = process.argv;
const fd = check('socket', socket(AF_PACKET, SOCK_RAW, 0));
// struct sockaddr_ll of linux/if_packet.h: u16 family, u16 protocol, s32 interface, then what a sender leaves 0.
const address = new DataView(new ArrayBuffer(20));
address.setUint16(0, AF_PACKET, true);
address.setInt32(4, linkIndex(link) ?? 0, true);
for (const hex of frames) {
  const frame = Buffer.from(hex, 'hex');
  check('sendto', sendto(fd, frame, frame.length, 0, new Uint8Array(address.buffer), 20), link);
}
close(fd);
