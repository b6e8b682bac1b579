import assert from 'node:assert/strict';
import { HOST } from '../dom0/network.js';
import type { Scenario } from '../scenario.js';

const TIMES = 50;

export const scenario: Scenario = {
  about: `a second vif is attached and detached ${TIMES} times, while the first carries ping`,
  seconds: 900,
  async run(lab) {
    const network = await lab.network();
    const guest = await lab.guestOn(network, 1);
    const pings = await guest.start(`ping -i 0.5 ${HOST.v4}`);
    const before = await leftovers();
    for (let turn = 1; turn <= TIMES; turn++) {
      await guest.attach(network.vif(1, 1));
      await guest.until('ip link set eth1 up && [ "$(cat /sys/class/net/eth1/carrier)" = 1 ]');
      if (turn % 10 === 1) {
        lab.step(`attached for the ${turn}. time`);
        await guest.ok(`ip addr add 10.0.0.99/32 dev eth1 && ping -c 1 -W 10 -I eth1 ${HOST.v4}`);
      }
      await guest.detach(1);
      await guest.until('[ ! -e /sys/class/net/eth1 ]');
    }
    await pings.kill();
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received, 0% packet loss/);
    assert.deepEqual(await leftovers(), before);

    /** What a vif that is gone must not leave in dom0. */
    async function leftovers() {
      return {
        backends: await lab.dom0.ok(`xenstore-list ${guest.backend().replace(/\/0$/, '')}`),
        vifs: (await network.daemon?.vifs())?.map(({ name }) => name),
      };
    }
  },
};
