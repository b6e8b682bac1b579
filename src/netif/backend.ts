/**
 * The back end's vifs: every one under its directory of xenstore, whichever toolstack wrote it. Each has its own half of
 * the XenbusState handshake (backend_vif.ts).
 */
import type { XenStore } from '../xen/xenstore.js';
import { BackendVif } from './backend_vif.js';
import type { Backend, BackendLog, BackendOptions, Ending, VifConnector, VifView } from './vif_connector.js';

/** Of a path below the directory: domain and number, as toolstacks write them. */
const VIF = /^\/(0|[1-9]\d{0,4})\/(0|[1-9]\d{0,8})(\/|$)/;

export class NetbackDriver {
  readonly #backend: Backend;
  readonly #directory: string;
  readonly #vifs = new Map<string, BackendVif>();
  #stopWatching: (() => Promise<void>) | undefined;
  #closed = false;

  constructor(store: XenStore, connector: VifConnector, log: BackendLog, options: BackendOptions = {}) {
    const home = options.home ?? '/local/domain/0';
    this.#backend = { store, connector, log, options, home };
    this.#directory = `${home}/backend/vif`;
  }

  /** Serves the vifs that are there and those to come. */
  async start(): Promise<void> {
    this.#stopWatching = await this.#backend.store.watch(this.#directory, 'netback', (path) =>
      this.#changed(path),
    );
  }

  /** By domain and number. */
  get vifs(): VifView[] {
    const views = [...this.#vifs.values()].map((vif) => vif.view);
    return views.sort((a, b) => a.domid - b.domid || a.handle - b.handle);
  }

  viewOf(domid: number, handle: number): VifView | undefined {
    return this.#vifs.get(`${domid}/${handle}`)?.view;
  }

  /** An admin pulls a vif's cable, or puts it in again. False where there is no such vif. */
  async setLink(domid: number, handle: number, up: boolean): Promise<boolean> {
    const vif = this.#vifs.get(`${domid}/${handle}`);
    await vif?.setLink(up);
    return vif !== undefined;
  }

  /** Cuts a vif off whose front end broke the protocol. */
  async fence(domid: number, handle: number, why: string): Promise<void> {
    await this.#vifs.get(`${domid}/${handle}`)?.fence(why);
  }

  /** Lets go of everything of a domain that ended, now; resolves when no memory of it is in use any more. */
  async forget(domid: number): Promise<void> {
    const gone = [...this.#vifs.entries()].filter(([key]) => key.startsWith(`${domid}/`));
    await Promise.all(
      gone.map(async ([key, vif]) => {
        await vif.end();
        this.#vifs.delete(key);
      }),
    );
  }

  /** Stops watching, and ends every vif as `ending` says. Nothing of the guests is in use any more then. */
  async close(ending: Ending = 'close'): Promise<void> {
    this.#closed = true;
    await this.#stopWatching?.().catch(() => {}); // without xenstore there is none to stop
    await Promise.all([...this.#vifs.values()].map((vif) => vif.close(ending)));
    this.#vifs.clear();
  }

  #changed(path: string): void {
    if (this.#look(path)) return;
    for (const vif of this.#vifs.values()) vif.look(true);
    // The first event of the watch, and that of a store which is new to us: it says nothing about what is below.
    void this.#find().catch((error: unknown) => this.#backend.log.warn(`looking for vifs: ${String(error)}`));
  }

  /** Looks at the vif that a node belongs to; false where it belongs to none. */
  #look(path: string): boolean {
    const match = VIF.exec(path.slice(this.#directory.length));
    if (match) this.#vif(Number(match[1]), Number(match[2])).look(true);
    return match !== null;
  }

  /** Looks at every vif that the store has. */
  async #find(): Promise<void> {
    const list = (path: string) => this.#backend.store.directory(path).catch(() => []); // it may be gone by now
    for (const domid of await list(this.#directory)) {
      for (const handle of await list(`${this.#directory}/${domid}`))
        this.#look(`${this.#directory}/${domid}/${handle}`);
    }
  }

  #gone(key: string, vif: BackendVif): void {
    const now = this.#vifs.get(key);
    if (now === vif) this.#vifs.delete(key);
    else if (!this.#closed) this.#look(`${this.#directory}/${key}`); // nodes came while it was ending
  }

  #vif(domid: number, handle: number): BackendVif {
    const key = `${domid}/${handle}`;
    const known = this.#vifs.get(key);
    if (known) return known;
    const vif: BackendVif = new BackendVif(this.#backend, domid, handle, () => this.#gone(key, vif));
    this.#vifs.set(key, vif);
    return vif;
  }
}
