/** What one connection holds in the store: its watches and its transactions. */
import { XsError } from '../../xenstore.js';
import type { Domain } from './domain.js';
import type { Store, View } from './store.js';
import { Transaction } from './transaction.js';
import { eventPath, type Watch, type Watches } from './watches.js';

/** What requests need of the server. */
export interface SessionServer {
  readonly store: Store;
  readonly watches: Watches;
  introduce(domid: number): void;
  release(domid: number): void;
  isIntroduced(domid: number): boolean;
  /** XsError ENOENT if one of them is not introduced. */
  setTarget(domid: number, target: number): void;
  log(message: string): void;
}

/** Where a session's events go. `key` is equal for equal events. */
export type EventSink = (path: string, token: string) => void;

export class Session {
  readonly server: SessionServer;
  readonly domain: Domain;
  readonly event: EventSink;
  readonly #watches = new Map<string, Watch>();
  readonly #transactions = new Map<number, Transaction>();
  #lastTransaction = 0;

  constructor(server: SessionServer, domain: Domain, event: EventSink) {
    this.server = server;
    this.domain = domain;
    this.event = event;
  }

  get watches(): number {
    return this.#watches.size;
  }

  get transactions(): number {
    return this.#transactions.size;
  }

  /** The store through this transaction; 0 for none. ENOENT. */
  view(txId: number): View {
    return txId === 0 ? this.server.store : this.#transaction(txId);
  }

  /** EEXIST, E2BIG. The first event is sent at once. */
  watch(path: string, token: string, relative: boolean): void {
    const key = `${path}\0${token}`;
    if (this.#watches.has(key)) throw new XsError('EEXIST', `watch ${path}`);
    if (this.domain.watches >= this.domain.quotas.watches) throw new XsError('E2BIG', 'watches');
    const watch = { watcher: this, path, token, relative };
    this.#watches.set(key, watch);
    this.server.watches.add(watch);
    this.domain.watches++;
    this.event(eventPath(watch, path), token);
  }

  /** ENOENT. */
  unwatch(path: string, token: string): void {
    const key = `${path}\0${token}`;
    const watch = this.#watches.get(key);
    if (!watch) throw new XsError('ENOENT', `watch ${path}`);
    this.#watches.delete(key);
    this.server.watches.delete(watch);
    this.domain.watches--;
  }

  /** ENOSPC. */
  startTransaction(): number {
    if (this.domain.transactions >= this.domain.quotas.transactions) {
      throw new XsError('ENOSPC', 'transactions');
    }
    do this.#lastTransaction = (this.#lastTransaction + 1) >>> 0;
    while (this.#lastTransaction === 0 || this.#transactions.has(this.#lastTransaction));
    const id = this.#lastTransaction;
    const { transactionNodes } = this.domain.quotas;
    this.#transactions.set(id, new Transaction(id, this.server.store, transactionNodes));
    this.domain.transactions++;
    return id;
  }

  /** The transaction is over whatever comes: ENOENT, EAGAIN, ENOSPC. */
  endTransaction(txId: number, commit: boolean): void {
    const transaction = this.#transaction(txId);
    this.#transactions.delete(txId);
    this.domain.transactions--;
    if (commit) transaction.commit(this.domain.domid, this.domain.quotas.nodes);
  }

  /** Drops all watches and transactions. */
  reset(): void {
    for (const watch of this.#watches.values()) this.server.watches.delete(watch);
    this.domain.watches -= this.#watches.size;
    this.domain.transactions -= this.#transactions.size;
    this.#watches.clear();
    this.#transactions.clear();
  }

  #transaction(id: number): Transaction {
    const transaction = this.#transactions.get(id);
    if (!transaction) throw new XsError('ENOENT', `transaction ${id}`);
    return transaction;
  }
}
