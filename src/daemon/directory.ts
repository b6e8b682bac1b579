/**
 * The runtime directory: the sockets of one daemon. Whoever can write in it can stand in for the daemon, so it
 * belongs to the user alone; that is checked before anything in it is trusted.
 */
import { lstatSync, type Stats } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { makeDirectories } from '../sys/directories.js';
import { SetupError } from '../sys/errors.js';
import { CONTROL_SOCKET, HYPERVISOR_SOCKET, XENSTORE_SOCKET } from './api.js';

/** Bytes of the longest path a Unix socket can have: sun_path without its NUL. */
const SOCKET_PATH_MAX = 107;
const GROUP_OR_WORLD_WRITABLE = 0o022;
/** The control socket is the last to be bound and the first to go. */
export const SOCKETS = [CONTROL_SOCKET, HYPERVISOR_SOCKET, XENSTORE_SOCKET];

/** Where the daemon of user `uid` lives unless --dir says otherwise. */
export function defaultDirectory(env: Readonly<Record<string, string | undefined>>, uid: number): string {
  if (env.NETFERRY_DIR) return env.NETFERRY_DIR;
  if (uid === 0) return '/run/netferry';
  return env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'netferry') : `/tmp/netferry-${uid}`;
}

/** Makes the directory (0700) if it is not there. Throws SetupError when it cannot be trusted or used. */
export function prepareDirectory(directory: string, uid: number): void {
  const longest = Math.max(...SOCKETS.map((name) => Buffer.byteLength(join(directory, name))));
  if (longest > SOCKET_PATH_MAX) {
    const room = SOCKET_PATH_MAX - (longest - Buffer.byteLength(directory));
    throw new SetupError(
      `${directory}: too long for a socket's path`,
      `choose a --dir of at most ${room} bytes`,
    );
  }
  try {
    makeDirectories(directory, 0o700);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') {
      throw new SetupError(`cannot make ${directory}: ${codeOf(cause)}`, 'choose another --dir', { cause });
    }
  }
  checkDirectory(directory, uid);
}

/**
 * Throws SetupError unless the directory is a real one, `uid`'s own and nobody else's to write.
 * False when there is none.
 */
export function checkDirectory(directory: string, uid: number): boolean {
  let found: Stats;
  try {
    // Not stat: somebody else's symbolic link in /tmp leads wherever they like.
    found = lstatSync(directory);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return false;
    throw new SetupError(`cannot look at ${directory}: ${codeOf(cause)}`, 'choose another --dir', { cause });
  }
  if (!found.isDirectory()) throw new SetupError(`${directory} is not a directory`, 'choose another --dir');
  if (found.uid !== uid) {
    throw new SetupError(`${directory} belongs to user ${found.uid}, not to you`, 'choose another --dir');
  }
  if (found.mode & GROUP_OR_WORLD_WRITABLE) {
    throw new SetupError(`${directory} can be written by others`, `close it: chmod go-w ${directory}`);
  }
  return true;
}

/** Who is behind a Unix socket: somebody, nobody (a left-over of a dead process), or there is no socket. */
export type Listener = 'answers' | 'stale' | 'absent';

/** Throws SetupError when the socket exists and may not be connected to. */
export function listenerAt(path: string): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('answers');
    });
    socket.once('error', (cause) => {
      const code = codeOf(cause);
      if (code === 'ECONNREFUSED') resolve('stale');
      else if (code === 'ENOENT') resolve('absent');
      else if (code === 'EAGAIN')
        resolve('answers'); // its backlog is full: somebody listens
      else reject(new SetupError(`${path}: ${code}`, 'choose another --dir', { cause }));
    });
  });
}

/** `ENOENT` of an error of Node's. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
