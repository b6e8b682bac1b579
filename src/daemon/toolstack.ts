/**
 * The toolstack: what `xl` is on a Xen host. It makes domains for processes that ask on the hypervisor socket,
 * writes their nodes into xenstore as libxl does, and takes everything away when the process is gone. A domain
 * lives as long as its connection: the kernel closes that for every kind of death, at once.
 */
import { createServer, type Server, Socket } from 'node:net';
import { type GuestGrant, type GuestRequest, guestRequest } from '../guest/options.js';
import { RAM_PAGES_NEEDED } from '../netif/netfront_memory.js';
import { SetupError } from '../sys/errors.js';
import { descriptorOf } from '../sys/handle.js';
import { close } from '../sys/libc.js';
import { peerOf, sendWithFds, unixPair } from '../sys/unix.js';
import type { TransferName } from '../transfer/transfer.js';
import { type Domain, shapeFor } from '../xen/embedded/domain.js';
import type { Hypervisor } from '../xen/embedded/hypervisor.js';
import type { Xenstored } from '../xen/embedded/xenstored/xenstored.js';
import type { XenStore } from '../xen/xenstore.js';
import type { AddressBook } from './addresses.js';
import type { Log } from './log.js';
import { writeVifNodes } from './vif_nodes.js';

/** A request line is never longer. */
const LINE_MAX = 8192;
/** ms a guest has to leave after SIGTERM. */
const GRACE = 5000;
/** ms after SIGKILL when its connection is cut: another process may hold it, and a domain lives as long as that. */
const CUT = 500;

export interface GuestRecord {
  readonly name: string;
  readonly domain: Domain;
  readonly pid: number;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly transfer: TransferName;
  readonly connection: GuestConnection;
  /** Resolves when everything of it is released. */
  readonly gone: Promise<void>;
}

/** What a domain's life hangs on. */
export interface GuestConnection {
  /** Resolves when it is closed, by whomever. */
  readonly ended: Promise<void>;
  /** Closes our end. */
  cut(): void;
}

/** There is no guest of that name. */
export class UnknownGuest extends SetupError {}

export interface ToolstackParts {
  readonly hypervisor: Hypervisor;
  readonly xenstored: Xenstored;
  readonly store: XenStore;
  readonly addresses: AddressBook;
  readonly transfer: TransferName;
  readonly log: Log;
  /** Lets go of every vif of a domain. While it has not resolved, the datapath may use the domain's memory. */
  forget(domid: number): Promise<void>;
  readonly defaultMtu: number;
}

export class Toolstack {
  readonly #parts: ToolstackParts;
  readonly #server: Server;
  readonly #guests = new Map<string, GuestRecord>();
  readonly #releasing = new Set<Promise<void>>();
  #closing = false;

  constructor(parts: ToolstackParts) {
    this.#parts = parts;
    this.#server = createServer((socket) => new Session(this, socket));
  }

