/** The descriptor under a node:net socket, for what Node cannot do with it: SCM_RIGHTS, SO_PEERCRED. */
import type { Socket } from 'node:net';
import { SetupError } from './errors.js';

/** Valid while the socket is open; it stays the socket's. */
export function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  if (typeof handle?.fd !== 'number' || handle.fd < 0) throw new SetupError('the socket is closed');
  return handle.fd;
}
