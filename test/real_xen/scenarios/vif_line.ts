import assert from 'node:assert/strict';
import { addressesOf, HOST, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { iperf } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

/** Bytes a second. */
const RATE = 100_000;

export const scenario: Scenario = {
  about:
    'mac, ip, rate, mtu and vifname of xl’s line mean what its manual says; rate and ip can change while it runs',
  seconds: 300,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const network = await lab.network();
    const daemon = network.daemon ?? assert.fail();
    const { v4 } = addressesOf(1);
    const line = network.vif(
      1,
      0,
      `ip=${v4} fd00::/64,rate=${RATE / 1000}KB/s,mtu=1400,vifname=lan,bridge=nowhere`,
    );
    const guest = await lab.guestOn(network, 1, { vifs: [line] });
    const row = async () => (await daemon.vifs()).find(({ domid }) => domid === guest.domid) ?? assert.fail();
    const { name, addresses, mtu, guest: whose } = await row();
    assert.deepEqual([name, whose, mtu], ['lan', 'g1', 1400]);
    assert.deepEqual(addresses, [v4, 'fd00::/64']);
    assert.equal((await dom0.ok(`xenstore-read ${guest.frontend()}/mtu`)).trim(), '1400');
    assert.match(daemon.log(), /vif lan: bridge nowhere is not used/);

    lab.step('ip: its own alone');
    const dropped = async () =>
      Object.values((await row()).counters?.drops ?? {}).reduce((sum, n) => sum + n, 0);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v6}`), / 3 received/);
    const before = await dropped();
    await guest.ok('ip addr add 10.0.0.99/32 dev eth0');
    assert.match((await guest.run(`ping -c 3 -i 0.3 -W 2 -I 10.0.0.99 ${HOST.v4}`)).stdout, / 0 received/);
    assert.ok((await dropped()) >= before + 3, 'dropped, and counted');
    await dom0.ok(`xenstore-write ${guest.backend()}/ip '${v4} 10.0.0.99 fd00::/64'`);
    await until('the new list counts', async () => (await row()).addresses.includes('10.0.0.99'));
    assert.match(await guest.ok(`ping -c 3 -i 0.3 -I 10.0.0.99 ${HOST.v4}`), / 3 received/);

    lab.step('mac: its own alone');
    const spoofed = await dropped();
    const become = (mac: string) =>
      guest.ok(`ip link set eth0 down && ip link set eth0 address ${mac} && ip link set eth0 up`);
    await become('00:16:3e:ff:ff:ff');
    assert.match((await guest.run(`ping -c 2 -W 2 ${HOST.v4}`)).stdout, / 0 received/);
    assert.ok((await dropped()) > spoofed);
    await become((await row()).mac);

    lab.step('rate: what it sends is bounded, what it receives is not');
    const speed = async (args: string) => {
      const { sum_received: sum } = (await iperf(guest, dom0, HOST.v4, args)).end;
      return (sum?.bits_per_second ?? 0) / 8;
    };
    const limited = await speed('-t 10 -O 2');
    const open = await speed('-t 5 -R');
    lab.figures('rate', { wanted: RATE, limited, open });
    assert.ok(limited > 0.6 * RATE && limited < 1.2 * RATE, `${limited} B/s with a rate of ${RATE}`);
    assert.ok(open > 3 * RATE, `${open} B/s the other way`);
    await dom0.ok(`xenstore-rm ${guest.backend()}/rate`);
    await until('it is connected again', () => /lan: its nodes changed/.test(daemon.log()));
    const unlimited = await speed('-t 5');
    assert.ok(unlimited > 3 * RATE, `${unlimited} B/s without a rate`);
  },
};
