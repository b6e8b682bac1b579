import assert from 'node:assert/strict';
import { addressesOf, HOST, HOST_ARGS, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { type Stream, startStream, streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 3_000_017;
const TWO = [...HOST_ARGS, '--queues', '2', '--threads', '2'];

export const scenario: Scenario = {
  about:
    'two datapath threads: a guest with a queue on each, one on one of them; restarted in mid-transfer, with one thread, too',
  seconds: 600,
  async run(lab) {
    onlyNetferry(lab.backend);
    let daemon = await lab.netferry({ args: TWO });
    const network = netferryNetwork(daemon);
    const wide = await lab.guestOn(network, 1, { vcpus: 2 });
    const narrow = await lab.guestOn(network, 2);
    const [of1, of2] = [addressesOf(1), addressesOf(2)];
    const queues = await lab.dom0.ok(`xenstore-read ${wide.frontend()}/multi-queue-num-queues`);
    assert.equal(queues.trim(), '2');

    lab.step('everybody to everybody at once');
    await Promise.all([
      streamHashed(wide, narrow, { address: of2.v4, bytes: BYTES }),
      streamHashed(narrow, wide, { address: of1.v6, bytes: BYTES }),
      streamHashed(wide, lab.dom0, { address: HOST.v4, bytes: BYTES }),
      streamHashed(lab.dom0, wide, { address: of1.v4, bytes: BYTES }),
      streamHashed(narrow, lab.dom0, { address: HOST.v6, bytes: BYTES }),
      streamHashed(lab.dom0, narrow, { address: of2.v6, bytes: BYTES }),
    ]);
    assert.match(await wide.ok(`ping -c 3 -i 0.3 -s 60000 ${of2.v4}`), / 3 received/);
    const { threads } = await daemon.status();
    assert.deepEqual(threads.map(({ ports }) => ports).sort(), [2, 3], 'nf0 and the wide guest on both');
    assert.ok(
      threads.every(({ received }) => received > 0),
      JSON.stringify(threads),
    );
    assert.deepEqual(
      threads.map(({ drops }) => drops),
      [{}, {}],
    );

    for (const args of [HOST_ARGS, TWO]) {
      lab.step(`restarted with ${args === TWO ? 'two threads' : 'one thread'}, in mid-transfer`);
      const options = { bytes: 3 * BYTES, seconds: 200, slow: true };
      const streams: Stream[] = [
        await startStream(wide, narrow, { address: of2.v4, ...options }),
        await startStream(narrow, wide, { address: of1.v4, ...options }),
        await startStream(lab.dom0, wide, { address: of1.v6, ...options }),
      ];
      const arrived = () => Promise.all(streams.map((one) => one.arrived()));
      await until('all streams flow', async () => (await arrived()).every((n) => n > 0));
      if (args === TWO) await daemon.kill9();
      else assert.equal(await daemon.stop(), 0, daemon.log().slice(-2000));
      for (const n of await arrived()) assert.ok(n < options.bytes, `in mid-transfer: ${n}`);
      daemon = await lab.netferry({ args });
      for (const stream of streams) await stream.finish();
    }
  },
};
