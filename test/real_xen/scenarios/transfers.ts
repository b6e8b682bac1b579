import assert from 'node:assert/strict';
import { addressesOf, HOST, HOST_ARGS, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 2_000_003;

/** What is asked for two unmodified guests, and what they get. */
const PAIRS = [
  { asked: ['map', 'grant-copy'], served: ['map', 'grant-copy'] },
  { asked: ['static', 'map'], served: ['static', 'map'] },
  // Linux takes its pages back, so they do not stay mapped.
  { asked: ['persistent', 'static'], served: ['grant-copy', 'static'] },
] as const;

export const scenario: Scenario = {
  about: 'two unmodified guests on different transfers at once, each way, hashes compared',
  seconds: 600,
  async run(lab) {
    onlyNetferry(lab.backend);
    let daemon = await lab.netferry({ args: HOST_ARGS });
    const network = netferryNetwork(daemon);
    const guests = [await lab.guestOn(network, 1), await lab.guestOn(network, 2)];
    const [a, b] = guests;
    for (const { asked, served } of PAIRS) {
      lab.step(`${asked[0]} and ${asked[1]}`);
      for (const [i, guest] of guests.entries())
        await lab.dom0.ok(`xenstore-write ${await guest.backend()}/transfer ${asked[i]}`);
      assert.equal(await daemon.stop(), 0, daemon.log().slice(-2000));
      daemon = await lab.netferry({ args: HOST_ARGS });
      const vifs = await until('both are connected', async () => {
        const all = (await daemon.vifs()).filter(({ kind }) => kind === 'netif');
        return all.every(({ state }) => state === 'connected') && all;
      });
      assert.deepEqual(
        vifs.map(({ transfer }) => transfer),
        served,
      );
      assert.equal(/feature-persistent/.test(daemon.log()), asked[0] === 'persistent');
      await streamHashed(a, b, { address: addressesOf(2).v4, bytes: BYTES });
      await streamHashed(b, a, { address: addressesOf(1).v6, bytes: BYTES });
      for (const [i, guest] of guests.entries()) {
        await streamHashed(guest, lab.dom0, { address: HOST.v4, bytes: BYTES });
        await streamHashed(lab.dom0, guest, { address: addressesOf(i + 1).v4, bytes: BYTES });
      }
      const after = (await daemon.vifs()).filter(({ kind }) => kind === 'netif');
      for (const { name, counters } of after)
        assert.equal(counters?.drops['bad-grant'] ?? 0, 0, `${name}: ${JSON.stringify(counters?.drops)}`);
    }
    for (const guest of guests)
      assert.doesNotMatch(await guest.ok('dmesg'), /in use by backend|disabled for further use/i);
  },
};
