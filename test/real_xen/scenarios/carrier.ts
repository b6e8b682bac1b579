import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { addressesOf, HOST, HOST_ARGS, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import { joinOwnVif, makeOwnVif, ownMac } from '../dom0/own_vif.js';
import { until } from '../dom0/place.js';
import { startStream } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 4_000_037;
const NETFERRY = 'node /netferry/bin/netferry.js';
const { v4: OWN } = addressesOf(90);

export const scenario: Scenario = {
  about:
    'carrier: a pulled cable, a guest that takes no frames, an uplink that is down; what guests see and what `vif list` says',
  seconds: 400,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const wire = await lab.namespace('wire');
    await dom0.ok('ip link add up0 type veth peer name wire0 netns wire && ip link set up0 up');
    await wire.ok('ip link set wire0 up');
    const args = [...HOST_ARGS, '--uplink', 'up0', '--transfer', 'grant-copy'];
    let daemon = await lab.netferry({ args });
    const network = netferryNetwork(daemon);
    const guest = await lab.guestOn(network, 1);
    const row = async (mac: string) => (await daemon.vifs()).find((vif) => vif.mac === mac) ?? assert.fail();
    const { mac } = (await daemon.vifs()).find(({ domid }) => domid === guest.domid) ?? assert.fail();
    const carrier = async () => {
      const { carrier, reason } = await row(mac);
      return [carrier, reason];
    };
    const node = async () => (await dom0.ok(`xenstore-read ${guest.backend()}/carrier`)).trim();
    assert.deepEqual([await carrier(), await node()], [[true, null], '1']);

    lab.step('the cable is pulled in mid-transfer, and the daemon killed meanwhile');
    const stream = await startStream(guest, dom0, {
      address: HOST.v4,
      bytes: BYTES,
      seconds: 200,
      slow: true,
    });
    await until('it flows', async () => (await stream.arrived()) > 0);
    await dom0.ok(`${NETFERRY} vif link g1/0 down`);
    await until('no carrier', async () => !(await row(mac)).carrier);
    assert.deepEqual([await carrier(), await node()], [[false, 'its link is down'], '0']);
    const before = await stream.arrived();
    assert.ok(before < BYTES, 'in mid-transfer');
    await sleep(3000);
    assert.equal(await stream.arrived(), before, 'nothing is carried');
    assert.match(await dom0.ok(`${NETFERRY} vif list`), /g1\/0 .* no carrier: its link is down/);
    assert.doesNotMatch((await dom0.run(`ping -c 2 -W 1 ${addressesOf(1).v4}`)).stdout, / [12] received/);
    await daemon.kill9();
    daemon = await lab.netferry({ args });
    await until('it goes on', async () =>
      (await daemon.vifs()).some((vif) => vif.mac === mac && vif.state === 'connected'),
    );
    assert.deepEqual(await carrier(), [false, 'its link is down'], 'for the next daemon, too');
    await dom0.ok(`${NETFERRY} vif link g1/0 up`);
    await stream.finish();
    assert.deepEqual([await carrier(), await node()], [[true, null], '1']);

    lab.step('the uplink loses its carrier: it is the uplink’s own affair');
    await wire.ok('ip link set wire0 down');
    assert.equal((await daemon.status()).uplink?.carrier, false);
    assert.match(await dom0.ok(`${NETFERRY} status`), /up0 .* no carrier/);
    assert.deepEqual([await carrier(), await node()], [[true, null], '1']);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    await wire.ok('ip link set wire0 up');
    assert.equal((await daemon.status()).uplink?.carrier, true);

    lab.step('a guest that takes none of its frames');
    await dom0.ok('xl pause g1');
    await dom0.run(`ping -q -f -c 600 -s 1000 -W 1 ${addressesOf(1).v4}`);
    const [taken, why] = await carrier();
    assert.equal(taken, false);
    assert.match(String(why), /receive ring is full/);
    await dom0.ok('xl unpause g1');
    await until('it takes them again', async () => (await row(mac)).carrier);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 -W 10 ${HOST.v4}`), / 3 received/);

    lab.step('our own front end sees it');
    await dom0.ok('echo 4096 >/sys/module/xen_gntalloc/parameters/limit');
    const space = await lab.namespace('front');
    await makeOwnVif(lab, network);
    const joined = await joinOwnVif(lab, space, OWN);
    const link = async () => (await space.ok('cat /sys/class/net/eth0/carrier')).trim();
    assert.equal(await link(), '1');
    const { name } = await row(ownMac(0));
    await dom0.ok(`${NETFERRY} vif link ${name} down`);
    await until('eth0 has no carrier', async () => (await link()) === '0');
    await dom0.ok(`${NETFERRY} vif link ${name} up`);
    await until('eth0 has its carrier', async () => (await link()) === '1');
    assert.match(await space.ok(`ping -c 3 -i 0.3 -W 10 ${HOST.v4}`), / 3 received/);
    assert.equal(await joined.leave(), 0);
  },
};
