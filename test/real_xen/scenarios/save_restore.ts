import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const FILE = '/tmp/g1.save';

export const scenario: Scenario = {
  about: '`xl save` and `xl restore`: the guest goes on where it was, its network too',
  seconds: 400,
  async run(lab) {
    const network = await lab.network();
    const guest = await lab.guestOn(network, 1);
    await guest.ok(`echo kept >/tmp/note; ping -c 2 ${HOST.v4}`);
    lab.step('a checkpoint: it goes on in its own domain');
    await lab.dom0.ok(`xl save -c g1 ${FILE} && rm ${FILE}`, 120);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 -W 10 ${HOST.v4}`), / 3 received/);
    lab.step('save');
    await guest.save(FILE);
    const restored = await lab.restore('g1', FILE);
    assert.notEqual(restored.domid, guest.domid);
    assert.equal((await restored.ok('cat /tmp/note')).trim(), 'kept');
    await restored.until('[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]');
    assert.match(await restored.ok(`ping -c 3 -i 0.3 -W 10 ${HOST.v4}`), / 3 received/);
    await streamHashed(restored, lab.dom0, { address: HOST.v4, bytes: 2_000_003 });
    await streamHashed(lab.dom0, restored, { address: addressesOf(1).v4, bytes: 2_000_003 });
    if (network.daemon)
      assert.equal((await network.daemon.vifs()).filter(({ kind }) => kind === 'netif').length, 1);
  },
};
