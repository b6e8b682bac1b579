/**
 * Which features of interfaces are off for a netferry and belong on: what a process that is killed cannot put back any
 * more, another finds here. One directory for all daemons of the machine, and in it one file a process:
 *
 *   /run/netferry-features/<pid>-<time>     a line when a feature is about to be switched off, one when it is on again
 *
 *   +{"netns":"<boot id> <cookie>","ifindex":2,"permanent":"52:54:00:…","parent":"0000:00:03.0","feature":"rx-lro"}
 *
 * A process holds the lock (flock) of its file as long as it lives: whose lock can be had is dead. A line is written
 * before its deed, and what was torn by death has no end of line and counts for nothing. An interface is the same by its
 * index within a namespace, by the address and the bus that its hardware came with where it was moved between namespaces;
 * never by its name.
 *
 * Changes and looks are made under the lock of the directory. A file that is not as we write them is left alone, and said.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeDirectories } from '../sys/directories.js';
import { SetupError, SysError } from '../sys/errors.js';
import type { LinkDetails } from '../sys/link_details.js';
import { tryLock } from '../sys/lock.js';
import { netnsName } from '../sys/netns.js';
import { type Entry, entryOf, isOf, lineOf, parseEntries } from './feature_entry.js';

export const DIRECTORY = '/run/netferry-features';

/** ms that we wait for others at the directory, and between tries. */
const PATIENCE = 2000;
const PAUSE = 2;
/** Bytes of a file; one of ours has some hundred. */
const SIZE_MAX = 1 << 18;
const GROUP_OR_WORLD_WRITABLE = 0o022;
const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Another process's file, open while we look. */
interface File {
  readonly path: string;
  readonly fd: number;
  /** Its process is gone; the lock is ours until we close it. */
  readonly dead: boolean;
  entries: Entry[];
  changed: boolean;
}

export class FeatureRecords {
  readonly #directory: string;
  /** Those that a record may name. */
  readonly #features: readonly string[];
  /** Line → how many in this process hold it; 0: an interface that went away with the feature off. */
  readonly #own = new Map<string, { readonly entry: Entry; count: number }>();
  #file: { readonly fd: number; readonly path: string } | undefined;
  #others: File[] = [];
  /** The directory is ours, and locked. */
  #usable = false;
  readonly #problems = new Set<string>();
  readonly #said = new Set<string>();

  constructor(features: readonly string[], directory = DIRECTORY) {
    this.#features = features;
    this.#directory = directory;
  }

