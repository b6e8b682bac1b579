import assert from 'node:assert/strict';
import { addressesOf } from '../dom0/network.js';
import { iperf, streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 4_000_033;

export const scenario: Scenario = {
  about: 'guest → guest: ping, TCP both ways at once with and without sg, IPv6, UDP without loss',
  seconds: 400,
  async run(lab) {
    const network = await lab.network();
    const [a, b] = [await lab.guestOn(network, 1), await lab.guestOn(network, 2)];
    const [of1, of2] = [addressesOf(1), addressesOf(2)];
    lab.step('ping');
    assert.match(await a.ok(`ping -c 5 -i 0.3 -s 1472 ${of2.v4}`), / 5 received/);
    assert.match(await a.ok(`ping -c 3 -i 0.3 -s 60000 ${of2.v6}`), / 3 received/);
    lab.step('TCP');
    await Promise.all([
      streamHashed(a, b, { address: of2.v4, bytes: BYTES }),
      streamHashed(b, a, { address: of1.v6, bytes: BYTES }),
    ]);
    lab.step('TCP to a guest without sg');
    await b.ok('ethtool -K eth0 sg off');
    await streamHashed(a, b, { address: of2.v4, bytes: BYTES });
    await streamHashed(b, a, { address: of1.v4, bytes: BYTES });
    lab.step('UDP');
    const { end } = await iperf(a, b, of2.v4, '-u -b 500K -l 1000 -t 5');
    assert.ok(end.sum!.packets > 200, `${end.sum!.packets} datagrams`);
    assert.equal(end.sum!.lost_packets, 0);
  },
};
