/** Multicast control as a toolstack or a guest switches it, by xenstore, on a guest that runs. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ferry, type Guest } from './support/ferry.js';
import { lacking, until } from './support/place.js';

describe('request-multicast-control', {
  skip: lacking('ping', 'xenstore-write', 'xenstore-rm', 'unshare', 'nsenter', 'ip'),
}, () => {
  let ferry: Ferry;
  let a: Guest;
  let b: Guest;
  before(async () => {
    ferry = await Ferry.start();
    a = await ferry.guest('a');
    b = await ferry.guest('b');
    await a.run(['ping', '-6', '-n', '-q', '-c', '1', '-W', '3', b.v6]); // neighbours are known from here on
  });
  after(() => ferry?.stop());

  const key = () => `/local/domain/${b.info.domid}/device/vif/0/request-multicast-control`;
  const refused = async () => (await ferry.vif(b)).counters.drops['group-not-listed'] ?? 0;
  /** Frames to a group that every host listens to. */
  const call = () => a.try(['ping', '-6', '-n', '-q', '-c', '3', '-i', '0.05', '-W', '1', 'ff02::1%eth0']);

  test('on: groups are dropped and counted, unicast and broadcast are not', async () => {
    await call();
    assert.equal(await refused(), 0);
    assert.equal(ferry.xenstore('write', key(), '1').code, 0);
    await until('groups are refused', async () => {
      await call();
      return (await refused()) >= 3;
    });
    await a.run(['ping', '-n', '-q', '-c', '1', '-W', '3', b.v4]);
    await a.run('ip neigh flush dev eth0');
    await a.run(['ping', '-n', '-q', '-c', '1', '-W', '3', b.v4]); // ARP is broadcast
  });

  test('off again, and taken away: all groups come', async () => {
    for (const off of [
      () => ferry.xenstore('write', key(), '0'),
      () => ferry.xenstore('write', key(), '1'),
      () => ferry.xenstore('rm', key()),
    ]) {
      assert.equal(off().code, 0);
      await new Promise((go) => setTimeout(go, 300));
    }
    const before = await refused();
    const frames = (await ferry.vif(b)).counters.out.frames;
    await call();
    assert.equal(await refused(), before);
    assert.ok((await ferry.vif(b)).counters.out.frames >= frames + 3);
  });
});
