import assert from 'node:assert/strict';
import { addressesOf, HOST, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { startStream } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const XENSTORED = 'rm -f /run/xenstored.pid; xenstored --pid-file /run/xenstored.pid';

export const scenario: Scenario = {
  about: 'xenstored dies in mid-transfer and comes back having lost everything: guests’ frames go on',
  // dom0's kernel does not find its way to a second xenstored.
  boot: { alone: 'xenstored' },
  seconds: 300,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const network = await lab.network();
    const daemon = network.daemon ?? assert.fail();
    const guest = await lab.guestOn(network, 1);
    const up = await startStream(guest, dom0, { address: HOST.v4, bytes: 3_000_017 });
    const { pid, xen } = await daemon.status();
    assert.deepEqual(xen, { domid: 0, xenstore: '/run/xenstored/socket', connected: true });
    lab.step('xenstored is killed');
    await dom0.ok('kill -9 $(pidof xenstored)');
    await until('it notices', async () => (await daemon.status()).xen?.connected === false, 20);
    await up.finish();
    const down = await startStream(dom0, guest, { address: addressesOf(1).v4, bytes: 3_000_017 });
    lab.step('a new one, with nothing in it');
    await dom0.ok(XENSTORED);
    await until('it is back', async () => (await daemon.status()).xen?.connected === true, 20);
    const row = await until('it knows', async () =>
      (await daemon.vifs()).find(({ reason }) => reason === 'xenstore has lost its nodes'),
    );
    assert.equal(row.state, 'connected');
    await down.finish();
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    assert.equal((await daemon.status()).pid, pid);
    assert.match(daemon.log(), /xenstore: .* is gone/);
    assert.match(daemon.log(), /xenstore: .* is back/);

    lab.step('none at all: by the kernel’s device nobody answers');
    await daemon.stop();
    // Whoever clears up would wait for ever.
    lab.defer(() => dom0.ok(`pidof xenstored || { ${XENSTORED}; }`));
    await dom0.ok('kill -9 $(pidof xenstored); rm -f /run/xenstored/socket');
    const { code, stderr } = await dom0.run('node /netferry/bin/netferry.js up --no-host', 60);
    assert.equal(code, 1);
    assert.match(stderr, /^netferry: xenstored does not answer at \/dev\/xen\/xenbus: /m);
  },
};
