/** The handshake's newer keys, over a real xenstore in this process: control ring, multicast control, and without them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeVifNodes } from '../../src/daemon/vif_nodes.js';
import { NetbackDriver } from '../../src/netif/backend.js';
import { Frontend, type FrontendOffer } from '../../src/netif/frontend.js';
import type { FrontendKeys, FrontendSettings } from '../../src/netif/frontend_keys.js';
import type { VifConnector } from '../../src/netif/vif_connector.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';

const RINGS: FrontendOffer = { queues: [{ txRef: 9, rxRef: 10, eventPorts: [1, 2] }] };

class Recorder implements VifConnector {
  readonly keys: FrontendKeys[] = [];
  readonly switched: boolean[] = [];
  disconnects = 0;
  async connect(_vif: unknown, keys: FrontendKeys): Promise<void> {
    this.keys.push(keys);
  }
  async disconnect(): Promise<void> {
    this.disconnects++;
  }
  changed(_vif: unknown, { multicastControl }: FrontendSettings): void {
    this.switched.push(multicastControl);
  }
}

async function setUp() {
  const xenstored = new Xenstored({}, { log: () => {} });
  const connector = new Recorder();
  const warnings: string[] = [];
  const store = xenstored.connect(0);
  const driver = new NetbackDriver(store, connector, { info: () => {}, warn: (line) => warnings.push(line) });
  await driver.start();
  const vif = { name: 'guest', domid: 7, mac: '02:00:00:00:00:07', mtu: 1500 };
  await writeVifNodes(store, vif);
  xenstored.introduce(7);
  const guest = xenstored.connect(7);
  const frontend = new Frontend(guest);
  const close = async () => {
    await driver.close('keep');
    await xenstored.close();
  };
  return { connector, driver, guest, frontend, warnings, close };
}

async function until(good: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !good(); i++) await new Promise((go) => setTimeout(go, 5));
  assert.ok(good());
}

describe('handshake', () => {
  test('a control ring is offered, asked for, and connected', async () => {
    const { connector, frontend, close } = await setUp();
    const offer = await frontend.discover();
    assert.deepEqual([offer.control, offer.multicast, offer.split], [true, true, true]);
    await frontend.connect({ ...RINGS, control: { ref: 11, eventPort: 3 }, multicastControl: true });
    const [keys] = connector.keys;
    assert.deepEqual(keys.control, { ref: 11, eventPort: 3 });
    assert.equal(keys.settings.multicastControl, true);
    assert.deepEqual(keys.queues[0].eventPorts, [1, 2]);
    await close();
  });

  test('a front end that knows nothing of it', async () => {
    const { connector, frontend, close } = await setUp();
    await frontend.discover();
    await frontend.connect(RINGS);
    assert.deepEqual(
      [connector.keys[0].control, connector.keys[0].settings.multicastControl],
      [undefined, false],
    );
    assert.deepEqual(connector.switched, []);
    await close();
  });

  test('request-multicast-control is watched while connected; what is no number is a no', async () => {
    const { connector, frontend, guest, close } = await setUp();
    await frontend.discover();
    await frontend.connect(RINGS);
    for (const [value, expected] of [
      ['1', [true]],
      ['1', [true]],
      ['0', [true, false]],
      ['7', [true, false, true]],
      ['yes', [true, false, true, false]],
      ['1', [true, false, true, false, true]],
    ] as const) {
      await guest.write('device/vif/0/request-multicast-control', value);
      await until(() => connector.switched.length === expected.length);
      await new Promise((go) => setTimeout(go, 20));
      assert.deepEqual(connector.switched, expected, value);
    }
    await guest.rm('device/vif/0/request-multicast-control');
    await until(() => connector.switched.length === 6);
    assert.equal(connector.switched[5], false);
    await frontend.close();
    await guest.write('device/vif/0/request-multicast-control', '1');
    await new Promise((go) => setTimeout(go, 50));
    assert.equal(connector.switched.length, 6, 'nothing is switched of a vif that has closed');
    await close();
  });

  test('a flood of changes folds (XSA-349)', async () => {
    const { connector, frontend, guest, close } = await setUp();
    await frontend.discover();
    await frontend.connect(RINGS);
    for (let i = 0; i < 500; i++) await guest.write('device/vif/0/request-multicast-control', String(i % 2));
    await guest.write('device/vif/0/request-multicast-control', '1');
    await until(() => connector.switched.at(-1) === true);
    assert.ok(connector.switched.length <= 501);
    for (const [i, on] of connector.switched.entries()) assert.equal(on, i % 2 === 0, 'each is a change');
    await close();
  });

  test('half a control ring, or one that makes no sense, and the vif says which key', async () => {
    for (const [key, value, message] of [
      ['event-channel-ctrl', '', /event-channel-ctrl is missing/],
      ['event-channel-ctrl', 'x', /event-channel-ctrl = "x"/],
      ['ctrl-ring-ref', '-1', /ctrl-ring-ref = "-1"/],
      ['ctrl-ring-ref', '99999999999', /ctrl-ring-ref/],
      ['request-multicast-control', 'maybe', /request-multicast-control = "maybe"/],
    ] as const) {
      const { connector, frontend, guest, warnings, driver, close } = await setUp();
      await frontend.discover();
      await guest.write('device/vif/0/ctrl-ring-ref', '11');
      if (key !== 'event-channel-ctrl') await guest.write('device/vif/0/event-channel-ctrl', '3');
      if (value !== '') await guest.write(`device/vif/0/${key}`, value);
      await assert.rejects(frontend.connect(RINGS), /refused the connection/);
      assert.equal(connector.keys.length, 0);
      assert.match(warnings.join(), message);
      assert.match(driver.viewOf(7, 0)?.reason ?? '', message);
      await close();
    }
  });
});
