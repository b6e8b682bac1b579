/** A vif's link: an admin's cable, the node that tells front ends, and a MAC that somebody else still has. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Frontend } from '../../src/netif/frontend.js';
import { VifWorld } from '../support/vif_world.js';

let world: VifWorld;
beforeEach(() => {
  world = new VifWorld();
});
afterEach(() => world.close());

const view = () => world.driver.viewOf(7, 0) ?? assert.fail();

describe('the link', () => {
  test('is up, and told to front ends that look, from the offer on', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    assert.equal(await world.read('carrier'), '1');
    assert.equal(view().carrier, false, 'nobody is connected');
    await world.connect();
    await world.reaches(4);
    assert.deepEqual([view().carrier, view().reason], [true, null]);
  });

  test('an admin pulls the cable and puts it in again', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    assert.equal(await world.driver.setLink(7, 0, false), true);
    await world.until(() => !view().carrier, 'no carrier');
    await world.until(() => view().reason === 'its link is down', 'the reason');
    assert.equal(await world.read('carrier'), '0');
    assert.equal(await world.read('state'), '4', 'the front end stays connected');
    assert.equal(world.connector.vifs.get('7/0')?.vif.config.link, false);
    await world.driver.setLink(7, 0, true);
    await world.until(() => view().carrier && view().reason === null, 'carrier');
    assert.equal(await world.read('carrier'), '1');
    assert.deepEqual(world.connector.calls, [
      'connect web/0',
      'disconnect web/0',
      'resume web/0',
      'disconnect web/0',
      'resume web/0',
    ]);
    assert.equal(await world.driver.setLink(7, 1, true), false, 'no such vif');
  });

  test('it is down still for a daemon that starts anew, and for a guest that does', async () => {
    await world.start();
    await world.add({ link: 'down' });
    await world.reaches(2);
    assert.equal(await world.read('carrier'), '0');
    await world.connect();
    await world.reaches(4);
    assert.equal(view().carrier, false);
    await world.driver.close('keep');
    await world.start();
    await world.until(() => world.driver.viewOf(7, 0)?.phase === 'connected', 'it goes on');
    assert.deepEqual([view().carrier, view().reason], [false, 'its link is down']);
    await world.setFront(1);
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    assert.equal(view().carrier, false);
  });

  test('nonsense is refused, and the link stays as it was', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    await world.setBack('link', 'sideways');
    await world.until(async () => (await world.error()) !== undefined, 'an error node');
    assert.match((await world.error()) ?? '', /link = "sideways": must be up or down/);
    assert.equal(view().carrier, true);
    await world.setBack('link', 'up');
    await world.until(async () => (await world.error()) === undefined, 'it is mended');
  });

  test('our own front end follows it', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.store.write(`${world.front()}/mac`, '00:16:3e:00:00:07');
    const guest = world.xenstored.connect(0);
    const frontend = new Frontend(guest, world.front());
    await frontend.discover();
    const seen: boolean[] = [];
    await frontend.watchLink((up) => seen.push(up));
    await world.until(() => seen.length === 1, 'at once');
    await world.driver.setLink(7, 0, false);
    await world.until(() => seen.length === 2, 'down');
    await world.driver.setLink(7, 0, true);
    await world.until(() => seen.length === 3, 'up');
    assert.deepEqual(seen, [true, false, true]);
    await world.store.rm(`${world.back()}/carrier`);
    await world.settle();
    assert.equal(seen.length, 3, 'where nothing is said it is up');
    guest.close();
  });
});

describe('a MAC that somebody else has', () => {
  const MAC = '00:16:3e:00:00:07';

  test('the vif of a guest that migrates here waits until its last one is gone', async () => {
    await world.start();
    world.connector.taken.set(MAC, 'web/0 (vif 6/0)');
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.until(() => view().reason === `MAC ${MAC} is web/0 (vif 6/0)'s`, 'it waits');
    assert.equal(await world.read('state'), '2', 'it does not close');
    assert.match((await world.error()) ?? '', /is web\/0 \(vif 6\/0\)'s/);
    world.connector.taken.clear();
    await world.reaches(4);
    assert.equal(await world.error(), undefined);
    assert.deepEqual(world.connector.calls, ['connect web/0']);
    assert.equal(world.log.filter((line) => line.includes(MAC)).length, 1, 'said once');
  });

  test('so does one that was served before', async () => {
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    await world.driver.close('keep');
    world.connector.taken.set(MAC, 'the host');
    await world.start();
    await world.until(() => world.driver.viewOf(7, 0)?.reason === `MAC ${MAC} is the host's`, 'it waits');
    assert.equal(await world.read('state'), '4');
    world.connector.taken.clear();
    await world.until(() => world.driver.viewOf(7, 0)?.phase === 'connected', 'it goes on');
    assert.deepEqual(world.connector.calls, ['connect web/0', 'disconnect web/0', 'resume web/0']);
  });

  test('and its guest may leave meanwhile', async () => {
    await world.start();
    world.connector.taken.set(MAC, 'the host');
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.until(() => view().reason !== null, 'it waits');
    await world.setFront(5);
    await world.reaches(5);
    await world.setFront(6);
    await world.reaches(6);
    world.connector.taken.clear();
    await world.settle();
    assert.deepEqual(world.connector.calls, []);
  });
});
