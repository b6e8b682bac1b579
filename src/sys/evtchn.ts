/**
 * /dev/xen/evtchn (linux/drivers/xen/evtchn.c). One open file is a set of event channels. Each event is reported
 * once by read, with its port, which stays masked until it is written back. Threads may share the file: who binds,
 * and who reads. Nothing here blocks: a thread in read(2) would keep the process from ending.
 */
import {
  BIND_INTERDOMAIN_SIZE,
  BIND_REMOTE_DOMAIN,
  BIND_REMOTE_PORT,
  IOCTL_EVTCHN_BIND_INTERDOMAIN,
  IOCTL_EVTCHN_BIND_UNBOUND_PORT,
  IOCTL_EVTCHN_NOTIFY,
  IOCTL_EVTCHN_RESET,
  IOCTL_EVTCHN_UNBIND,
} from '../abi/evtchn.js';
import { addressOf, check, errno, ioctlPointer, libc } from './libc.js';

const read = libc.func('intptr_t read(int fd, intptr_t data, size_t length)');
const write = libc.func('intptr_t write(int fd, intptr_t data, size_t length)');

/** Ports of one read: the driver gives no more than a page of them. */
export const PORTS_AT_ONCE = 1024;
const EFBIG = 27;

/** Joins a remote domain's unbound port. The local port. Throws SysError. */
export function bindInterdomain(fd: number, domid: number, remotePort: number): number {
  const argument = new DataView(new ArrayBuffer(BIND_INTERDOMAIN_SIZE));
  argument.setUint32(BIND_REMOTE_DOMAIN, domid, true);
  argument.setUint32(BIND_REMOTE_PORT, remotePort, true);
  const subject = `event channel ${remotePort} of domain ${domid}`;
  const hint = 'there is no such port, or it is bound already';
  return call(fd, IOCTL_EVTCHN_BIND_INTERDOMAIN, 'BIND_INTERDOMAIN', argument, subject, hint);
}

/** A new port for `domid` to bind. Throws SysError. */
export function bindUnbound(fd: number, domid: number): number {
  return call(fd, IOCTL_EVTCHN_BIND_UNBOUND_PORT, 'BIND_UNBOUND_PORT', word(domid), `for domain ${domid}`);
}

export function unbind(fd: number, port: number): void {
  call(fd, IOCTL_EVTCHN_UNBIND, 'UNBIND', word(port), `port ${port}`);
}

/** What signals `port`; its buffer is made once. A channel that is gone is signalled in vain. */
export function notifier(fd: number, port: number): () => void {
  const bytes = new Uint32Array([port]);
  const address = addressOf(new Uint8Array(bytes.buffer));
  return () => {
    ioctlPointer(fd, IOCTL_EVTCHN_NOTIFY, address);
    bytes[0] = port; // the closure keeps the buffer whose address it uses
  };
}

/** The events that are there, by port. */
export class PendingEvents {
  readonly ports = new Uint32Array(PORTS_AT_ONCE);
  readonly #fd: number;
  readonly #address = addressOf(new Uint8Array(this.ports.buffer));

  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Takes the events that are there into `ports` and lets their channels report again (so what the peer does from now
   * on is a new event). Their number, 0 when there are none; -1 when some were lost: then any may have come.
   */
  take(): number {
    const bytes = read(this.#fd, this.#address, PORTS_AT_ONCE * 4) as number;
    if (bytes > 0) {
      write(this.#fd, this.#address, bytes);
      return bytes / 4;
    }
    if (bytes === 0 || errno() !== EFBIG) return 0; // EAGAIN, EINTR
    ioctlPointer(this.#fd, IOCTL_EVTCHN_RESET, 0);
    return -1;
  }
}

function word(value: number): DataView<ArrayBuffer> {
  const argument = new DataView(new ArrayBuffer(4));
  argument.setUint32(0, value, true);
  return argument;
}

function call(
  fd: number,
  request: number,
  name: string,
  argument: DataView<ArrayBuffer>,
  subject: string,
  hint = '',
): number {
  const result = ioctlPointer(fd, request, addressOf(new Uint8Array(argument.buffer))) as number;
  return check(`ioctl EVTCHN_${name}`, result, subject, hint);
}
