/**
 * Memberships of a packet socket (packet(7)): which frames an interface takes in beside its own. They go with the
 * socket, by whatever end of the process. The socket is bound to no protocol and receives nothing.
 */
import { constants } from 'node:os';
import * as packet from '../abi/if_packet.js';
import { AF_PACKET, SOCK_CLOEXEC, SOCK_RAW } from '../abi/socket.js';
import { SysError } from './errors.js';
import { addressOf, check, close, errno, libc } from './libc.js';

const socket = libc.func('int socket(int family, int type, int protocol)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, intptr_t value, uint32_t length)');

const { EADDRNOTAVAIL, ENODEV } = constants.errno;

/**
 * Addresses that one interface shall receive for others. A driver with a unicast filter (IFF_UNICAST_FLT) enters
 * them there; for one without, the kernel itself makes the interface promiscuous as long as there are any
 * (net/core/dev_addr_lists.c, __dev_set_rx_mode): that shows as LinkDetails.promiscuity.
 */
export class ReceiveFilter {
  readonly ifindex: number;
  #fd: number;

  /** Throws SysError (EPERM: needs CAP_NET_RAW). */
  constructor(ifindex: number) {
    this.ifindex = ifindex;
    this.#fd = check('socket', socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'AF_PACKET', 'run as root');
  }

  /** Frames to `mac` (6 bytes) come in. Throws SysError. */
  add(mac: Uint8Array): void {
    this.#change(packet.PACKET_ADD_MEMBERSHIP, packet.PACKET_MR_UNICAST, mac);
  }

  /** No longer; nothing happens if the interface is gone. */
  remove(mac: Uint8Array): void {
    this.#change(packet.PACKET_DROP_MEMBERSHIP, packet.PACKET_MR_UNICAST, mac);
  }

  /** Every group address, or only the host's own. */
  allGroups(wanted: boolean): void {
    this.#switch(wanted, packet.PACKET_MR_ALLMULTI);
  }

  /** Promiscuous mode. */
  everything(wanted: boolean): void {
    this.#switch(wanted, packet.PACKET_MR_PROMISC);
  }

  close(): void {
    if (this.#fd !== -1) close(this.#fd);
    this.#fd = -1;
  }

  #switch(wanted: boolean, type: number): void {
    const change = wanted ? packet.PACKET_ADD_MEMBERSHIP : packet.PACKET_DROP_MEMBERSHIP;
    this.#change(change, type, new Uint8Array());
  }

  #change(change: number, type: number, address: Uint8Array): void {
    const request = new Uint8Array(packet.PACKET_MREQ_SIZE);
    const view = new DataView(request.buffer);
    view.setInt32(packet.PACKET_MREQ_IFINDEX, this.ifindex, true);
    view.setUint16(packet.PACKET_MREQ_TYPE, type, true);
    view.setUint16(packet.PACKET_MREQ_ALEN, address.length, true);
    request.set(address, packet.PACKET_MREQ_ADDRESS);
    const done = setsockopt(this.#fd, packet.SOL_PACKET, change, addressOf(request), request.length);
    if (done !== -1) return;
    const code = errno();
    if (change === packet.PACKET_DROP_MEMBERSHIP && (code === EADDRNOTAVAIL || code === ENODEV)) return;
    throw new SysError('setsockopt PACKET_MEMBERSHIP', code, `interface ${this.ifindex}`);
  }
}
