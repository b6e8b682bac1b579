import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Netferry } from '../dom0/netferry.js';
import { addressesOf, HOST, HOST_ARGS, netferryNetwork, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { startStream, streamHashed } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const ARGS = [...HOST_ARGS, '--host-driver', 'netfront'];
const BYTES = 10_000_019;

export const scenario: Scenario = {
  about:
    'the host’s port by dom0’s own netfront: every size, hashes compared, a kill -9, and nothing is left',
  boot: { alone: 'host-netfront' },
  seconds: 600,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    await assert.rejects(lab.netferry({ args: ARGS }), /no xen-netfront/);
    await dom0.ok('modprobe xen-netfront');
    let daemon = await lab.netferry({ args: ARGS });
    await isThere(daemon);
    const network = netferryNetwork(daemon);
    const [a, b] = [await lab.guestOn(network, 1), await lab.guestOn(network, 2)];
    const [of1, of2] = [addressesOf(1), addressesOf(2)];
    lab.step('ping');
    for (const size of [0, 56, 114, 1472, 60_000])
      for (const [from, to] of [
        [a, HOST.v4],
        [a, HOST.v6],
        [dom0, of1.v4],
      ] as const)
        assert.match(
          await from.ok(`ping -c 3 -i 0.2 -s ${size} ${to}`),
          /3 (packets )?received, 0% packet loss/,
        );
    lab.step('streams');
    await streamHashed(a, dom0, { address: HOST.v4, bytes: BYTES });
    await streamHashed(dom0, a, { address: of1.v6, bytes: BYTES });
    await streamHashed(a, b, { address: of2.v4, bytes: BYTES });
    assert.equal(
      (await daemon.vifs()).find(({ name }) => name === 'nf0')?.counters?.drops['bad-grant'],
      undefined,
    );

    for (const how of ['kill -9', 'planned'] as const) {
      lab.step(`${how} in mid-transfer`);
      const options = { bytes: BYTES, seconds: 200, slow: true };
      const streams = [
        await startStream(b, dom0, { address: HOST.v4, ...options }),
        await startStream(dom0, b, { address: of2.v4, ...options }),
      ];
      await until('both flow', async () =>
        (await Promise.all(streams.map((one) => one.arrived()))).every(Boolean),
      );
      if (how === 'planned') {
        assert.equal(await daemon.stop(), 0, daemon.log().slice(-2000));
        assert.deepEqual(await left(), { interface: false, front: [], back: [] });
      } else await daemon.kill9();
      daemon = await lab.netferry({ args: ARGS });
      await isThere(daemon);
      for (const stream of streams) await stream.finish();
    }
    assert.equal((await daemon.status()).guests, 2);
    assert.equal(await daemon.stop(), 0);
    assert.deepEqual(await left(), { interface: false, front: [], back: [] });

    async function left() {
      const list = async (path: string) =>
        (await dom0.run(`xenstore-list ${path}`)).stdout.split(/\s+/).filter(Boolean);
      const [front, back] = [await list('device/vif'), await list('backend/vif/0')];
      return { interface: readdirSync('/sys/class/net').includes('nf0'), front, back };
    }
  },
};

async function isThere(daemon: Netferry): Promise<void> {
  const vifs = await daemon.vifs();
  const rows = vifs.filter(({ name }) => name === 'nf0');
  assert.deepEqual(
    rows.map(({ kind, domid, state, transfer }) => [kind, domid, state, transfer]),
    [['netif', 0, 'connected', 'grant-copy']],
  );
  const { host } = await daemon.status();
  assert.deepEqual([host?.name, host?.mac], ['nf0', rows[0].mac]);
}
