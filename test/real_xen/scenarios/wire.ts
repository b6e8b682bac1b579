import assert from 'node:assert/strict';
import { echoHashed } from '../dom0/echo.js';
import { addressesOf, HOST, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import { streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 3_000_017;
const WIRE = { v4: '10.0.0.2', v6: 'fd00::2' };

/**
 *     namespace `wire`       dom0                          guest
 *        wire0  ═══════════  up0  ── hook ── netferry ──  eth0
 */
export const scenario: Scenario = {
  about:
    'guest ↔ wire and guest ↔ dom0 behind `--uplink`, by clsact on this kernel; nothing is left on the uplink',
  seconds: 400,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const wire = await lab.namespace('wire');
    await dom0.ok('ip link add up0 type veth peer name wire0 netns wire && ip link set up0 up');
    await dom0.ok(`ip addr add ${HOST.v4}/24 dev up0 && ip addr add ${HOST.v6}/64 dev up0 nodad`);
    await wire.ok(`ip addr add ${WIRE.v4}/24 dev wire0 && ip addr add ${WIRE.v6}/64 dev wire0 nodad`);
    await wire.ok('ip link set wire0 up');
    const daemon = await lab.netferry({ args: ['--uplink', 'up0'] });
    assert.equal((await daemon.status()).uplink?.mode, 'clsact');
    const network = netferryNetwork(daemon);
    const [a, b] = [await lab.guestOn(network, 1), await lab.guestOn(network, 2)];
    const { v4, v6 } = addressesOf(1);
    const places = { 'the wire': [wire, WIRE], dom0: [dom0, HOST] } as const;
    for (const [name, [place, address]] of Object.entries(places)) {
      lab.step(`guest ↔ ${name}`);
      for (const target of [address.v4, address.v6]) {
        assert.match(await a.ok(`ping -c 3 -i 0.3 -W 10 -s 1400 ${target}`), / 3 received/);
      }
      await streamHashed(a, place, { address: address.v4, bytes: BYTES });
      await streamHashed(place, a, { address: v4, bytes: BYTES });
      await streamHashed(a, place, { address: address.v6, bytes: BYTES });
      await streamHashed(place, a, { address: v6, bytes: BYTES });
    }
    lab.step('guest → guest, dom0 → guest UDP');
    await streamHashed(a, b, { address: addressesOf(2).v4, bytes: BYTES });
    await echoHashed(a, v4, [1, 64, 128, 129, 1472, 1473, 30_000]);
    assert.equal(await daemon.stop(), 0);
    assert.doesNotMatch(
      await dom0.ok('tc filter show dev up0 ingress; tc filter show dev up0 egress'),
      /bpf/,
    );
    assert.match(await wire.ok(`ping -c 2 -i 0.3 ${HOST.v4}`), / 2 received/);
  },
};
