/**
 * The host's own place in the network of a Xen host as a vif like any guest's: its front end is this kernel's xen-netfront, its
 * back end ours. Frames move between a guest's pages and the kernel's own by grant copies, where a tap copies each byte
 * once more, into a packet's new pages and out of a packet's; small frames cost more than through a tap.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { XenbusStateInitialising } from '../abi/xenbus.js';
import type { VifView } from '../netif/vif_connector.js';
import { SetupError } from '../sys/errors.js';
import { addressAdd, linkInfo, linkSet } from '../sys/netlink.js';
import { type XenStore, XsError } from '../xen/xenstore.js';
import type { HostPlace } from './host_port.js';
import type { HostOptions } from './options.js';

const DRIVER = '/sys/bus/xen/drivers/vif';
const DEVICES = '/sys/bus/xen/devices';
/** Node of the back end's directory that says which host port of ours the vif is: a killed daemon leaves it behind. */
const MARK = 'netferry-host';
/** ms that the kernel may take to connect, and to let go. */
const PATIENCE = 20_000;
const POLL = 20;

export interface HostDomain {
  /** This domain's, which owns both ends. */
  readonly store: XenStore;
  readonly domid: number;
  readonly home: string;
  /** What our back end knows of vif `handle` of this domain. */
  vif(handle: number): Pick<VifView, 'phase' | 'reason'> | undefined;
}

export class HostNetfront implements HostPlace {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  /** Its bytes take no calls of the tap's. */
  readonly io = 'plain';
  readonly #domain: HostDomain;
  #handle = -1;

  constructor(domain: HostDomain, options: HostOptions, mac: string) {
    this.#domain = domain;
    this.name = options.name;
    this.addresses = options.addresses;
    this.mtu = options.mtu;
    this.mac = mac;
  }

  /** Makes the vif, and its interface what it is to be. Our back end serves vifs already. Throws SetupError; nothing is left then. */
  async open(): Promise<void> {
    if (!exists(DRIVER))
      throw new SetupError(
        `${this.name}: this kernel has no xen-netfront`,
        'modprobe xen-netfront; or --host-driver tap',
      );
    await this.#sweep();
    if (linkInfo(this.name))
      throw new SetupError(
        `interface ${this.name} exists`,
        'another daemon runs, or choose another --host-name',
      );
    this.#handle = await this.#freeHandle();
    try {
      await this.#write();
      const made = await this.#connected();
      linkSet(made, { up: false }); // somebody may have taken it for a new network card
      linkSet(made, { name: this.name });
      linkSet(this.name, { mtu: this.mtu });
      linkSet(this.name, { up: true });
      for (const address of this.addresses) addressAdd(this.name, address);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#handle < 0) return;
    const handle = this.#handle;
    this.#handle = -1;
    await this.#remove(handle);
  }

  /** What killed daemons left. */
  async #sweep(): Promise<void> {
    const { store, home, domid } = this.#domain;
    const handles = await store.directory(`${home}/backend/vif/${domid}`).catch(none);
    for (const handle of handles)
      if ((await store.tryRead(`${this.#back(handle)}/${MARK}`)) === this.name)
        await this.#remove(Number(handle));
  }

  /** A number that no vif of this domain has. */
  async #freeHandle(): Promise<number> {
    const { store, home, domid } = this.#domain;
    const taken = [
      ...(await store.directory(`${home}/device/vif`).catch(none)),
      ...(await store.directory(`${home}/backend/vif/${domid}`).catch(none)),
    ];
    let handle = 0;
    while (taken.includes(String(handle))) handle++;
    return handle;
  }

  /** All nodes at once, as a toolstack does it: the kernel looks as soon as there is one. */
  async #write(): Promise<void> {
    const { store, domid } = this.#domain;
    const [front, back] = [this.#front(this.#handle), this.#back(this.#handle)];
    const common = { mac: this.mac, handle: this.#handle, state: XenbusStateInitialising };
    const ends = {
      [back]: {
        ...common,
        ...{ frontend: front, 'frontend-id': domid, online: 1, type: 'vif', script: '/bin/true' },
        ...{ vifname: this.name, mtu: this.mtu, transfer: 'grant-copy', [MARK]: this.name },
      },
      [front]: { ...common, backend: back, 'backend-id': domid, mtu: this.mtu, trusted: 1 },
    };
    try {
      await store.transaction(async (tx) => {
        for (const [path, nodes] of Object.entries(ends))
          for (const [key, value] of Object.entries(nodes))
            await store.write(`${path}/${key}`, String(value), tx);
      });
    } catch (error) {
      if (!(error instanceof XsError)) throw error;
      const hint = 'only dom0 may give itself a vif; elsewhere --host-driver tap';
      throw new SetupError(`${this.name}: ${error.message}`, hint, { cause: error });
    }
  }

  /** The interface that the kernel has made for it, once it is connected. */
  async #connected(): Promise<string> {
    for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; await sleep(POLL)) {
      const { phase, reason } = this.#domain.vif(this.#handle) ?? {};
      if (phase === 'foreign' || phase === 'fenced')
        throw new SetupError(`${this.name}: ${reason ?? phase}`, '--host-driver tap needs no vif');
      const [made] = interfacesOf(this.#handle);
      if (made !== undefined && phase === 'connected') return made;
    }
    throw new SetupError(
      `${this.name}: this kernel’s netfront did not connect in ${PATIENCE / 1000} s`,
      'dmesg may say why; --host-driver tap needs no vif',
    );
  }

  /** The kernel takes the interface away when the nodes are gone, and that a while after the device is off its bus. */
  async #remove(handle: number): Promise<void> {
    const { store } = this.#domain;
    const interfaces = interfacesOf(handle);
    await store.transaction(async (tx) => {
      for (const path of [this.#front(handle), this.#back(handle)])
        if ((await store.tryRead(path, tx)) !== undefined) await store.rm(path, tx);
    });
    for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; await sleep(POLL))
      if (!exists(`${DEVICES}/vif-${handle}`) && !interfaces.some((name) => linkInfo(name))) return;
    throw new SetupError(`${this.name}: the kernel does not let go of vif-${handle}`, 'dmesg may say why');
  }

  #front(handle: number | string): string {
    return `${this.#domain.home}/device/vif/${handle}`;
  }

  #back(handle: number | string): string {
    return `${this.#domain.home}/backend/vif/${this.#domain.domid}/${handle}`;
  }
}

/** Names of the interfaces of this domain's vif. */
function interfacesOf(handle: number): string[] {
  try {
    return readdirSync(`${DEVICES}/vif-${handle}/net`);
  } catch {
    return []; // not yet
  }
}

function exists(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Of a directory that is not there. */
function none(error: unknown): string[] {
  if (error instanceof XsError && error.code === 'ENOENT') return [];
  throw error;
}
