import { addressesOf, HOST } from '../dom0/network.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

/** What the guest's kernel may leave to us, from all of it to nothing. */
const OFFLOADS: Record<string, string> = {
  'sg and GSO on': 'true',
  'GSO off': 'ethtool -K eth0 tso off gso off gro off',
  'sg off': 'ethtool -K eth0 sg off',
  'checksums off': 'ethtool -K eth0 tx off',
};
const BYTES = 3_000_017;

export const scenario: Scenario = {
  about: 'TCP both ways over IPv4 and IPv6, with sg, GSO and checksum offload on and off, hashes compared',
  seconds: 600,
  async run(lab) {
    const guest = await lab.guestOn(await lab.network(), 1);
    const { v4, v6 } = addressesOf(1);
    for (const [what, command] of Object.entries(OFFLOADS)) {
      await guest.ok(command);
      for (const [address, host] of [
        [v4, HOST.v4],
        [v6, HOST.v6],
      ]) {
        lab.step(`${what}: ${host}`);
        await streamHashed(guest, lab.dom0, { address: host, bytes: BYTES });
        await streamHashed(lab.dom0, guest, { address, bytes: BYTES });
      }
    }
  },
};
