import assert from 'node:assert/strict';
import { addressesOf, HOST, HOST_ARGS, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { type Stream, startStream } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 10_000_019;

export const scenario: Scenario = {
  about:
    'a planned restart and a kill -9 of the daemon in mid-transfer: every connection goes on, hashes compared',
  seconds: 600,
  async run(lab) {
    onlyNetferry(lab.backend);
    let daemon = await lab.netferry({ args: HOST_ARGS });
    const network = netferryNetwork(daemon);
    const [a, b] = [await lab.guestOn(network, 1), await lab.guestOn(network, 2)];
    for (const how of ['planned', 'kill -9'] as const) {
      const streams: Stream[] = [
        await startStream(a, b, { address: addressesOf(2).v4, bytes: BYTES, seconds: 200, slow: true }),
        await startStream(b, lab.dom0, { address: HOST.v6, bytes: BYTES, seconds: 200, slow: true }),
        await startStream(lab.dom0, a, {
          address: addressesOf(1).v4,
          bytes: BYTES,
          seconds: 200,
          slow: true,
        }),
      ];
      const flows = async () => (await Promise.all(streams.map((one) => one.arrived()))).every((n) => n > 0);
      await until('all streams flow', flows);
      lab.step(`${how} after ${await Promise.all(streams.map((stream) => stream.arrived()))} bytes`);
      const pid = daemon.pid;
      if (how === 'planned') assert.equal(await daemon.stop(), 0, daemon.log().slice(-2000));
      else await daemon.kill9();
      for (const stream of streams) {
        const arrived = await stream.arrived();
        assert.ok(arrived > 0 && arrived < BYTES, `in mid-transfer: ${arrived} of ${BYTES}`);
      }
      daemon = await lab.netferry({ args: HOST_ARGS });
      assert.notEqual(daemon.pid, pid);
      for (const stream of streams) await stream.finish();
      lab.step('all arrived');
    }
    for (const guest of [a, b]) assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    const vifs = (await daemon.vifs()).filter(({ kind }) => kind === 'netif');
    assert.deepEqual(
      vifs.map(({ state }) => state),
      ['connected', 'connected'],
    );
  },
};
