/**
 * One vif: the back end's half of the XenbusState handshake. Nothing here knows who made its nodes; what a guest writes
 * can only close its own vif. A vif that is met in mid-life (the daemon was restarted, or kernel netback let go of it)
 * goes on from the state that both ends have in xenstore.
 */
import { isDeepStrictEqual } from 'node:util';
import { QUEUES_MAX } from '../../assembly/netif_layout.js';
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateReconfigured,
  XenbusStateUnknown,
} from '../abi/xenbus.js';
import { FenceRest } from './fence_rest.js';
import { BadKey, type FrontendSettings, readFrontendKeys, readFrontendSettings } from './frontend_keys.js';
import { nextMove, phaseOf } from './handshake.js';
import { Steps } from './steps.js';
import { takeOver } from './take_over.js';
import type { Missing, VifConfig } from './vif_config.js';
import type { Backend, Ending, VifIdentity, VifPhase, VifView } from './vif_connector.js';
import { VifDirectory } from './vif_directory.js';

/** ms between looks at whether another driver, or another vif, has let go. */
const FOREIGN_POLL = 1000;
const NOT_YET_POLL = 250;
/** ms that a front end has to see that its vif closes. */
const CLOSE_PATIENCE = 2000;

/** Its steps run one after another; looks that come meanwhile fold into one. */
export class BackendVif {
  phase: VifPhase = 'initialising';
  reason: string | null = null;
  readonly #backend: Backend;
  readonly #domid: number;
  readonly #handle: number;
  readonly #gone: () => void;
  readonly #nodes: VifDirectory;
  #guest: string;
  #identity: VifIdentity | undefined;
  #mtu: number | undefined;
  #connected = false;
  #settings: FrontendSettings | undefined;
  /** As it stands in the store, as far as we know. */
  #state = XenbusStateUnknown;
  /** We have met its front end since we know of the vif. */
  #met = false;
  readonly #rest = new FenceRest();
  readonly #steps = new Steps(
    () => this.#look(),
    (error) => this.#fail(messageOf(error)),
  );
  /** The back end's own nodes may have changed. */
  #stale = true;
  /** They make no sense. */
  #misconfigured = false;
  #ended = false;

  /** `gone`: it has ended; who looks at it all the same looks for one that has taken its place. */
  constructor(backend: Backend, domid: number, handle: number, gone: () => void) {
    this.#backend = backend;
    this.#domid = domid;
    this.#handle = handle;
    this.#gone = gone;
    this.#guest = `domain ${domid}`;
    this.#nodes = new VifDirectory(backend.store, backend.home, domid, handle);
  }

  get view(): VifView {
    const { phase, reason } = this;
    const config = this.#identity?.config;
    const ids = { domid: this.#domid, handle: this.#handle, name: this.#name, guest: this.#guest };
    const carrier = phase === 'connected' && config?.link === true;
    return { ...ids, phase, reason, config, mtu: this.#mtu, carrier };
  }

  setLink(up: boolean): Promise<void> {
    return this.#nodes.writeLink(up);
  }

  /** `backend`: what changed may be one of the back end's nodes. */
  look(backend = false): void {
    this.#stale ||= backend;
    this.#steps.look();
  }

  fence(why: string): Promise<void> {
    return this.#steps.run(async () => {
      if (this.#ended || this.phase === 'fenced') return;
      this.#rest.begin();
      await this.#fail(`fenced: ${why}`);
      this.phase = 'fenced';
      this.reason = why;
    });
  }

  /** Rejects when the datapath may still use the domain's memory. */
  end(): Promise<void> {
    return this.#steps.runBare(async () => {
      this.#steps.close();
      await this.#stop();
      await this.#disconnect();
    });
  }

  close(ending: Ending): Promise<void> {
    return this.#steps.run(async () => {
      this.#steps.close();
      const identity = this.#ended || this.phase === 'foreign' ? undefined : this.#identity;
      const connected = this.#connected;
      await this.#stop();
      await this.#disconnect();
      if (ending === 'keep' || !identity) return;
      if (this.#state !== XenbusStateClosed) await this.#setState(XenbusStateClosing);
      if (connected) await this.#nodes.peerClosed(identity.config.frontend, CLOSE_PATIENCE);
      await this.#setState(XenbusStateClosed);
    });
  }

  async #look(): Promise<void> {
    if (this.#ended) return this.#gone();
    const holder = this.#backend.options.holderOf?.(this.#domid, this.#handle, this.#connected);
    if (holder !== undefined) return this.#leaveTo(holder);
    const found = await this.#nodes.state();
    if (found === undefined) return this.#vanished();
    if (this.phase === 'foreign') await this.#startOver();
    // Who makes a device writes Initialising: one of the same number has taken the place of ours.
    if (found === XenbusStateInitialising && this.#state > XenbusStateInitialising) await this.#startOver();
    if (this.#stale || !this.#identity) {
      this.#stale = false;
      if (!(await this.#configure(found))) return;
    }
    await this.#meet(this.#identity as VifIdentity, found);
  }

  async #meet(identity: VifIdentity, found: number): Promise<void> {
    const peer = await this.#nodes.peerState(identity.config.frontend);
    const offline = await this.#nodes.offline();
    const removing = offline && found === XenbusStateClosing;
    const first = !this.#met && this.#backend.options.resume === true;
    const ends = { peer, own: this.#state, removing, first, connected: this.#connected };
    this.#met = true;
    switch (nextMove(ends)) {
      case 'closing':
        await this.#disconnect();
        await this.#setState(XenbusStateClosing);
        if (offline) await this.#setState(XenbusStateClosed);
        break;
      case 'closed':
        // Gone with ours: between our two questions the store itself has changed.
        if ((await this.#nodes.state()) === undefined) return this.#vanished();
        await this.#disconnect();
        await this.#setState(XenbusStateClosed);
        break;
      case 'offer':
        await this.#offer();
        break;
      case 'connect':
        await this.#connect(false);
        break;
      case 'resume':
        await this.#connect(true);
        break;
      case 'reconfigure':
        await this.#follow(identity);
        await this.#setState(XenbusStateReconfigured);
        break;
      case 'follow':
        await this.#follow(identity);
        if (this.#state === XenbusStateReconfigured) await this.#setState(XenbusStateConnected);
        break;
      case 'nonsense':
        throw new BadKey('state', peer, 'is no XenbusState');
    }
  }

  /** A front end that starts anew, fenced before or not. */
  async #offer(): Promise<void> {
    if (this.#state === XenbusStateInitWait) return;
    await this.#disconnect();
    if (this.#rest.left > 0) return this.#steps.lookIn(this.#rest.left);
    this.reason = null;
    await this.#setState(XenbusStateInitWait);
  }

  /** What a connected front end may change. */
  async #follow(identity: VifIdentity): Promise<void> {
    const wanted = await readFrontendSettings(this.#backend.store, identity.config.frontend);
    if (isDeepStrictEqual(wanted, this.#settings)) return;
    this.#settings = wanted;
    this.#backend.connector.changed(identity, wanted);
  }

  /** Reads who this vif is, and what it may; false while the toolstack has not written all of it, or nonsense. */
  async #configure(found: number): Promise<boolean> {
    const known = this.#identity;
    this.#guest = (await this.#nodes.guestName()) ?? this.#guest;
    let config: VifConfig | Missing;
    try {
      config = await this.#nodes.config();
    } catch (error) {
      if (!(error instanceof BadKey)) throw error;
      // It is the toolstack's mistake: the guest waits until it is mended, or goes on with what it had.
      this.#misconfigured = true;
      await this.#report(error.message);
      if (!known) this.reason = error.message;
      return known !== undefined;
    }
    if ('missing' in config) {
      if (!known) this.reason = `waits for its ${config.missing}`;
      return known !== undefined;
    }
    if (this.#misconfigured) await this.#nodes.mended();
    this.#misconfigured = false;
    const name = config.vifname ?? `${this.#guest}/${this.#handle}`;
    this.#identity = { domid: this.#domid, handle: this.#handle, name, mac: config.mac, config };
    this.#mtu = config.mtu ?? this.#backend.options.mtu?.();
    if (this.#mtu !== undefined) await this.#nodes.tellMtu(config.frontend, this.#mtu);
    await this.#nodes.tellCarrier(config.link);
    if (!known) await this.#begin(found, config);
    else if (this.#connected && JSON.stringify(known.config) !== JSON.stringify(config)) {
      this.#backend.log.info(`vif ${this.#name}: its nodes changed, it is connected again`);
      await this.#disconnect(known);
      await this.#connect(true);
    }
    return true;
  }

  async #begin(found: number, config: VifConfig): Promise<void> {
    const { log, options } = this.#backend;
    this.#state = found;
    this.reason = null;
    if (config.bridge !== undefined)
      log.info(`vif ${this.#name}: bridge ${config.bridge} is not used, frames go by MAC`);
    await this.#nodes.offer(options.queues ?? 1);
    await this.#nodes.watch(config.frontend, () => this.look());
  }

  async #connect(resumed: boolean): Promise<void> {
    const identity = this.#identity as VifIdentity;
    const { store, options } = this.#backend;
    if (!resumed) this.#rest.connects();
    // A predecessor may have offered more.
    const most = resumed ? QUEUES_MAX : options.queues;
    const keys = await readFrontendKeys(store, identity.config.frontend, most);
    const busy = await takeOver(this.#backend.connector, identity, keys, resumed);
    if (busy !== undefined) return this.#wait(busy, resumed);
    this.#connected = true;
    this.reason = identity.config.link ? null : 'its link is down';
    this.#settings = keys.settings;
    await this.#nodes.mended();
    if (this.#state !== XenbusStateReconfigured) await this.#setState(XenbusStateConnected);
    this.phase = 'connected';
    const but = this.reason === null ? '' : `, but ${this.reason}`;
    this.#backend.log.info(`vif ${this.#name}: ${resumed ? 'goes on' : 'connected'}${but}`);
  }

  /** Its guest's frames stay in the rings meanwhile. */
  async #wait(why: string, resumed: boolean): Promise<void> {
    this.reason = why;
    if (resumed) this.#met = false;
    this.#steps.lookIn(NOT_YET_POLL);
    await this.#report(why);
  }

  async #disconnect(identity = this.#identity): Promise<void> {
    if (!this.#connected || !identity) return;
    await this.#backend.connector.disconnect(identity);
    this.#connected = false;
    this.#backend.log.info(`vif ${this.#name}: disconnected`);
  }

  /** Another driver has it: nothing of ours touches it until that lets go. */
  async #leaveTo(holder: string): Promise<void> {
    this.#steps.lookIn(FOREIGN_POLL);
    if (this.phase === 'foreign' && this.reason === holder) return;
    this.phase = 'foreign';
    this.reason = holder;
    await this.#disconnect();
    this.#guest = (await this.#nodes.guestName()) ?? this.#guest;
    this.#backend.log.warn(`vif ${this.#name}: ${holder}`);
  }

  /** Everything that is known of it is to be read again. */
  async #startOver(): Promise<void> {
    await this.#disconnect();
    await this.#nodes.unwatch();
    this.#identity = undefined;
    this.#state = XenbusStateUnknown;
    this.#met = false;
    this.phase = 'initialising';
  }

  async #vanished(): Promise<void> {
    // A xenstored that was started anew has lost everything; the guest has not, and its frames go on.
    if (this.#connected && !(await this.#nodes.storeIsWhole())) {
      if (this.reason === null)
        this.#backend.log.warn(`vif ${this.#name}: xenstore has lost it; it goes on as it is`);
      this.reason = 'xenstore has lost its nodes';
      return;
    }
    await this.#stop();
    await this.#disconnect();
    this.#gone();
  }

  async #stop(): Promise<void> {
    this.#ended = true;
    this.#steps.cancel();
    await this.#nodes.unwatch();
  }

  /** xenbus_dev_fatal: the error is written where toolstacks look for it, and the vif closes. */
  async #fail(why: string): Promise<void> {
    await this.#disconnect().catch((error: unknown) => this.#backend.log.warn(messageOf(error)));
    if (this.phase === 'foreign') return;
    this.reason = why;
    await this.#report(why);
    await this.#setState(XenbusStateClosing).catch(() => {});
  }

  async #report(why: string): Promise<void> {
    if (await this.#nodes.report(why)) this.#backend.log.warn(`vif ${this.#name}: ${why}`);
  }

  async #setState(state: number): Promise<void> {
    if (this.#state === state) return;
    this.#state = state;
    this.phase = phaseOf(state);
    await this.#nodes.writeState(state);
  }

  get #name(): string {
    return this.#identity?.name ?? `${this.#guest}/${this.#handle}`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
