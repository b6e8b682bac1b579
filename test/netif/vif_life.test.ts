/** Vifs of any toolstack: made, served, closed, removed, made again; and nodes that make no sense. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { VifWorld } from '../support/vif_world.js';

let world: VifWorld;

beforeEach(() => {
  world = new VifWorld();
});

afterEach(() => world.close());

describe('a vif', () => {
  test('from libxl’s nodes to Connected, and to its removal', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    assert.equal(await world.read('hotplug-status'), 'connected');
    assert.equal(await world.read('feature-sg'), '1');
    await world.connect();
    await world.reaches(4);
    const [view] = world.driver.vifs;
    assert.deepEqual(
      [view.name, view.guest, view.domid, view.handle, view.phase, view.reason],
      ['web/0', 'web', 7, 0, 'connected', null],
    );
    // xl network-detach: libxl writes both in one transaction, and waits for Closed.
    await world.store.transaction(async (tx) => {
      await world.store.write(`${world.back()}/online`, '0', tx);
      await world.store.write(`${world.back()}/state`, '5', tx);
    });
    await world.reaches(6);
    assert.deepEqual(world.connector.calls, ['connect web/0', 'disconnect web/0']);
    await world.store.rm(world.back());
    await world.until(() => world.driver.vifs.length === 0, 'it is forgotten');
    assert.match(world.log.join('\n'), /vif web\/0: bridge xenbr0 is not used/);
  });

  test('those that were there before it was started, and those whose nodes come one by one', async () => {
    await world.add({}, 7, 0);
    await world.add({ vifname: 'lan' }, 7, 1);
    await world.start();
    await world.reaches(2, 7, 0);
    await world.reaches(2, 7, 1);
    const nodes = { state: '1', online: '1', 'frontend-id': '9', mac: '00:16:3E:AA:bb:01' };
    await world.setFront(1, 9);
    for (const [key, value] of Object.entries(nodes)) {
      await world.setBack(key, value, 9);
      await world.settle();
      assert.equal(await world.read('state', 9), '1');
    }
    assert.equal(world.driver.vifs.find(({ domid }) => domid === 9)?.reason, 'waits for its frontend');
    await world.setBack('frontend', world.front(9), 9);
    await world.reaches(2, 9);
    await world.connect({}, 9);
    await world.reaches(4, 9);
    assert.equal(world.connector.vifs.get('9/0')?.vif.mac, '00:16:3e:aa:bb:01');
    assert.deepEqual(
      world.driver.vifs.map(({ name }) => name),
      ['web/0', 'lan', 'domain 9/0'],
    );
  });

  test('a script that writes hotplug-status itself changes nothing', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.setBack('hotplug-status', 'connected');
    await world.connect();
    await world.reaches(4);
    await world.settle();
    assert.deepEqual(world.connector.calls, ['connect web/0']);
  });

  test('a guest reboots, closes and comes back', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    for (let round = 0; round < 3; round++) {
      await world.connect();
      await world.reaches(4);
      await world.setFront(5);
      await world.reaches(5);
      await world.setFront(6);
      await world.reaches(6);
      await world.setFront(1);
      await world.reaches(2);
    }
    await world.connect();
    await world.reaches(4);
    // A resumed or crashed kernel that begins anew without closing (kexec, a slow resume).
    await world.setFront(1);
    await world.reaches(2);
    await world.connect({ 'tx-ring-ref': '77' });
    await world.reaches(4);
    assert.equal(world.connector.vifs.get('7/0')?.keys.queues[0].txRef, 77);
    // xl destroy: the front end's nodes are gone first.
    await world.store.rm('/local/domain/7');
    await world.reaches(6);
    assert.equal(world.connector.vifs.size, 0);
  });

  test('a guest that does nothing but connect, well or badly, does it a few times a second (XSA-349)', async () => {
    await world.start();
    await world.add();
    let asked = 0;
    const end = Date.now() + 1100;
    while (Date.now() < end) {
      await world.reaches(2);
      await world.connect(asked % 2 === 0 ? {} : { 'tx-ring-ref': `no-${asked}` });
      await world.until(async () => (await world.read('state')) !== '2', 'it looks');
      asked++;
      await world.setFront(6);
      await world.until(async () => (await world.read('state')) === '6', 'closed');
      await world.setFront(1);
    }
    assert.ok(asked >= 4 && asked <= 7, `${asked} times`);
    assert.ok(world.log.length <= 20, `${world.log.length} lines`);
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
  });

  test('a device of the same number, made anew between two looks', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    await world.store.transaction(async (tx) => {
      await world.store.rm(world.back(), tx);
      await world.store.rm(world.front(), tx);
    });
    await world.add({ mac: '00:16:3e:99:99:99' });
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    assert.equal(world.connector.vifs.get('7/0')?.vif.mac, '00:16:3e:99:99:99');
    assert.deepEqual(world.connector.calls, ['connect web/0', 'disconnect web/0', 'connect web/0']);
  });

  test('attached and detached fifty times', async () => {
    await world.start();
    for (let round = 0; round < 50; round++) {
      await world.add({}, 7, 3);
      await world.reaches(2, 7, 3);
      await world.connect({}, 7, 3);
      await world.reaches(4, 7, 3);
      await world.setBack('online', '0', 7, 3);
      await world.setBack('state', '5', 7, 3);
      await world.reaches(6, 7, 3);
      await world.store.rm(world.back(7, 3));
      await world.store.rm(world.front(7, 3));
    }
    await world.until(() => world.driver.vifs.length === 0, 'nothing is left');
    assert.equal(world.connector.calls.length, 100);
  });

  test('a front end stuck in Closing can be removed all the same', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    await world.setFront(5);
    await world.reaches(5);
    await world.setBack('online', '0');
    await world.setBack('state', '5');
    await world.reaches(6);
  });

  test('XDP: the front end asks to be reconfigured, and is told that it was', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    await world.setFront(7);
    await world.reaches(8);
    assert.equal(world.driver.vifs[0].phase, 'connected');
    await world.setFront(4);
    await world.reaches(4);
    assert.deepEqual(
      world.connector.calls.filter((call) => call.startsWith('connect')),
      ['connect web/0'],
    );
  });

  test('the MTU of the network is told to front ends of vifs that have none of their own', async () => {
    await world.start({ mtu: () => 9000 });
    await world.add();
    await world.add({ mtu: '1400' }, 8);
    await world.reaches(2);
    await world.reaches(2, 8);
    assert.equal(await world.store.read(`${world.front()}/mtu`), '9000');
    assert.equal(await world.store.read(`${world.front(8)}/mtu`), '1400');
    assert.deepEqual(
      world.driver.vifs.map(({ mtu }) => mtu),
      [9000, 1400],
    );
    await world.setBack('mtu', '1300', 8);
    await world.until(async () => (await world.store.read(`${world.front(8)}/mtu`)) === '1300', 'told again');
  });
});

describe('nodes of the toolstack', () => {
  test('what they say reaches the datapath', async () => {
    await world.start();
    await world.add({
      rate: '500000,50000',
      ip: '10.0.0.2  fd00::2 10.1.0.0/16',
      vifname: 'web-lan',
      mtu: '1400',
    });
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    const { config, name } = world.connector.vifs.get('7/0')?.vif ?? assert.fail();
    assert.deepEqual(config.rate, { bytes: 500_000, interval: 50_000 });
    assert.deepEqual(config.addresses, ['10.0.0.2', 'fd00::2', '10.1.0.0/16']);
    assert.deepEqual([name, config.mtu], ['web-lan', 1400]);
  });

  test('nonsense: the vif waits with an error node that names the key and the value, until it is mended', async () => {
    const rows: [key: string, bad: string, good: string][] = [
      ['mac', '00:16:3e:00:00', '00:16:3e:00:00:01'],
      ['mac', '00:16:3e:00:00:zz', '00:16:3e:00:00:01'],
      ['mac', '01:16:3e:00:00:01', '00:16:3e:00:00:01'],
      ['mac', '00:00:00:00:00:00', '00:16:3e:00:00:01'],
      ['rate', '', '1,1'],
      ['rate', 'fast', '1,1'],
      ['rate', '1000', '1000,1000'],
      ['rate', '-5,1000', '5,1000'],
      ['rate', '1000,0', '1000,1'],
      ['rate', '1000,5000000000', '1000,5'],
      ['mtu', '0', '68'],
      ['mtu', '-1', '1500'],
      ['mtu', '70000', '65521'],
      ['mtu', 'large', '1500'],
      ['ip', '10.0.0.256', '10.0.0.25'],
      ['ip', '10.0.0.1 10.0.0.2/33', '10.0.0.1 10.0.0.2/32'],
      ['ip', 'fe80::1%eth0', 'fe80::1'],
      ['ip', '10.0.0.1,10.0.0.2', '10.0.0.1 10.0.0.2'],
      ['vifname', 'a/b', 'ab'],
      ['vifname', 'sixteen-bytes-xx', 'fifteen-bytes-x'],
      ['transfer', 'flip', 'map'],
      ['frontend-id', '8', '7'],
      ['frontend', 'device/vif/0', world.front()],
    ];
    await world.start();
    await world.add({}, 3);
    await world.reaches(2, 3);
    await world.connect({}, 3);
    await world.reaches(4, 3);
    for (const [key, bad, good] of rows) {
      world.log.length = 0;
      await world.add({ [key]: bad });
      if (bad === '') await world.setBack(key, '');
      await world.until(async () => (await world.error()) !== undefined, `${key} = ${bad}: an error node`);
      const error = (await world.error()) ?? '';
      assert.ok(error.startsWith(`22 ${key} = "${bad}": `), error);
      await world.settle();
      assert.equal(await world.read('state'), '1', 'the guest waits');
      assert.equal(world.log.filter((line) => line.includes(`${key} = "${bad}"`)).length, 1, 'one line');
      assert.match(world.log.join(), /vif web\/0: /);
      assert.ok(world.driver.vifs.find(({ domid }) => domid === 7)?.reason?.startsWith(key));
      await world.setBack(key, good);
      await world.reaches(2);
      assert.equal(await world.error(), undefined, 'the error is taken back');
      await world.store.rm(world.back());
      await world.until(() => world.driver.vifs.length === 1, 'gone');
    }
    assert.equal(await world.read('state', 3), '4', 'the other vif goes on');
    assert.deepEqual(world.connector.calls, ['connect web/0']);
  });

  test('changed while it is connected: it is connected again with them, or goes on with the old ones', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    await world.setBack('rate', '1000,1000');
    await world.until(() => world.connector.calls.length === 3, 'again');
    assert.deepEqual(world.connector.calls, ['connect web/0', 'disconnect web/0', 'resume web/0']);
    await world.setBack('rate', 'fast');
    await world.until(async () => (await world.error()) !== undefined, 'an error');
    assert.deepEqual(world.connector.vifs.get('7/0')?.vif.config.rate, { bytes: 1000, interval: 1000 });
    assert.equal(await world.read('state'), '4');
    await world.setBack('rate', '2000,1000');
    await world.until(() => world.connector.calls.length === 5, 'again');
    assert.equal(await world.error(), undefined);
  });

  test('what is logged of a guest’s word is one line without control characters', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect({ 'tx-ring-ref': '1\n\x1b[2Jnetferry: all is well' });
    await world.reaches(5);
    assert.match(world.log.join('\0'), /tx-ring-ref = "1\?\?\[2Jnetferry: all is well"/);
    assert.ok(world.log.every((line) => !/\p{Cc}/u.test(line)));
  });

  test('two vifs: what one guest writes closes its own alone', async () => {
    const rows: [key: string, value: string][] = [
      ['multi-queue-num-queues', '0'],
      ['multi-queue-num-queues', '-1'],
      ['multi-queue-num-queues', '4294967296'],
      ['multi-queue-num-queues', 'many'],
      ['tx-ring-ref', '4294967296'],
      ['rx-ring-ref', '-1'],
      ['event-channel-tx', 'x'],
      ['request-rx-copy', '0'],
      ['state', 'x'],
      ['state', '9'],
    ];
    await world.start();
    await world.add({}, 3);
    await world.reaches(2, 3);
    await world.connect({}, 3);
    await world.reaches(4, 3);
    for (const [key, value] of rows) {
      await world.add();
      await world.reaches(2);
      await world.connect();
      await world.setFront(1); // whatever it had: begin anew, with the bad key
      await world.reaches(2);
      if (key === 'state') await world.setFront(value);
      else await world.connect({ [key]: value });
      await world.reaches(5);
      await world.until(
        async () => (await world.error())?.startsWith(`22 ${key} = "${value}"`) === true,
        key,
      );
      assert.match(world.log.join('\n'), new RegExp(`vif web/0: ${key} = "${value}"`));
      await world.store.rm(world.front());
      await world.store.rm(world.back());
      await world.store.rm('/local/domain/0/error');
      await world.until(() => world.driver.vifs.length === 1, 'gone');
    }
    assert.equal(await world.read('state', 3), '4');
    assert.equal(world.connector.vifs.size, 1);
  });
});
