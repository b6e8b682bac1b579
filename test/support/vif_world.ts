/** Vifs whose nodes a test writes by hand, as libxl and Linux netfront write them, and a datapath that only notes. */
import assert from 'node:assert/strict';
import { NetbackDriver } from '../../src/netif/backend.js';
import type { FrontendKeys, FrontendSettings } from '../../src/netif/frontend_keys.js';
import {
  type BackendOptions,
  NotYet,
  type VifConnector,
  type VifIdentity,
} from '../../src/netif/vif_connector.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import type { XenStore } from '../../src/xen/xenstore.js';

export class Recorder implements VifConnector {
  /** `connect web/0`, `resume web/0`, `disconnect web/0`, in order. */
  readonly calls: string[] = [];
  readonly vifs = new Map<string, { vif: VifIdentity; keys: FrontendKeys }>();
  /** By MAC: who has it, so that its vif has to wait. */
  readonly taken = new Map<string, string>();
  /** How often `connect` fails before it does not. */
  failures = 0;

  async connect(vif: VifIdentity, keys: FrontendKeys, resumed: boolean): Promise<void> {
    const holder = this.taken.get(vif.mac);
    if (holder !== undefined) throw new NotYet(`MAC ${vif.mac} is ${holder}'s`);
    if (this.failures-- > 0) throw new Error('event channel 1 of domain 7: already bound');
    this.calls.push(`${resumed ? 'resume' : 'connect'} ${vif.name}`);
    assert.ok(!this.vifs.has(`${vif.domid}/${vif.handle}`), 'connected once');
    this.vifs.set(`${vif.domid}/${vif.handle}`, { vif, keys });
  }
  async disconnect(vif: VifIdentity): Promise<void> {
    this.calls.push(`disconnect ${vif.name}`);
    assert.ok(this.vifs.delete(`${vif.domid}/${vif.handle}`), 'it was connected');
  }
  changed(vif: VifIdentity, settings: FrontendSettings): void {
    this.calls.push(`${JSON.stringify(settings)} ${vif.name}`);
  }
}

export const RINGS = {
  'tx-ring-ref': '9',
  'rx-ring-ref': '10',
  'event-channel-tx': '1',
  'event-channel-rx': '2',
  'request-rx-copy': '1',
  'feature-rx-notify': '1',
  'feature-sg': '1',
};

export class VifWorld {
  readonly xenstored = new Xenstored({}, { log: () => {} });
  /** Domain 0's tools. */
  readonly store: XenStore = this.xenstored.connect(0);
  readonly connector = new Recorder();
  readonly log: string[] = [];
  #driver: NetbackDriver | undefined;

  get driver(): NetbackDriver {
    assert.ok(this.#driver);
    return this.#driver;
  }

  /** A daemon starts. */
  async start(options: BackendOptions = {}, store = this.xenstored.connect(0)): Promise<NetbackDriver> {
    await this.store.write('/local/domain/0/domid', '0');
    const log = { info: (line: string) => this.log.push(line), warn: (line: string) => this.log.push(line) };
    this.#driver = new NetbackDriver(store, this.connector, log, { resume: true, ...options });
    await this.#driver.start();
    return this.#driver;
  }

  async close(): Promise<void> {
    await this.#driver?.close('keep');
    await this.xenstored.close();
  }

  back(domid = 7, handle = 0): string {
    return `/local/domain/0/backend/vif/${domid}/${handle}`;
  }

  front(domid = 7, handle = 0): string {
    return `/local/domain/${domid}/device/vif/${handle}`;
  }

  /** What libxl writes for a vif (libxl_nic.c), less or more `nodes` of the back end's; '' leaves one out. */
  async add(nodes: Record<string, string> = {}, domid = 7, handle = 0): Promise<void> {
    const back = {
      frontend: this.front(domid, handle),
      'frontend-id': String(domid),
      online: '1',
      state: '1',
      script: '/bin/true',
      mac: `00:16:3e:00:00:${domid.toString(16).padStart(2, '0')}`,
      bridge: 'xenbr0',
      handle: String(handle),
      type: 'vif',
      'hotplug-status': '',
      ...nodes,
    };
    const front = {
      backend: this.back(domid, handle),
      'backend-id': '0',
      state: '1',
      handle: String(handle),
    };
    await this.store.transaction(async (tx) => {
      await this.store.write(`/local/domain/${domid}/name`, 'web', tx);
      for (const [key, value] of Object.entries({ ...front, mtu: '1500', trusted: '1' }))
        await this.store.write(`${this.front(domid, handle)}/${key}`, value, tx);
      for (const [key, value] of Object.entries(back))
        if (value !== '' || key === 'hotplug-status')
          await this.store.write(`${this.back(domid, handle)}/${key}`, value, tx);
    });
  }

  /** What Linux netfront writes when it connects. */
  async connect(keys: Record<string, string> = {}, domid = 7, handle = 0): Promise<void> {
    await this.store.transaction(async (tx) => {
      for (const [key, value] of Object.entries({ ...RINGS, ...keys }))
        await this.store.write(`${this.front(domid, handle)}/${key}`, value, tx);
      await this.store.write(`${this.front(domid, handle)}/state`, '4', tx);
    });
  }

  async setFront(state: number | string, domid = 7, handle = 0): Promise<void> {
    await this.store.write(`${this.front(domid, handle)}/state`, String(state));
  }

  async setBack(key: string, value: string, domid = 7, handle = 0): Promise<void> {
    await this.store.write(`${this.back(domid, handle)}/${key}`, value);
  }

  read(key: string, domid = 7, handle = 0): Promise<string | undefined> {
    return this.store.tryRead(`${this.back(domid, handle)}/${key}`);
  }

  error(domid = 7, handle = 0): Promise<string | undefined> {
    return this.store.tryRead(`/local/domain/0/error/backend/vif/${domid}/${handle}/error`);
  }

  /** Waits until the back end's state is this. */
  async reaches(state: number, domid = 7, handle = 0): Promise<void> {
    await this.until(
      async () => (await this.read('state', domid, handle)) === String(state),
      `state ${state}`,
    );
  }

  async until(good: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (let i = 0; i < 4000; i++) {
      if (await good()) return;
      await new Promise((go) => setTimeout(go, 5));
    }
    assert.fail(`${what}; ${JSON.stringify(this.driver.vifs)}; ${this.log.join('\n')}`);
  }

  /** Long enough for everything that would happen. */
  async settle(): Promise<void> {
    await new Promise((go) => setTimeout(go, 40));
  }
}
