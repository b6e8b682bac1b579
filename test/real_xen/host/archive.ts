/**
 * An initramfs: a cpio archive in the format "newc" of the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst, uncompressed, since unpacking is slow under emulation.
 * Archives may follow one another in one file; a later one replaces files of an earlier.
 */
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join, posix } from 'node:path';

type Entry =
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly source: string; readonly mode: number }
  | { readonly kind: 'text'; readonly text: string; readonly mode: number };

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** Each archive of one file has its own range of inode numbers: equal ones would be hard links. */
let nextInode = 1;

/** Files of an image by their path in it, without a leading slash. Later additions replace earlier ones. */
export class Archive {
  readonly #entries = new Map<string, Entry>();

  /** A file of this machine, links followed; its mode as it is there unless given. */
  file(path: string, source: string, mode?: number): this {
    return this.#add(path, { kind: 'file', source, mode: mode ?? statSync(source).mode & 0o777 });
  }

  text(path: string, text: string, mode = 0o644): this {
    return this.#add(path, { kind: 'text', text, mode });
  }

  link(path: string, target: string): this {
    return this.#add(path, { kind: 'link', target });
  }

  folder(...paths: string[]): this {
    for (const path of paths) this.#add(path, { kind: 'folder' });
    return this;
  }

  /** A folder with all that is in it and that `wanted` likes; links stay links. */
  tree(path: string, source: string, wanted: (path: string) => boolean = () => true): this {
    this.folder(path);
    for (const name of readdirSync(source)) {
      const [to, from] = [posix.join(path, name), join(source, name)];
      if (!wanted(to)) continue;
      const found = lstatSync(from);
      if (found.isDirectory()) this.tree(to, from, wanted);
      else if (found.isSymbolicLink()) this.link(to, readlinkSync(from));
      else if (found.isFile()) this.file(to, from);
    }
    return this;
  }

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  /** Writes the archive, after another one if given; the file appears when it is complete. */
  write(path: string, before = Buffer.alloc(0)): void {
    const partial = `${path}.${process.pid}`;
    const output = openSync(partial, 'w');
    writeSync(output, before);
    for (const [name, entry] of this.#entries) writeSync(output, member(name, entry));
    writeSync(output, frame('TRAILER!!!', 0, 0, Buffer.alloc(0)));
    closeSync(output);
    renameSync(partial, path);
  }

  #add(path: string, entry: Entry): this {
    const parent = posix.dirname(path);
    if (parent !== '.' && !this.#entries.has(parent)) this.folder(parent);
    this.#entries.set(path, entry);
    return this;
  }
}

function member(name: string, entry: Entry): Buffer {
  switch (entry.kind) {
    case 'folder':
      return frame(name, S_IFDIR | 0o755, 2, Buffer.alloc(0));
    case 'link':
      return frame(name, S_IFLNK | 0o777, 1, Buffer.from(entry.target));
    case 'file':
      return frame(name, S_IFREG | entry.mode, 1, readFileSync(entry.source));
    case 'text':
      return frame(name, S_IFREG | entry.mode, 1, Buffer.from(entry.text));
  }
}

/** Header, name and content, each padded to four bytes. */
function frame(name: string, mode: number, links: number, content: Buffer): Buffer {
  const path = Buffer.from(`${name}\0`);
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const fields = [nextInode++, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, path.length, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([
    header,
    path,
    padding(header.length + path.length),
    content,
    padding(content.length),
  ]);
}

function padding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}
