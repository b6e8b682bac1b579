import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { iperf, streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'a guest with two vCPUs gets two queues, and both carry',
  seconds: 400,
  async run(lab) {
    const guest = await lab.guestOn(await lab.network('--queues', '2'), 1, { vcpus: 2 });
    const queues = await lab.dom0.ok(`xenstore-read ${guest.frontend()}/multi-queue-num-queues`);
    assert.equal(queues.trim(), '2');
    assert.equal((await guest.ok('ls -d /sys/class/net/eth0/queues/tx-* | wc -l')).trim(), '2');
    const before = await interrupts();
    lab.step('eight streams at once, both ways');
    await iperf(guest, lab.dom0, HOST.v4, '-P 8 -t 4');
    await iperf(guest, lab.dom0, HOST.v4, '-P 8 -t 4 -R');
    const after = await interrupts();
    assert.equal(after.length, 4, 'tx and rx of two queues');
    for (const [index, count] of after.entries())
      assert.ok(count > before[index] + 10, `${before} → ${after}`);
    await Promise.all([
      streamHashed(guest, lab.dom0, { address: HOST.v4, bytes: 3_000_017 }),
      streamHashed(lab.dom0, guest, { address: addressesOf(1).v4, bytes: 3_000_017 }),
      streamHashed(guest, lab.dom0, { address: HOST.v6, bytes: 3_000_017 }),
    ]);

    /** Of vif0-q0-tx, vif0-q0-rx, …, over all vCPUs. */
    async function interrupts(): Promise<number[]> {
      const lines = (await guest.ok("grep -E -- '-q[0-9]+-[rt]x' /proc/interrupts")).trim().split('\n');
      return lines.map((line) => {
        const [, ...fields] = line.trim().split(/\s+/);
        return fields.slice(0, 2).reduce((sum, field) => sum + Number(field), 0);
      });
    }
  },
};
