import assert from 'node:assert/strict';
import { addressesOf, HOST, HOST_ARGS, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about:
    '`netferry down --close-vifs` closes vifs in order: the guest sees its interface go, and can have another',
  seconds: 200,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const network = netferryNetwork(await lab.netferry({ args: HOST_ARGS }));
    const guest = await lab.guestOn(network, 1);
    assert.match(await guest.ok(`ping -c 2 ${HOST.v4}`), / 2 received/);
    assert.match(await dom0.ok('node /netferry/bin/netferry.js down --close-vifs', 60), /has ended/);
    const state = async (path: string) => (await dom0.ok(`xenstore-read ${path}/state`)).trim();
    assert.equal(await state(guest.backend()), '6');
    assert.equal(await state(guest.frontend()), '6');
    assert.doesNotMatch((await guest.run(`ping -c 1 -W 2 ${HOST.v4}`)).stdout, / 1 received/);

    lab.step('another daemon, another vif');
    await lab.netferry({ args: HOST_ARGS });
    await guest.detach(0);
    await guest.until('[ ! -e /sys/class/net/eth0 ]');
    await guest.attach(network.vif(1));
    await guest.address(`${addressesOf(1).v4}/24`);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
  },
};
