import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'the same with the OCaml xenstored: a guest comes, carries, gets a second vif, reboots, goes',
  boot: { xenstored: 'oxenstored' },
  seconds: 300,
  async run(lab) {
    assert.match(await lab.dom0.ok('pidof oxenstored'), /\d/);
    const network = await lab.network();
    const guest = await lab.guestOn(network, 1);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    await streamHashed(guest, lab.dom0, { address: HOST.v4, bytes: 2_000_003 });
    await streamHashed(lab.dom0, guest, { address: addressesOf(1).v4, bytes: 2_000_003 });
    lab.step('a second vif');
    await guest.attach(network.vif(1, 1));
    await guest.until('ip link set eth1 up && [ "$(cat /sys/class/net/eth1/carrier)" = 1 ]');
    await guest.detach(1);
    await guest.until('[ ! -e /sys/class/net/eth1 ]');
    lab.step('reboot');
    await guest.run('reboot -f', 3).catch(() => {});
    await guest.rebooted();
    await guest.address(`${addressesOf(1).v4}/24`);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    await guest.shutdown();
    const vifs = await network.daemon?.vifs();
    if (vifs)
      assert.deepEqual(
        vifs.filter(({ kind }) => kind === 'netif'),
        [],
      );
  },
};