  /** Accepts domains at `path`. */
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  get guests(): readonly GuestRecord[] {
    return [...this.#guests.values()];
  }

  guest(name: string): GuestRecord | undefined {
    return this.#guests.get(name);
  }

  /** Makes a domain for process `pid`. Throws SetupError; nothing is left then. */
  async create(
    request: GuestRequest,
    pid: number,
    connection: GuestConnection,
  ): Promise<{ grant: GuestGrant; domain: Domain }> {
    const { addresses, hypervisor } = this.#parts;
    if (this.#closing) throw new SetupError('the daemon is shutting down');
    checkPid(pid);
    const owner = request.name;
    const taken = this.#guests.get(owner);
    if (taken)
      throw new SetupError(
        `guest ${owner} exists (pid ${taken.pid})`,
        `remove it: netferry guest rm ${owner}`,
      );
    let mac: string;
    let ips: string[];
    let domain: Domain;
    try {
      mac = addresses.claimMac(owner, request.mac);
      ips = addresses.claimAddresses(owner, request.addresses);
      if (request.strictIp && ips.length === 0)
        throw new SetupError(`guest ${owner} has no address that it could be held to`, 'give it some: --ip');
      const { queues = 1 } = request;
      domain = hypervisor.create(owner, queues > 1 ? shapeFor(queues * RAM_PAGES_NEEDED) : undefined);
    } catch (error) {
      addresses.release(owner);
      throw error;
    }
    let finished = () => {};
    const record: GuestRecord = {
      name: owner,
      domain,
      pid,
      mac,
      addresses: ips,
      mtu: request.mtu ?? this.#parts.defaultMtu,
      transfer: request.transfer ?? this.#parts.transfer,
      connection,
      gone: new Promise((resolve) => {
        finished = resolve;
      }),
    };
    this.#guests.set(owner, record);
    this.#parts.xenstored.introduce(domain.domid);
    const written = writeVifNodes(this.#parts.store, {
      name: owner,
      domid: domain.domid,
      mac,
      mtu: record.mtu,
      rate: request.rate,
      addresses: request.strictIp ? ips : [],
    });
    // Not before its nodes are written, else they would stay.
    const over = Promise.allSettled([connection.ended, written]);
    this.#track(over.then(() => this.#release(record)).finally(finished));
    await written;
    this.#parts.log.info(`guest ${owner}: domain ${domain.domid}, pid ${pid}, ${mac}, ${ips.join(' ')}`);
    const { ramPages, grantPages } = domain.shape;
    const gateway = request.addresses === undefined ? addresses.gateways : [];
    const grant = {
      domid: domain.domid,
      mac,
      addresses: ips,
      mtu: record.mtu,
      gateway,
      ramPages,
      grantPages,
    };
    return { grant, domain };
  }

  /** One end of the domain's own xenstore connection, for its process. The caller passes it on and closes it. */
  openXenstore(domain: Domain): number {
    const [ours, theirs] = unixPair();
    this.#parts.xenstored.attach(domain.domid, new Socket({ fd: ours }));
    return theirs;
  }

  /** Asks a guest to leave, then insists. Resolves when everything of it is gone. Throws UnknownGuest. */
  async remove(name: string): Promise<void> {
    const guest = this.#guests.get(name);
    if (!guest) {
      const known = [...this.#guests.keys()];
      throw new UnknownGuest(
        `no guest ${name}`,
        known.length > 0 ? `there are: ${known.join(', ')}` : 'there are none',
      );
    }
    kill(guest.pid, 'SIGTERM');
    let timer = setTimeout(() => {
      kill(guest.pid, 'SIGKILL');
      timer = setTimeout(() => guest.connection.cut(), CUT);
    }, GRACE);
    await guest.gone;
    clearTimeout(timer);
  }

  /** Ends all guests and stops listening. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.close();
    await Promise.all([...this.#guests.keys()].map((name) => this.remove(name).catch(() => {})));
    await Promise.all(this.#releasing);
  }

  #track(work: Promise<void>): void {
    const done = work.catch((error: unknown) => this.#parts.log.warn(`release: ${String(error)}`));
    this.#releasing.add(done);
    void done.finally(() => this.#releasing.delete(done));
  }

  /** Every step is tried, whatever became of the others: nothing of a guest may stay because of one of them. */
  async #release(guest: GuestRecord): Promise<void> {
    const { domid } = guest.domain;
    const { store, hypervisor, xenstored, addresses, log } = this.#parts;
    const attempt = async (what: string, step: () => void | Promise<void>): Promise<boolean> => {
      try {
        await step();
        return true;
      } catch (error) {
        log.warn(`guest ${guest.name}: ${what}: ${error instanceof Error ? error.message : String(error)}`);
        return false;
      }
    };
    const unused = await attempt('letting go of its vifs', () => this.#parts.forget(domid));
    await store.rm(`/local/domain/0/backend/vif/${domid}`).catch(() => {}); // it may never have been written
    await store.rm(`/local/domain/0/error/backend/vif/${domid}`).catch(() => {});
    await store.rm(`/local/domain/${domid}`).catch(() => {});
    await attempt('its xenstore', () => xenstored.release(domid));
    if (unused) await attempt('its memory', () => hypervisor.destroy(domid));
    // Leaked on purpose: its number stays taken with it, so nothing of another domain comes to lie there.
    else
      log.warn(`guest ${guest.name}: the memory of domain ${domid} is kept, the datapath may still use it`);
    await attempt('its addresses', () => addresses.release(guest.name));
    this.#guests.delete(guest.name);
    log.info(`guest ${guest.name}: gone`);
  }
}

/** One process on the hypervisor socket: first a domain, then event channels for it. */
class Session {
  readonly #toolstack: Toolstack;
  readonly #socket: Socket;
  readonly #ended: Promise<void>;
  #buffer = '';
  #domain: Domain | undefined;
  #queue: Promise<void> = Promise.resolve();

  constructor(toolstack: Toolstack, socket: Socket) {
    this.#toolstack = toolstack;
    this.#socket = socket;
    this.#ended = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {}); // 'close' follows
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#read(text));
  }

  #read(text: string): void {
    this.#buffer += text;
    if (this.#buffer.length > LINE_MAX) {
      this.#socket.destroy();
      return;
    }
    const lines = this.#buffer.split('\n');
    this.#buffer = lines.pop() ?? '';
    for (const line of lines) {
      this.#queue = this.#queue.then(() => this.#answer(line)).catch(() => void this.#socket.destroy());
    }
  }

  async #answer(line: string): Promise<void> {
    if (this.#socket.destroyed) return;
    let reply: { body: object; fds: number[]; close: number[] };
    try {
      reply = this.#domain ? this.#eventChannel(this.#domain, line) : await this.#create(line);
    } catch (error) {
      const hint = error instanceof SetupError ? error.hint : '';
      reply = {
        body: { error: error instanceof Error ? error.message : String(error), hint },
        fds: [],
        close: [],
      };
    }
    try {
      sendWithFds(descriptorOf(this.#socket), Buffer.from(`${JSON.stringify(reply.body)}\n`), reply.fds);
    } finally {
      for (const fd of reply.close) close(fd);
    }
  }

  async #create(line: string) {
    const parsed = guestRequest.safeParse(json(line));
    if (!parsed.success)
      throw new SetupError(
        `guest: ${parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ')}`,
      );
    const { pid } = peerOf(descriptorOf(this.#socket));
    const { grant, domain } = await this.#toolstack.create(parsed.data, pid, {
      ended: this.#ended,
      cut: () => void this.#socket.destroy(),
    });
    this.#domain = domain;
    const xenstore = this.#toolstack.openXenstore(domain);
    return { body: grant, fds: [domain.ramFd, domain.grantFd, xenstore], close: [xenstore] };
  }

  #eventChannel(domain: Domain, line: string) {
    const request = json(line) as { op?: unknown };
    if (request?.op !== 'event-channel') throw new SetupError('not a request: {"op":"event-channel"} is one');
    const { port, toDomain, toBackend } = domain.allocatePort();
    return { body: { port }, fds: [toDomain, toBackend], close: [] };
  }
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * Throws SetupError for a pid that must never be sent a signal. The kernel says 0 of a peer in a pid namespace that
 * we cannot see, and kill(2) takes 0 for our own process group and -1 for everybody.
 */
function checkPid(pid: number): void {
  if (pid > 1 && pid !== process.pid) return;
  throw new SetupError(
    pid > 0
      ? `process ${pid} cannot be a guest`
      : 'the daemon cannot see the process that wants to be a guest',
    pid > 0 ? 'start it: netferry guest run' : 'start it in a pid namespace that the daemon can see',
  );
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
