import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'a PVH guest: its grants are of a domain with nested paging (SVM emulated)',
  boot: { hvm: true },
  seconds: 600,
  async run(lab) {
    assert.match(await lab.dom0.ok('xl info'), /^virt_caps\s*:.*\bhvm\b/m);
    const network = await lab.network();
    // Xen cannot emulate RDTSCP on QEMU's SVM, which does not tell an instruction's length.
    const guest = await lab.guestOn(network, 1, { type: 'pvh', config: ['tsc_mode = "native"'] });
    assert.match(await guest.ok('dmesg'), /Hypervisor detected: Xen HVM/);
    assert.match(await guest.ok(`ping -c 3 -W 10 ${HOST.v4}`), / 3 received/);
    await streamHashed(guest, lab.dom0, { address: HOST.v4, bytes: 1_000_003 });
    await streamHashed(lab.dom0, guest, { address: addressesOf(1).v4, bytes: 1_000_003 });
  },
};
