import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { joinOwnVif, makeOwnVif, ownMac } from '../dom0/own_vif.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const { v4: ADDRESS } = addressesOf(90);

export const scenario: Scenario = {
  about: 'our own netfront, over gntalloc, against our back end with each transfer (or the kernel’s)',
  seconds: 600,
  async run(lab) {
    const { dom0 } = lab;
    // A page of its own for each that the back end may map: more than the module allows by default.
    await dom0.ok('echo 4096 >/sys/module/xen_gntalloc/parameters/limit');
    const space = await lab.namespace('front');
    const transfers = lab.backend === 'kernel' ? ['kernel'] : ['grant-copy', 'map', 'persistent', 'static'];
    for (const [number, transfer] of transfers.entries()) {
      lab.step(transfer);
      const network =
        lab.backend === 'kernel' ? await lab.network() : await lab.network('--transfer', transfer);
      await makeOwnVif(lab, network, number);
      const joined = await joinOwnVif(lab, space, ADDRESS, number);
      assert.equal(joined.announced > 500, transfer === 'static', `${joined.announced} pages announced`);
      lab.step(`${transfer}: ping, streams`);
      for (const size of [0, 56, 1472]) {
        const ping = await space.ok(`ping -c 3 -i 0.2 -s ${size} ${HOST.v4}`);
        assert.match(ping, /3 received, 0% packet loss/);
      }
      await streamHashed(space, dom0, { address: HOST.v4, bytes: 3_000_001 });
      await streamHashed(dom0, space, { address: ADDRESS, bytes: 3_000_001 });
      if (network.daemon) {
        const vif = (await network.daemon.vifs()).find(({ mac }) => mac === ownMac(number));
        assert.equal(vif?.transfer, transfer);
        assert.equal(vif?.state, 'connected');
      }
      assert.equal(await joined.leave(), 0);
      assert.equal((await space.run('ip link show eth0')).code, 1, 'the interface is gone');
      await network.daemon?.stop();
    }
  },
};
