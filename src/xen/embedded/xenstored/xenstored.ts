/**
 * The embedded platform's xenstored. Domain 0's tools reach it by a Unix socket, as Xen's do; the other
 * domains by streams their platform attaches. Semantics: docs/misc/xenstore.txt and the C xenstored.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect as connectSocket, createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { isMainThread } from 'node:worker_threads';
import { SetupError } from '../../../sys/errors.js';
import { connectXenstore } from '../../xenstore/client.js';
import { type XenStore, XsError } from '../../xenstore.js';
import { Connection, type ConnectionStats } from './connection.js';
import { accessOf, type Domain, READ } from './domain.js';
import { removeTree } from './nodes.js';
import { streamPair } from './pair.js';
import { INTRODUCE_DOMAIN, parentPath, RELEASE_DOMAIN } from './path.js';
import { DEFAULT_QUOTAS, privilegedQuotas, type Quotas } from './quotas.js';
import type { SessionServer } from './session.js';
import { type Change, Store } from './store.js';
import { Watches } from './watches.js';

/** sun_path less its NUL, unix(7). libuv of Node 20 cuts longer ones and says nothing. */
const SOCKET_PATH_MAX = 107;

/** What the server needs from around it. */
export interface XenstoredRuntime {
  /** Disconnected clients, and what tools print by XS_CONTROL. */
  log?(message: string): void;
}

export interface XenstoredStats {
  readonly nodes: number;
  readonly watches: number;
  /** Introduced ones, domain 0 included. */
  readonly domains: number;
  readonly connections: readonly ConnectionStats[];
}

export class Xenstored {
  readonly #quotas: Quotas;
  readonly #runtime: XenstoredRuntime;
  readonly #watches = new Watches();
  readonly #store: Store;
  readonly #domains = new Map<number, Domain>();
  readonly #connections = new Set<Connection>();
  readonly #sessionServer: SessionServer;
  #server: Server | undefined;

