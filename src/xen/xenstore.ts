/**
 * What libxenstore offers, as promises. A path is absolute (`/local/domain/0/backend`), special
 * (`@releaseDomain`, for watches and permissions), or relative: then the server takes it from
 * `/local/domain/DOMID` of whoever asks.
 */

/** `n` none, `r` read, `w` write, `b` both. */
export type XsAccess = 'n' | 'r' | 'w' | 'b';

/**
 * One entry of a node's permission list. The first entry names the owner, and its access is what every
 * domain not listed gets; the others each grant one domain. The owner and domain 0 may do everything.
 */
export interface XsPermission {
  readonly domid: number;
  readonly access: XsAccess;
}

/** A transaction in progress; valid on the connection that began it, inside `transaction`'s callback. */
export interface XsTransaction {
  readonly id: number;
}

/** Called with the path that changed (relative if the watch was) and the watch's token. */
export type WatchCallback = (path: string, token: string) => void;

export interface XenStore {
  /** The node's value as UTF-8. ENOENT, EACCES. */
  read(path: string, tx?: XsTransaction): Promise<string>;
  /** The node's value, or undefined where there is no such node. EACCES. */
  tryRead(path: string, tx?: XsTransaction): Promise<string | undefined>;
  /** Names of the children, without their path, oldest first. ENOENT, EACCES. */
  directory(path: string, tx?: XsTransaction): Promise<string[]>;
  /** Stores a value; missing nodes on the way are made with empty values. EACCES, ENOSPC. */
  write(path: string, value: string, tx?: XsTransaction): Promise<void>;
  /** Makes an empty node, and those on the way; one that exists is left alone. EACCES, ENOSPC. */
  mkdir(path: string, tx?: XsTransaction): Promise<void>;
  /** Removes the node and all below it. No error if only the node itself is missing. ENOENT, EACCES. */
  rm(path: string, tx?: XsTransaction): Promise<void>;
  getPermissions(path: string, tx?: XsTransaction): Promise<XsPermission[]>;
  /** Owner and domain 0 only; only domain 0 may give a node away. EACCES, EPERM, ENOSPC. */
  setPermissions(path: string, permissions: readonly XsPermission[], tx?: XsTransaction): Promise<void>;
  /**
   * Calls back on every change of the node or anything below it, and once at once. Equal events that
   * were not yet delivered may arrive as one. Returns what ends the watch.
   * @param token of the caller's choosing, told apart from other watches; by default one is made up
   */
  watch(path: string, token: string | undefined, callback: WatchCallback): Promise<() => Promise<void>>;
  /**
   * Runs `fn` on a snapshot of the store and commits what it wrote, all or nothing. If others changed what
   * it read or wrote, it runs again, so `fn` must have no other effects; after many attempts XsError EAGAIN.
   * An exception in `fn` discards the transaction.
   */
  transaction<T>(fn: (tx: XsTransaction) => Promise<T>): Promise<T>;
  /** `/local/domain/DOMID`. */
  getDomainPath(domid: number): Promise<string>;
  /** Ends the connection, with its watches and transactions. */
  close(): void;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
}

/** The store said no, or the connection to it ended (ENOTCONN) or made no sense (EPROTO). */
export class XsError extends Error {
  override readonly name = 'XsError';
  /** `ENOENT`, `EACCES`, … */
  readonly code: string;
  constructor(code: string, subject = '', options?: ErrorOptions) {
    super(`xenstore${subject ? ` ${subject}` : ''}: ${code}`, options);
    this.code = code;
  }
}
