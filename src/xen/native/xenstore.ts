/**
 * The xenstore of the machine we are on: xenstored's socket where it runs in this domain (dom0 as a rule), else the
 * kernel's connection, /dev/xen/xenbus (linux/drivers/xen/xenbus/xenbus_dev_frontend.c).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, write } from 'node:fs';
import { Duplex } from 'node:stream';
import { SetupError } from '../../sys/errors.js';
import { close } from '../../sys/libc.js';
import { openXenDevice } from '../../sys/xen_device.js';
import { connectXenstore, openXenstore } from '../xenstore/client.js';
import type { XenStore } from '../xenstore.js';

/** As libxenstore: XENSTORED_PATH, else where Debian's xenstored listens. */
const SOCKETS = ['/run/xenstored/socket', '/var/run/xenstored/socket'];

/** A connection as this domain. SetupError: nobody there, or not for this user. */
export async function openNativeXenstore(env: NodeJS.ProcessEnv = process.env): Promise<XenStore> {
  const named = env.XENSTORED_PATH;
  const socket = named ?? SOCKETS.find((path) => existsSync(path));
  if (socket !== undefined) return openXenstore(socket);
  return openXenbus();
}

/** By the kernel's device. SetupError: it is missing, or not ours to open. */
export async function openXenbus(): Promise<XenStore> {
  return connectXenstore(await XenbusStream.open());
}

/**
 * The device as a stream. Node can wait for sockets and pipes, not for a character device, and a thread of its pool
 * that blocks in read(2) would keep the process from ending; so `cat` waits, and dies when we do. A write is one
 * message, as the device wants it (no writev).
 */
class XenbusStream extends Duplex {
  readonly #fd: number;
  readonly #reader: ChildProcess;

  static async open(): Promise<XenbusStream> {
    // The reader shares our open file, and with it its messages; libuv lets it block, being the reader's stdin.
    const fd = openXenDevice('xenbus');
    const reader = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'cat'], { stdio: [fd, 'pipe', 'ignore'] });
    await new Promise<void>((resolve, reject) => {
      reader.once('spawn', resolve);
      reader.once('error', (cause) => {
        close(fd);
        const hint = 'apt-get install util-linux coreutils';
        reject(new SetupError('setpriv and cat are needed to read /dev/xen/xenbus', hint, { cause }));
      });
    });
    return new XenbusStream(fd, reader);
  }

  private constructor(fd: number, reader: ChildProcess) {
    super();
    this.#fd = fd;
    this.#reader = reader;
    const out = reader.stdout!;
    out.on('data', (bytes: Buffer) => this.push(bytes) || out.pause());
    out.on('end', () => this.push(null));
    out.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#reader.stdout!.resume();
  }

  override _write(message: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    write(this.#fd, message, (error) => done(error));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#reader.kill('SIGKILL');
    close(this.#fd);
    done(error);
  }
}
