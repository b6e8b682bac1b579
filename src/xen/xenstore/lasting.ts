/**
 * A xenstore client that outlives its connection: when xenstored goes away it connects again, with growing pauses, and
 * sets its watches anew (each fires once then, as it does when it is set, so whoever watches looks again). What is
 * asked meanwhile waits. A request whose answer was lost is asked again: all that this program writes may be written
 * twice, and transactions run again anyway.
 */
import {
  type WatchCallback,
  type XenStore,
  XsError,
  type XsPermission,
  type XsTransaction,
} from '../xenstore.js';

/** ms between attempts to connect, at first and at most. */
const PAUSE = 100;
const PAUSE_MOST = 5000;

export interface LastingOptions {
  /** A new connection. Rejects when there is nobody to connect to. */
  open(): Promise<XenStore>;
  /** The connection ended; or there is one again. */
  onLost?(): void;
  onBack?(): void;
  /** ms before the first attempt to connect again. */
  readonly pause?: number;
}

interface Registration {
  readonly path: string;
  readonly token: string | undefined;
  readonly callback: WatchCallback;
  /** Where it is set. */
  store: XenStore | undefined;
  stop: () => Promise<void>;
}

/** Connects for the first time; rejects as `open` does. */
export async function openLastingXenstore(options: LastingOptions): Promise<LastingXenstore> {
  return new LastingXenstore(await options.open(), options);
}

export class LastingXenstore implements XenStore {
  readonly closed: Promise<void>;
  readonly #options: LastingOptions;
  readonly #registrations = new Set<Registration>();
  /** Whose connection a transaction belongs to. */
  readonly #begun = new WeakMap<XsTransaction, XenStore>();
  /** The connection; while there is none, who waits for one. */
  #store: XenStore | undefined;
  #waiting: (() => void)[] = [];
  #ended = false;
  #resolveClosed = () => {};
  #wake = () => {};

  constructor(store: XenStore, options: LastingOptions) {
    this.#options = options;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    void this.#adopt(store);
  }

  /** Whether there is a connection now. */
  get connected(): boolean {
    return this.#store !== undefined;
  }

  read(path: string, tx?: XsTransaction): Promise<string> {
    return this.#ask((store) => store.read(path, tx), tx);
  }

  tryRead(path: string, tx?: XsTransaction): Promise<string | undefined> {
    return this.#ask((store) => store.tryRead(path, tx), tx);
  }

  directory(path: string, tx?: XsTransaction): Promise<string[]> {
    return this.#ask((store) => store.directory(path, tx), tx);
  }

  write(path: string, value: string, tx?: XsTransaction): Promise<void> {
    return this.#ask((store) => store.write(path, value, tx), tx);
  }

  mkdir(path: string, tx?: XsTransaction): Promise<void> {
    return this.#ask((store) => store.mkdir(path, tx), tx);
  }

  rm(path: string, tx?: XsTransaction): Promise<void> {
    return this.#ask((store) => store.rm(path, tx), tx);
  }

  getPermissions(path: string, tx?: XsTransaction): Promise<XsPermission[]> {
    return this.#ask((store) => store.getPermissions(path, tx), tx);
  }

  setPermissions(path: string, permissions: readonly XsPermission[], tx?: XsTransaction): Promise<void> {
    return this.#ask((store) => store.setPermissions(path, permissions, tx), tx);
  }

  getDomainPath(domid: number): Promise<string> {
    return this.#ask((store) => store.getDomainPath(domid));
  }

  transaction<T>(fn: (tx: XsTransaction) => Promise<T>): Promise<T> {
    return this.#ask((store) =>
      store.transaction((tx) => {
        this.#begun.set(tx, store);
        return fn(tx);
      }),
    );
  }

  async watch(
    path: string,
    token: string | undefined,
    callback: WatchCallback,
  ): Promise<() => Promise<void>> {
    const registration: Registration = { path, token, callback, store: undefined, stop: async () => {} };
    this.#registrations.add(registration);
    try {
      await this.#ask((store) => this.#set(registration, store));
    } catch (error) {
      this.#registrations.delete(registration);
      throw error;
    }
    return async () => {
      this.#registrations.delete(registration);
      // With its connection it is gone anyway.
      if (registration.store === this.#store) await registration.stop().catch(forgive);
    };
  }

  close(): void {
    this.#ended = true;
    const store = this.#store;
    this.#store = undefined;
    store?.close();
    this.#wake();
    this.#release();
    this.#resolveClosed();
  }

  /** By whichever connection there is, once there is one; by the same one all along in a transaction. */
  async #ask<T>(request: (store: XenStore) => Promise<T>, tx?: XsTransaction): Promise<T> {
    const begun = tx && this.#begun.get(tx);
    if (begun) return request(begun);
    for (;;) {
      const store = await this.#current();
      try {
        return await request(store);
      } catch (error) {
        if (!isLost(error) || this.#ended) throw error;
        await store.closed;
      }
    }
  }

  async #current(): Promise<XenStore> {
    while (!this.#store) {
      if (this.#ended) throw new XsError('ENOTCONN', 'connection closed');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#store;
  }

  async #set(registration: Registration, store: XenStore): Promise<void> {
    if (registration.store === store) return;
    registration.store = store;
    const { path, token, callback } = registration;
    registration.stop = await store.watch(path, token, callback);
    // Ended while it was being set.
    if (!this.#registrations.has(registration)) await registration.stop().catch(forgive);
  }

  async #adopt(store: XenStore): Promise<void> {
    this.#store = store;
    this.#release();
    await store.closed;
    if (this.#store === store) this.#store = undefined;
    if (this.#ended) return;
    this.#options.onLost?.();
    await this.#connectAgain();
  }

  async #connectAgain(): Promise<void> {
    for (let pause = this.#options.pause ?? PAUSE; ; pause = Math.min(pause * 2, PAUSE_MOST)) {
      await this.#sleep(pause);
      if (this.#ended) return;
      const store = await this.#options.open().catch(() => undefined);
      if (!store) continue;
      if (this.#ended) return store.close();
      // Watches first: nobody reads what changes before it would be told about.
      if (await this.#setAll(store)) {
        this.#options.onBack?.();
        void this.#adopt(store);
        return;
      }
      store.close();
    }
  }

  async #setAll(store: XenStore): Promise<boolean> {
    try {
      for (const registration of [...this.#registrations]) await this.#set(registration, store);
      return true;
    } catch {
      return false; // it ended again
    }
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The connection ended, or the server made no sense and it was ended. */
function isLost(error: unknown): boolean {
  return error instanceof XsError && (error.code === 'ENOTCONN' || error.code === 'EPROTO');
}

function forgive(error: unknown): void {
  if (!isLost(error)) throw error;
}
