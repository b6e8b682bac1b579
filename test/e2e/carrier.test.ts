/** A guest's cable, pulled and put in again: its eth0 has no carrier, nothing passes, and its connections live on. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { lacking, until } from './support/place.js';

const skip = lacking('ping', 'unshare', 'nsenter', 'ip');

describe('carrier', { skip }, () => {
  let ferry: Ferry;
  let guest: Guest;
  let other: Guest;
  before(async () => {
    ferry = await Ferry.start();
    guest = await ferry.guest('web', '--queues', '2');
    other = await ferry.guest('other');
  });
  after(() => ferry?.stop());

  const row = async () => {
    const vif = (await ferry.client.vifs()).find(({ name }) => name === 'web/0') ?? assert.fail();
    return { carrier: vif.carrier, reason: vif.reason, state: vif.state };
  };
  const hasCarrier = async () => !/NO-CARRIER/.test(await guest.run('ip link show eth0'));
  const ping = (to: string) => guest.run(`ping -n -q -c 2 -i 0.05 -W 1 ${to} || :`);

  test('up: frames pass', async () => {
    assert.deepEqual(await row(), { carrier: true, reason: null, state: 'connected' });
    assert.equal(await hasCarrier(), true);
    assert.match(await ping(HOST.v4), /2 received/);
  });

  test('down: the guest sees it, nobody reaches it, others go on', async () => {
    assert.equal(await ferry.cli('vif', 'link', 'web/0', 'down'), 'web/0: its link is down\n');
    await until('eth0 has no carrier', async () => !(await hasCarrier()));
    assert.deepEqual(await row(), { carrier: false, reason: 'its link is down', state: 'connected' });
    assert.doesNotMatch(await ping(HOST.v4), /[12] received/);
    assert.match(await other.run(`ping -n -q -c 2 -i 0.05 -W 1 ${guest.v4} || :`), /0 received/);
    assert.match(await other.run(`ping -n -q -c 2 -i 0.05 ${HOST.v4}`), /2 received/);
    assert.match(await ferry.cli('vif', 'list'), /web\/0 .* no carrier: its link is down/);
  });

  test('up again', async () => {
    await ferry.cli('vif', 'link', 'web/0', 'up');
    await until('eth0 has its carrier', hasCarrier);
    await until('it is connected', async () => (await row()).carrier);
    await guest.run('ip neigh flush all'); // a question from before that is not given up yet would take pings down with it
    assert.match(await ping(HOST.v4), /2 received/);
    assert.match(await other.run(`ping -n -q -c 2 -i 0.05 ${guest.v6}`), /2 received/);
  });

  test('nobody of that name, and the host’s own port', async () => {
    for (const name of ['web/1', 'nf0'])
      await assert.rejects(ferry.client.setLink(name, { up: false }), /no guest’s vif is called/);
  });
});
