/** Log files of dom0 on their way to the host, as they grow: what a crashed dom0 said last is there then. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';

const FOLDERS = ['/var/log/xen/console', '/var/log/xen', '/var/log/lab'];
/** Bytes of one file that are sent at most: the line is slow. */
const FILE_MAX = 512 << 10;
const CHUNK = 8 << 10;

export class Logs {
  readonly #seen = new Map<string, number>();
  readonly #send: (file: string, text: string) => void;

  constructor(send: (file: string, text: string) => void) {
    this.#send = send;
  }

  /** Sends what is new. */
  collect(): void {
    for (const folder of FOLDERS) {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (entry.isFile()) this.#collectFile(join(folder, entry.name));
      }
    }
  }

  #collectFile(path: string): void {
    const fd = openSync(path, 'r');
    const buffer = Buffer.alloc(CHUNK);
    try {
      let seen = this.#seen.get(path) ?? 0;
      while (seen < FILE_MAX) {
        const count = readSync(fd, buffer, 0, buffer.length, seen);
        if (count === 0) break;
        this.#send(basename(path), buffer.toString('latin1', 0, count));
        seen += count;
      }
      this.#seen.set(path, seen);
    } finally {
      closeSync(fd);
    }
  }
}
