import assert from 'node:assert/strict';
import { macOf } from '../dom0/guest.js';
import { iperf, streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'the kernel’s own netback and a Linux bridge carry a guest: image and guest control work',
  boot: { alone: 'kernel-netback' },
  seconds: 240,
  async run(lab) {
    const { dom0 } = lab;
    await dom0.ok(
      'modprobe xen-netback && ip link add xenbr0 type bridge && ip addr add 10.0.0.1/24 dev xenbr0',
    );
    await dom0.ok('ip link set xenbr0 up');
    const guest = await lab.guest({
      name: 'g1',
      vifs: [`mac=${macOf(1)},bridge=xenbr0,script=vif-bridge`],
      addresses: ['10.0.0.2/24'],
    });
    lab.step('ping');
    const ping = await guest.ok('ping -c 3 -i 0.3 10.0.0.1');
    assert.match(ping, /3 received, 0% packet loss/);
    lab.step('iperf3');
    const report = await iperf(guest, dom0, '10.0.0.1', '-n 8M');
    assert.equal(report.end.sum_sent?.bytes, 8 << 20);
    lab.step('streams');
    await streamHashed(guest, dom0, { address: '10.0.0.1', bytes: 4_000_001 });
    await streamHashed(dom0, guest, { address: '10.0.0.2', bytes: 4_000_001 });
    await guest.shutdown();
  },
};