  /** What was wrong with records since the last call, each thing once. */
  takeProblems(): string[] {
    const news = [...this.#problems].filter((problem) => !this.#said.has(problem));
    for (const problem of news) this.#said.add(problem);
    this.#problems.clear();
    return news;
  }

  /**
   * Calls `work`, in which alone the methods below may be used, while no other process changes anything. `writes`: it
   * may have something to write, so the directory is made.
   */
  exclusively<T>(writes: boolean, work: () => T): T {
    if (!writes && !existsSync(this.#directory)) return work();
    const directory = this.#attempt(() => this.#lockDirectory());
    this.#usable = directory !== undefined;
    try {
      if (this.#usable) this.#attempt(() => this.#open());
      return work();
    } finally {
      this.#usable = false;
      for (const file of this.#others.splice(0)) this.#attempt(() => settle(file));
      if (directory !== undefined) closeSync(directory);
    }
  }

  /** Features of an interface that belong on by anybody's record, a dead one's too. */
  recorded(link: LinkDetails): string[] {
    const netns = netnsName();
    const entries = [...this.#others.flatMap((file) => file.entries), ...this.#ownEntries()];
    return [...new Set(entries.filter((entry) => isOf(entry, link, netns)).map(({ feature }) => feature))];
  }

  /** They belong on, and are off for us from now. What the dead recorded of them is ours. */
  hold(link: LinkDetails, features: readonly string[]): void {
    const netns = netnsName();
    for (const feature of features) {
      const entry = entryOf(link, netns, feature);
      const line = lineOf(entry);
      const own = this.#own.get(line);
      if (!own) this.#attempt(() => this.#append('+', line));
      this.#own.set(line, { entry, count: (own?.count ?? 0) + 1 });
      const strange = (other: Entry) => other.feature === feature && isOf(other, link, netns);
      this.#strike(strange);
      for (const [key, { entry: old, count }] of [...this.#own]) {
        if (key !== line && count === 0 && strange(old)) this.#forget(key); // it came back under another index
      }
    }
  }

  /** They are off for us no longer. Those that are so for nobody else: to be switched on. */
  release(link: LinkDetails, features: readonly string[]): string[] {
    const netns = netnsName();
    return features.filter((feature) => {
      const line = lineOf(entryOf(link, netns, feature));
      const own = this.#own.get(line);
      if (own && --own.count > 0) return false;
      this.#forget(line);
      const same = (entry: Entry) => entry.feature === feature && isOf(entry, link, netns);
      this.#strike(same);
      return !this.#others.some((file) => !file.dead && file.entries.some(same));
    });
  }

  /** The interface is not here any more: the record stays, for whoever meets it again. One of no hardware is no more. */
  abandon(link: LinkDetails, features: readonly string[]): void {
    const netns = netnsName();
    for (const feature of features) {
      const line = lineOf(entryOf(link, netns, feature));
      const own = this.#own.get(line);
      if (own && --own.count <= 0 && link.permanent === '') this.#forget(line);
    }
  }

  /** What dead processes recorded and no living one holds. The records of `links`, all that are here, are struck with it. */
  leftovers(links: readonly LinkDetails[]): { readonly link: LinkDetails; readonly feature: string }[] {
    const netns = netnsName();
    const living = this.#others.filter(({ dead }) => !dead).flatMap(({ entries }) => entries);
    const found: { link: LinkDetails; feature: string }[] = [];
    for (const link of links) {
      const isHere = (entry: Entry) => isOf(entry, link, netns);
      const held = [...living, ...this.#ownEntries()].filter(isHere).map(({ feature }) => feature);
      const dead = this.#others.filter((file) => file.dead).flatMap((file) => file.entries.filter(isHere));
      for (const feature of new Set(dead.map((entry) => entry.feature))) {
        if (!held.includes(feature)) found.push({ link, feature });
      }
      this.#strike(isHere);
    }
    // Of this namespace and not here: it is no more, unless its hardware is elsewhere meanwhile.
    this.#strike((entry) => entry.netns === netns && entry.permanent === '');
    return found;
  }

  #ownEntries(): Entry[] {
    return Array.from(this.#own.values(), ({ entry }) => entry);
  }

  /** Out of the records of the dead. */
  #strike(which: (entry: Entry) => boolean): void {
    for (const file of this.#others) {
      if (!file.dead || !file.entries.some(which)) continue;
      file.entries = file.entries.filter((entry) => !which(entry));
      file.changed = true;
    }
  }

  #forget(line: string): void {
    if (!this.#own.delete(line) || !this.#file) return;
    const { fd, path } = this.#file;
    if (this.#own.size > 0) this.#attempt(() => this.#append('-', line));
    else {
      this.#file = undefined;
      this.#attempt(() => unlinkSync(path));
      closeSync(fd);
    }
  }

  #append(sign: '+' | '-', line: string): void {
    if (!this.#usable) return; // that was said
    if (!this.#file) {
      const path = join(this.#directory, `${process.pid}-${Date.now()}-${randomBytes(4).toString('hex')}`);
      const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0o600);
      tryLock(fd); // nobody else has seen it
      this.#file = { fd, path };
    }
    writeSync(this.#file.fd, `${sign}${line}\n`);
  }

  /** The locked directory. Throws what mkdir, open or the lock throws. */
  #lockDirectory(): number {
    makeDirectories(this.#directory, 0o700);
    const fd = openSync(this.#directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const problem = strangeness(fd);
      if (problem) throw new SetupError(problem);
      const deadline = performance.now() + PATIENCE;
      while (!tryLock(fd)) {
        if (performance.now() > deadline) throw new SetupError('another netferry does not let go of it');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
      }
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Reads the files of others. */
  #open(): void {
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      if (path !== this.#file?.path) this.#attempt(() => this.#others.push(this.#read(path)), path);
    }
  }

  #read(path: string): File {
    const fd = openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK); // a FIFO would keep us
    try {
      const stat = fstatSync(fd);
      const problem = !stat.isFile()
        ? 'it is no file'
        : stat.size > SIZE_MAX
          ? 'it is too large'
          : strangeness(fd);
      if (problem) throw new SetupError(problem);
      const entries = parseEntries(readFileSync(fd, 'utf8'), this.#features);
      return { path, fd, dead: tryLock(fd), entries, changed: entries.length === 0 };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #attempt<T>(act: () => T, subject = this.#directory): T | undefined {
    try {
      return act();
    } catch (error) {
      const code = error instanceof SysError ? undefined : (error as NodeJS.ErrnoException).code;
      this.#problems.add(`${subject}: ${code ?? (error as Error).message}`);
      return undefined;
    }
  }
}

/** Writes down what was struck, and ends with the file. */
function settle({ path, fd, dead, entries, changed }: File): void {
  try {
    if (!dead || !changed) return;
    if (entries.length === 0) unlinkSync(path);
    else {
      // What a kill leaves of it under the other name is a record too, and says nothing wrong.
      writeFileSync(`${path}~`, entries.map((entry) => `+${lineOf(entry)}\n`).join(''), { mode: 0o600 });
      renameSync(`${path}~`, path);
    }
  } finally {
    closeSync(fd);
  }
}

/** Why what is open cannot be ours; '' if it can. */
function strangeness(fd: number): string {
  const { uid, mode } = fstatSync(fd);
  if (uid !== process.geteuid?.()) return `it belongs to user ${uid}`;
  return mode & GROUP_OR_WORLD_WRITABLE ? 'it can be written by others' : '';
}
