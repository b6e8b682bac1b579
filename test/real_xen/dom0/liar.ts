/**
 * A front end that lies: its rings are written by hand. It is dom0's own (a domain may grant to itself and bind its own
 * channels), with nodes in xenstore as a toolstack would make them, so that a back end cannot tell it from a guest's.
 */
import {
  NETTXF_more_data,
  TXREQ_FLAGS,
  TXREQ_GREF,
  TXREQ_ID,
  TXREQ_OFFSET,
  TXREQ_SIZE,
  TXRSP_STATUS,
} from '../../../src/abi/netif.js';
import {
  NETIF_RING_SIZE,
  RING_ENTRIES,
  RING_REQ_PROD,
  RING_RSP_PROD,
  RX_ENTRY_SIZE,
  TX_ENTRY_SIZE,
} from '../../../src/abi/ring.js';
import {
  XenbusStateClosed,
  XenbusStateConnected,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from '../../../src/abi/xenbus.js';
import { Arena } from '../../../src/arena/arena.js';
import { instantiateLoops } from '../../../src/arena/loops.js';
import { NativeEventChannels } from '../../../src/xen/native/events.js';
import { openNativeXenstore } from '../../../src/xen/native/xenstore.js';
import type { XenStore } from '../../../src/xen/xenstore.js';
import { GrantedPages } from '../../xen/granted_pages.js';
import { until } from './place.js';

const PAGE = 4096;
const SELF = 0;
/** Pages to send from. */
const PAGES = 32;
/** Seconds for one move of the back end. */
const PATIENCE = 20;

export interface Slot {
  readonly gref: number;
  readonly offset?: number;
  readonly flags?: number;
  readonly size: number;
}

export class Liar {
  readonly mac: string;
  /** References of its pages to send from; readable, not writable. */
  readonly references: readonly number[];
  /** Entries written so far. */
  prod = 0;
  rxProd = 0;
  readonly #arena = Arena.create(1 << 22);
  readonly #store: XenStore;
  readonly #events = new NativeEventChannels();
  readonly #rings = new GrantedPages(this.#arena);
  readonly #pages = new GrantedPages(this.#arena);
  readonly #tx: number;
  readonly #rx: number;
  readonly #data: number;
  readonly #ringReferences: readonly number[];
  readonly #port: number;
  readonly #front: string;
  readonly #back: string;
  readonly #error: string;
  #granted = true;

  private constructor(store: XenStore, handle: number) {
    this.#store = store;
    this.mac = `00:16:3e:ff:00:${handle.toString(16).padStart(2, '0')}`;
    this.#front = `/local/domain/${SELF}/device/vif/${handle}`;
    this.#back = `/local/domain/${SELF}/backend/vif/${SELF}/${handle}`;
    this.#error = `/local/domain/${SELF}/error/backend/vif/${SELF}/${handle}/error`;
    this.#tx = this.#arena.allocate(2 * PAGE, 'rings');
    this.#rx = this.#tx + PAGE;
    this.#data = this.#arena.allocate(PAGES * PAGE, 'pages');
    this.#ringReferences = this.#rings.grant(SELF, this.#tx, 2, true);
    this.references = this.#pages.grant(SELF, this.#data, PAGES, false);
    this.#port = this.#events.bindUnbound(SELF);
    const loops = instantiateLoops(this.#arena);
    loops.initRing(this.#tx);
    loops.initRing(this.#rx);
  }

  /** A vif of dom0's own, connected. */
  static async connect(handle: number): Promise<Liar> {
    const store = await openNativeXenstore();
    const liar = new Liar(store, handle);
    await liar.#begin(handle);
    return liar;
  }

  async #begin(handle: number): Promise<void> {
    const shared = { handle: String(handle), mac: this.mac, state: String(XenbusStateInitialising) };
    const back = { 'frontend-id': String(SELF), frontend: this.#front, online: '1', script: '/bin/true' };
    const front = { 'backend-id': String(SELF), backend: this.#back };
    await this.#store.transaction(async (tx) => {
      for (const [key, value] of Object.entries({ ...front, ...shared }))
        await this.#store.write(`${this.#front}/${key}`, value, tx);
      for (const [key, value] of Object.entries({ ...back, ...shared }))
        await this.#store.write(`${this.#back}/${key}`, value, tx);
    });
    await this.#until(XenbusStateInitWait);
    const keys = {
      'tx-ring-ref': String(this.#ringReferences[0]),
      'rx-ring-ref': String(this.#ringReferences[1]),
      'event-channel': String(this.#port),
      'request-rx-copy': '1',
      'feature-rx-notify': '1',
      'feature-sg': '1',
      state: String(XenbusStateConnected),
    };
    for (const [key, value] of Object.entries(keys)) await this.#store.write(`${this.#front}/${key}`, value);
    await this.#until(XenbusStateConnected);
  }

  /** Writes a request at the next index; nobody sees it yet. */
  put({ gref, offset = 0, flags = 0, size }: Slot): void {
    const at = this.#tx + RING_ENTRIES + (this.prod % NETIF_RING_SIZE) * TX_ENTRY_SIZE;
    const { view } = this.#arena;
    view.setUint32(at + TXREQ_GREF, gref, true);
    view.setUint16(at + TXREQ_OFFSET, offset, true);
    view.setUint16(at + TXREQ_FLAGS, flags, true);
    view.setUint16(at + TXREQ_ID, this.prod & 0xff, true);
    view.setUint16(at + TXREQ_SIZE, size, true);
    this.prod = (this.prod + 1) >>> 0;
  }

  /** A chain of `slots` slots of one byte each after the first; the last one has no end if `endless`. */
  putChain(slots: number, endless: boolean): void {
    for (let i = 0; i < slots; i++) {
      const more = endless || i + 1 < slots ? NETTXF_more_data : 0;
      const size = i === 0 ? 60 + slots - 1 : 1;
      this.put({ gref: this.references[i % PAGES], flags: more, size });
    }
  }

  /** A frame to everybody, of `size` bytes, in page `page`. */
  frame(page: number, size = 60): Slot {
    const at = this.#data + page * PAGE;
    const mac = this.mac.split(':').map((byte) => Number.parseInt(byte, 16));
    this.#arena.u8.fill(0x5a, at, at + size);
    this.#arena.u8.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...mac, 0x88, 0xb5], at);
    return { gref: this.references[page], size };
  }

  /** Shows requests up to index `prod`, and says so. */
  publish(prod = this.prod): void {
    Atomics.store(this.#arena.u32, (this.#tx + RING_REQ_PROD) / 4, prod >>> 0);
    this.signal();
  }

  /** Posts `count` buffers under a reference. */
  post(gref: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const at = this.#rx + RING_ENTRIES + (this.rxProd % NETIF_RING_SIZE) * RX_ENTRY_SIZE;
      this.#arena.view.setUint32(at, this.rxProd & 0xff, true); // u16 id, u16 padding
      this.#arena.view.setUint32(at + 4, gref, true);
      this.rxProd++;
    }
    this.publishRx(this.rxProd);
  }

  publishRx(prod: number): void {
    Atomics.store(this.#arena.u32, (this.#rx + RING_REQ_PROD) / 4, prod >>> 0);
    this.signal();
  }

  signal(): void {
    this.#events.notifier(this.#port)();
  }

  storm(events: number): void {
    const signal = this.#events.notifier(this.#port);
    for (let i = 0; i < events; i++) signal();
  }

  get answered(): number {
    return Atomics.load(this.#arena.u32, (this.#tx + RING_RSP_PROD) / 4);
  }

  /** NETIF_RSP_* of request `index`. */
  status(index: number): number {
    const at = this.#tx + RING_ENTRIES + (index % NETIF_RING_SIZE) * TX_ENTRY_SIZE;
    return this.#arena.view.getInt16(at + TXRSP_STATUS, true);
  }

  /** Takes the grants of its pages back, with frames in flight. */
  revoke(): void {
    if (!this.#granted) return;
    this.#granted = false;
    this.#pages.close();
  }

  /** What stands in the back end's error node; undefined while all is well. */
  error(): Promise<string | undefined> {
    return this.#store.tryRead(this.#error);
  }

  /** Leaves, as a toolstack that destroys it would have it. */
  async close(): Promise<void> {
    await this.#store.write(`${this.#front}/state`, String(XenbusStateClosed)).catch(() => {});
    await this.#store.rm(this.#front).catch(() => {});
    await until(
      'the back end lets go',
      async () => {
        const state = Number((await this.#store.tryRead(`${this.#back}/state`)) ?? XenbusStateClosed);
        return state === XenbusStateClosed || state === XenbusStateInitWait;
      },
      PATIENCE,
    );
    await this.#store.rm(this.#back).catch(() => {});
    this.#store.close();
    this.#events.close();
    this.revoke();
    this.#rings.close();
  }

  async #until(state: number): Promise<void> {
    await until(
      `${this.#back} is in state ${state}`,
      async () => Number(await this.#store.tryRead(`${this.#back}/state`)) === state,
      PATIENCE,
    );
  }
}