  /** @param quotas of each domain but 0; what is left out is as in the C xenstored */
  constructor(quotas: Partial<Quotas> = {}, runtime: XenstoredRuntime = {}) {
    this.#quotas = { ...DEFAULT_QUOTAS, ...quotas };
    this.#runtime = runtime;
    this.#store = new Store((change) => this.#fire(change));
    this.#sessionServer = {
      store: this.#store,
      watches: this.#watches,
      introduce: (domid) => this.introduce(domid),
      release: (domid) => this.release(domid),
      isIntroduced: (domid) => this.isIntroduced(domid),
      setTarget: (domid, target) => this.#setTarget(domid, target),
      log: (message) => this.#runtime.log?.(message),
    };
    this.#domains.set(0, newDomain(0, privilegedQuotas(this.#quotas)));
  }

  /**
   * Serves domain 0 on a Unix socket, mode 0600. A socket nobody serves any more is replaced. SetupError if
   * somebody does, or the path cannot be bound.
   */
  async listen(socketPath: string): Promise<void> {
    if (Buffer.byteLength(socketPath) > SOCKET_PATH_MAX) {
      throw new SetupError(
        `${socketPath}: too long for a socket`,
        `Choose one of at most ${SOCKET_PATH_MAX} bytes.`,
      );
    }
    if (await isServed(socketPath)) {
      throw new SetupError(`${socketPath}: another xenstored serves it`, 'Stop it, or choose another path.');
    }
    const server = createServer((socket) => this.attach(0, socket));
    // Bound within the call: so nobody can connect before the mode is set. Workers have no umask of their own.
    try {
      removeStaleSocket(socketPath);
      const mask = isMainThread ? process.umask(0o177) : undefined;
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(socketPath, resolve);
        if (mask !== undefined) process.umask(mask);
      });
      chmodSync(socketPath, 0o600);
    } catch (cause) {
      const hint = 'Check that its directory exists and is writable, and that no other file is there.';
      throw new SetupError(`${socketPath}: cannot listen (${(cause as Error).message})`, hint, { cause });
    }
    // An accept that fails (EMFILE) costs that client only.
    server.on('error', (error) => this.#runtime.log?.(`${socketPath}: ${error.message}`));
    this.#server = server;
  }

  /**
   * Serves a domain on a stream, which is the server's from here on.
   * @throws SetupError if the domain is not introduced
   */
  attach(domid: number, stream: Duplex): void {
    const domain = this.#domains.get(domid);
    if (!domain) throw new SetupError(`domain ${domid} is not introduced to xenstored`);
    // It will not say that it closed a second time.
    if (stream.destroyed) return;
    const connection = new Connection(this.#sessionServer, domain, stream, () => {
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
  }

  /** A connection of a domain, within this process; the same as any over a socket. */
  connect(domid: number): XenStore {
    const [ours, theirs] = streamPair();
    this.attach(domid, ours);
    return connectXenstore(theirs);
  }

  /** From here the domain may be attached. No effect if it is introduced already. */
  introduce(domid: number): void {
    if (this.#domains.has(domid)) return;
    this.#domains.set(domid, newDomain(domid, this.#quotas));
    this.#fireSpecial(INTRODUCE_DOMAIN);
  }

  /**
   * Ends everything the domain has: connections, watches, transactions, the nodes it owns with all below
   * them, and what permissions grant it, so that a later domain of the same domid inherits nothing
   * (XSA-322, XSA-419). No effect if it is not introduced, or is domain 0.
   */
  release(domid: number): void {
    if (domid === 0 || !this.#domains.delete(domid)) return;
    for (const connection of this.#connections) if (connection.domain.domid === domid) connection.close();
    for (const domain of this.#domains.values()) if (domain.target === domid) domain.target = undefined;
    for (const path of this.#store.ownedPaths(domid)) this.#removeOrphan(path);
    this.#store.voidPermissions(domid);
    this.#fireSpecial(RELEASE_DOMAIN);
  }

  isIntroduced(domid: number): boolean {
    return this.#domains.has(domid);
  }

  stats(): XenstoredStats {
    return {
      nodes: this.#store.nodes,
      watches: this.#watches.count,
      domains: this.#domains.size,
      connections: [...this.#connections].map((connection) => connection.stats()),
    };
  }

  /** Stops listening, removes the socket and ends all connections. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server && new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await closed;
  }

  #fire(change: Change): void {
    this.#watches.fire(change, (domain) => {
      const parent = this.#store.lookup(parentPath(change.path));
      return parent !== undefined && (accessOf(domain, this.#store.permissionsOf(parent)) & READ) !== 0;
    });
  }

  #fireSpecial(path: string): void {
    const node = this.#store.lookup(path);
    const permissions = node && this.#store.permissionsOf(node);
    this.#fire({ path, exact: true, listed: false, before: permissions, after: permissions });
  }

  #removeOrphan(path: string): void {
    const node = this.#store.lookup(path);
    // Gone already, with one above it.
    if (!node) return;
    if (path !== '/' && path[0] !== '@') {
      removeTree(this.#store, path, node);
      return;
    }
    const [owner, ...others] = node.permissions;
    this.#store.setPermissions(path, [{ domid: 0, access: owner.access }, ...others]);
  }

  #setTarget(domid: number, target: number): void {
    const domain = this.#domains.get(domid);
    if (!domain || !this.#domains.has(target)) throw new XsError('ENOENT', `domain ${domid} or ${target}`);
    domain.target = target;
  }
}

function newDomain(domid: number, quotas: Quotas): Domain {
  return { domid, quotas, target: undefined, watches: 0, transactions: 0 };
}

/** Whether somebody accepts connections there. */
function isServed(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connectSocket(socketPath, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}

/** Files of other kinds are left for bind to complain of. */
function removeStaleSocket(socketPath: string): void {
  if (lstatSync(socketPath, { throwIfNoEntry: false })?.isSocket()) unlinkSync(socketPath);
}
