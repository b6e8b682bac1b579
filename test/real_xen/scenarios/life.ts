import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { startStream } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'a guest reboots, crashes, is destroyed in mid-transfer: the other one notices nothing',
  seconds: 500,
  async run(lab) {
    const network = await lab.network();
    const [a, b] = [await lab.guestOn(network, 1), await lab.guestOn(network, 2)];
    const pings = await b.start(`ping -i 0.5 -c 100000 ${HOST.v4}`);

    lab.step('reboot');
    await a.run('reboot -f', 3).catch(() => {});
    await a.rebooted();
    const { v4 } = addressesOf(1);
    await a.address(`${v4}/24`);
    assert.match(await a.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);

    lab.step('destroy in mid-transfer, both ways');
    // Endless: neither end sees the other go.
    const up = await startStream(a, lab.dom0, { address: HOST.v4, bytes: 30_000_000 });
    const down = await startStream(b, a, { address: v4, bytes: 30_000_000 });
    await lab.dom0.ok('sleep 3');
    await a.destroy();
    await Promise.all([up.abandon(), down.abandon()]);
    assert.match(await b.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);

    lab.step('the same guest again, which crashes');
    const again = await lab.guestOn(network, 1);
    assert.match(await again.ok(`ping -c 3 -i 0.3 ${addressesOf(2).v4}`), / 3 received/);
    await again.run('echo c >/proc/sysrq-trigger', 3).catch(() => {});
    await lab.dom0.ok('for i in $(seq 150); do xl domid g1 2>/dev/null || exit 0; sleep 0.2; done; exit 1');
    assert.match(await b.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    await pings.kill();
    const vifs = await network.daemon?.vifs();
    if (vifs)
      assert.deepEqual(
        vifs.filter(({ kind }) => kind === 'netif').map(({ domid }) => domid),
        [b.domid],
      );
  },
};
