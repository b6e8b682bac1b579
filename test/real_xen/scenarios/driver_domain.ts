import assert from 'node:assert/strict';
import { macOf, NO_SCRIPT } from '../dom0/guest.js';
import { addressesOf, HOST, onlyNetferry } from '../dom0/network.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const RAMDISK = '/tmp/dd.cpio';
const NETFERRY = 'node /netferry/bin/netferry.js';
const LOG = '/tmp/netferry.log';
const UP = `exec ${NETFERRY} up --platform native --host-ip ${HOST.v4}/24 --host-ip ${HOST.v6}/64 >>${LOG} 2>&1`;

export const scenario: Scenario = {
  about:
    'a driver domain carries a guest: no xenstored there, its own domid, a guest whose name it may not read',
  boot: { memory: 4096, dom0Memory: 1900 },
  seconds: 600,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    lab.step('its image: the guests’ own, with node, netferry and modules of dom0');
    lab.defer(() => dom0.run(`rm -f ${RAMDISK}`));
    await dom0.ok(
      `cp /boot/guest.cpio ${RAMDISK} && cd / && find bin sbin lib lib64 usr etc netferry -xdev | cpio -o -H newc >>${RAMDISK}`,
      200,
    );
    const driver = await lab.guest({
      name: 'dd',
      vifs: [],
      netfront: 'none',
      memory: 1000,
      ramdisk: RAMDISK,
      config: ['driver_domain = 1'],
    });
    await driver.ok('for m in xen-evtchn xen-gntdev xenfs tun; do modprobe $m || exit 1; done', 60);
    await driver.ok('mount -t xenfs xenfs /proc/xen; [ ! -e /run/xenstored/socket ]');
    const up = async () => {
      const daemon = await driver.start(UP);
      const isUp = `grep -q ' is up: ' ${LOG} && [ -S /run/netferry/control.sock ]`;
      await driver.until(isUp, 90).catch(async (error: unknown) => {
        throw new Error(`${error}: ${(await driver.run(`cat ${LOG}`)).stdout}`);
      });
      return daemon;
    };
    const daemon = await up();
    const status = await driver.ok(`${NETFERRY} status`, 60);
    assert.match(status, new RegExp(`native, driver domain ${driver.domid}, xenstore /dev/xen/xenbus`));

    const { v4, v6 } = addressesOf(1);
    const guest = await lab.guest({
      name: 'g1',
      vifs: [`mac=${macOf(1)},${NO_SCRIPT},backend=dd`],
      addresses: [`${v4}/24`, `${v6}/64`],
    });
    assert.match(await guest.ok(`ping -c 5 -i 0.3 ${HOST.v4}`), / 5 received/);
    const rows = JSON.parse(await driver.ok(`${NETFERRY} --json vif list`, 60)) as Record<string, unknown>[];
    const row = rows.find(({ domid }) => domid === guest.domid) ?? assert.fail();
    assert.deepEqual([row.state, row.mac], ['connected', macOf(1)]);
    assert.notEqual(row.guest, 'g1', 'its name is not the driver domain’s to read');
    await streamHashed(guest, driver, { address: HOST.v6, bytes: 2_000_003 });
    await streamHashed(driver, guest, { address: v4, bytes: 2_000_003 });

    lab.step('its daemon is killed and started again');
    await daemon.kill();
    await driver.ok(`rm ${LOG}`);
    const again = await up();
    await driver.until(`grep -q 'goes on' ${LOG}`, 30).catch(async (error: unknown) => {
      throw new Error(`${error}: ${(await driver.run(`cat ${LOG}`)).stdout}`);
    });
    assert.match(await guest.ok(`ping -c 5 -i 0.3 -W 10 ${HOST.v4}`, 90), / 5 received/);
    await guest.shutdown();
    await again.kill();
  },
};
