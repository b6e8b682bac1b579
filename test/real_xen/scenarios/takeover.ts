import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Netferry } from '../dom0/netferry.js';
import { addressesOf, HOST, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import type { Scenario } from '../scenario.js';

const { v4 } = addressesOf(1);
const NETWORK = ['--no-host'];

/** Says of a vif what a hotplug script would: the kernel's netback waits for that. */
const scripted = (backend: string) => `xenstore-write ${backend}/hotplug-status connected`;

export const scenario: Scenario = {
  about: 'a live guest changes from the kernel’s netback to ours and back; neither fights over a vif',
  seconds: 400,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    await dom0.ok('modprobe xen-netback');
    let daemon = await lab.netferry({ args: NETWORK });
    const guest = await lab.guest({ name: 'g1' });
    const stranger = `vif${guest.domid}.0`;
    const backend = guest.backend();

    lab.step('the kernel has the vif');
    const rowOf = async (from: Netferry) =>
      (await from.vifs()).find(({ domid, kind }) => kind === 'netif' && domid === guest.domid);
    const foreign = await until('foreign', async () => {
      const row = await rowOf(daemon);
      return row?.state === 'foreign' && row;
    });
    assert.equal(foreign.name, 'g1/0');
    assert.match(foreign.reason ?? '', /^xen_netback has it: .*modprobe -r xen_netback/);
    assert.match(daemon.log(), /kernel netback \(xen_netback\) is there/);
    await dom0.ok(`ip addr add ${HOST.v4}/24 dev ${stranger} && ip link set ${stranger} up`);
    await dom0.ok(scripted(backend));
    await guest.address(`${v4}/24`);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    const before = await dom0.ok(`xenstore-ls ${backend}`);
    await sleep(2500);
    assert.equal(await dom0.ok(`xenstore-ls ${backend}`), before, 'no node of it is touched');
    const error = `xenstore-exists /local/domain/0/error/backend/vif/${guest.domid}`;
    assert.equal((await dom0.run(error)).code, 1);

    lab.step('the kernel lets go: ours takes over, live');
    assert.equal(await daemon.stop(), 0);
    daemon = await lab.netferry({ args: ['--host-ip', `${HOST.v4}/24`] });
    await guest.ok('echo lives >/tmp/note');
    await dom0.ok(`echo vif-${guest.domid}-0 >/sys/bus/xen-backend/drivers/vif/unbind`);
    await until('connected', async () => (await rowOf(daemon))?.state === 'connected', 20);
    await dom0.ok('modprobe -r xen-netback');
    await guest.ok('ip neigh flush dev eth0');
    assert.match(await guest.ok(`ping -c 5 -i 0.3 ${HOST.v4}`), / 5 received/);
    assert.match(daemon.log(), /vif g1\/0: goes on/);
    assert.equal((await dom0.ok(`xenstore-read ${backend}/state`)).trim(), '4');

    lab.step('and back');
    assert.equal(await daemon.stop(), 0);
    assert.equal((await dom0.ok(`xenstore-read ${backend}/state`)).trim(), '4');
    await dom0.ok('modprobe xen-netback');
    await dom0.ok(
      `for i in $(seq 50); do [ -e /sys/class/net/${stranger} ] && exit 0; sleep 0.2; done; exit 1`,
    );
    await dom0.ok(`ip addr add ${HOST.v4}/24 dev ${stranger} && ip link set ${stranger} up`);
    await dom0.ok(scripted(backend));
    await guest.ok('ip neigh flush dev eth0');
    assert.match(await guest.ok(`ping -c 5 -i 0.3 -W 5 ${HOST.v4}`), / 5 received/);
    assert.equal((await guest.ok('cat /tmp/note')).trim(), 'lives');
  },
};
