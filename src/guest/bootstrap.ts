/**
 * A process becomes a domain: it asks the daemon's hypervisor socket and gets its memory, grant table and xenstore
 * connection as descriptors. Blocking calls: nothing else happens in the process yet.
 */

import { SetupError, SysError } from '../sys/errors.js';
import { close } from '../sys/libc.js';
import { connectUnix, receiveWithFds, sendWithFds } from '../sys/unix.js';
import { type GuestGrant, type GuestRequest, guestGrant } from './options.js';

export interface DomainHandles {
  readonly grant: GuestGrant;
  readonly ramFd: number;
  readonly grantFd: number;
  /** A stream socket to xenstored as this domain. */
  readonly xenstoreFd: number;
  /** An unbound event channel for domain 0, with its two descriptors (ours to close). */
  allocateEventChannel(): { port: number; waitFd: number; notifyFd: number };
}

/** Throws SetupError with the daemon's own words. The domain lives as long as this process. */
export function becomeDomain(socketPath: string, request: GuestRequest): DomainHandles {
  let socket: number;
  try {
    socket = connectUnix(socketPath);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new SetupError(`no daemon answers at ${socketPath} (${error.code})`, 'start it: netferry up');
  }
  try {
    const { body, fds } = ask(socket, request);
    const [ramFd, grantFd, xenstoreFd] = fds;
    if (fds.length !== 3) throw new SetupError(`the daemon passed ${fds.length} descriptors, not 3`);
    const allocateEventChannel = () => {
      const answer = ask(socket, { op: 'event-channel' });
      const port = (answer.body as { port?: unknown }).port;
      const [waitFd, notifyFd] = answer.fds;
      if (typeof port !== 'number' || answer.fds.length !== 2)
        throw new SetupError('the daemon gave no event channel');
      return { port, waitFd, notifyFd };
    };
    return { grant: guestGrant.parse(body), ramFd, grantFd, xenstoreFd, allocateEventChannel };
  } catch (error) {
    close(socket);
    throw error;
  }
}

/** One line there, one line and descriptors back. */
function ask(socket: number, request: object): { body: object; fds: number[] } {
  sendWithFds(socket, Buffer.from(`${JSON.stringify(request)}\n`), []);
  const buffer = new Uint8Array(8192);
  const fds: number[] = [];
  let text = '';
  while (!text.endsWith('\n')) {
    const received = receiveWithFds(socket, buffer);
    if (received.length === 0) throw new SetupError('the daemon closed the connection', 'its log says why');
    fds.push(...received.fds);
    text += Buffer.from(buffer.subarray(0, received.length)).toString();
  }
  const body = JSON.parse(text) as { error?: string; hint?: string };
  if (body.error !== undefined) {
    for (const fd of fds) close(fd);
    throw new SetupError(body.error, body.hint ?? '');
  }
  return { body, fds };
}
