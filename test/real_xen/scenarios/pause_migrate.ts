import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { addressesOf, HOST } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { type Stream, startStream } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

const BYTES = 6_000_011;

/**
 * The stream goes to a receiver on the same host instead of by ssh (xl(1), migrate -s). The guest is a PVH one: Debian's Xen
 * has no shadow paging, without which it cannot tell which pages a PV guest has dirtied ("Failed to enable logdirty: 95").
 */
const MIGRATE = "xl migrate -s '' g1 'exec xl migrate-receive'";

export const scenario: Scenario = {
  about: '`xl pause` and `unpause`, and live migration to the same host, in mid-transfer: hashes compared',
  boot: { hvm: true },
  seconds: 700,
  async run(lab) {
    const { dom0 } = lab;
    const network = await lab.network();
    // As in scenario pvh.
    const pvh = { type: 'pvh', config: ['tsc_mode = "native"'] } as const;
    const [a, b] = [await lab.guestOn(network, 1, pvh), await lab.guestOn(network, 2)];
    const flow = async () => {
      const slow = { bytes: BYTES, seconds: 300, slow: true };
      const streams = [
        await startStream(a, dom0, { address: HOST.v4, ...slow }),
        await startStream(b, a, { address: addressesOf(1).v6, ...slow }),
        await startStream(dom0, a, { address: addressesOf(1).v4, ...slow }),
      ];
      await until('all flow', async () => (await progress(streams)).every((bytes) => bytes > 0));
      return streams;
    };

    lab.step('paused in mid-transfer');
    const streams = await flow();
    await dom0.ok('xl pause g1');
    await sleep(500);
    const before = await streams[0].arrived();
    // More than its ring takes: what is too much is dropped, and nobody else waits for it.
    await dom0.run(`ping -q -f -c 600 -s 1000 -W 1 ${addressesOf(1).v4}`);
    assert.match(await b.ok(`ping -c 5 -i 0.3 -W 5 ${HOST.v4}`), / 5 received/);
    assert.equal(await streams[0].arrived(), before, 'a paused guest sends nothing');
    assert.ok(before < BYTES, 'in mid-transfer');
    await dom0.ok('xl unpause g1');
    for (const stream of streams) await stream.finish();

    lab.step('migrated in mid-transfer');
    const { domid } = a;
    const more = await flow();
    await a.migrate(MIGRATE);
    assert.notEqual(a.domid, domid);
    lab.step(`in domain ${a.domid}, after ${await progress(more)} bytes`);
    for (const stream of more) await stream.finish();
    assert.match(await a.ok(`ping -c 3 -i 0.3 -W 10 ${HOST.v4}`), / 3 received/);
    await until('its last domain is gone', async () => !/migrated|incoming/.test(await dom0.ok('xl list')));
    if (!network.daemon) return;
    const vifs = (await network.daemon.vifs()).filter(({ kind }) => kind === 'netif');
    assert.deepEqual(
      vifs.map(({ domid, state }) => [domid, state]),
      [
        [b.domid, 'connected'],
        [a.domid, 'connected'],
      ],
    );
  },
};

function progress(streams: readonly Stream[]): Promise<number[]> {
  return Promise.all(streams.map((stream) => stream.arrived()));
}
