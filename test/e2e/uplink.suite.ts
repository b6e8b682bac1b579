/** Everybody reaches everybody through the uplink, whatever the way its programs are attached. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROADCAST, frame } from '../hook/support/frames.js';
import { inject, type Machine } from '../hook/support/lan.js';
import { lacking } from './support/place.js';
import { EXPERIMENT, NEEDS, ping, received, Site, stream } from './support/uplink.js';

const MIB = 1 << 20;
/** Own frames are bigger than anything on the wire; 60,000 bytes are 41 fragments. */
const SIZES = ['0', '1472', '1473', '60000'];

export function uplinkSuite(mode: 'tcx' | 'clsact', threads = 1): void {
  describe(`up --uplink, ${mode}, datapath threads: ${threads}`, { skip: lacking(...NEEDS) }, () => {
    let site: Site;
    let a: Machine;
    let b: Machine;
    let c: Machine;
    let all: Machine[];
    before(async () => {
      site = await Site.make();
      await site.ferry.run('--uplink', 'up0', '--mode', mode, '--threads', String(threads));
      a = await site.embedded('a');
      b = await site.embedded('b', '--transfer', 'grant-copy');
      c = await site.container('c');
      all = [site.host, site.remote, a, b, c];
    });
    after(() => site?.close());

    test('status and vif list show it', async () => {
      const status = await site.ferry.client.status();
      assert.equal(status.host, null, 'the host is reached at its own interface');
      assert.deepEqual(
        [status.uplink?.name, status.uplink?.mac, status.uplink?.mode, status.uplink?.absent],
        ['up0', site.host.mac, mode, null],
      );
      const vifs = await site.ferry.client.vifs();
      const kinds = Object.fromEntries(vifs.map(({ name, kind }) => [name, kind]));
      assert.deepEqual(kinds, {
        'a/0': 'netif', 'b/0': 'netif', up0: 'uplink', host: 'host', nfx0: 'crossing', pc: 'kernel',
      }); // biome-ignore format: one line
      assert.deepEqual(vifs.find(({ name }) => name === 'nfx0')?.macs, [a.mac, b.mac]);
      const text = await site.ferry.cli('vif', 'list');
      assert.match(text, new RegExp(`^pc +kernel +${c.mac} +connected`, 'm'));
    });

    test('each reaches each other, IPv4 and IPv6, with ARP and ND both ways', async () => {
      for (const from of all) {
        for (const to of all) {
          if (from === to) continue;
          for (const { place } of [from, to]) await place.run('ip neigh flush all; ip -6 neigh flush all');
          await ping(from, to.v4);
          await ping(from, to.v6);
        }
      }
    });

    test('every size, both ways', async () => {
      for (const size of SIZES) {
        for (const to of [site.host, site.remote, b, c]) {
          await ping(a, to.v4, '-s', size);
          await ping(to, a.v6, '-s', size);
        }
        await ping(c, site.remote.v4, '-s', size);
      }
    });

    test('TCP both ways, every byte as it was sent', async () => {
      for (const [from, to] of [
        [a, site.remote],
        [a, site.host],
        [a, c],
        [a, b],
        [c, site.remote],
        [c, site.host],
        [site.host, site.remote],
      ] as const) {
        await stream(from, to, to.v4, 16 * MIB);
        await stream(to, from, from.v6, 16 * MIB);
      }
      const crossing = (await site.ferry.client.vifs()).find(({ kind }) => kind === 'crossing')?.counters;
      assert.ok(crossing && crossing.in.gso > 100 && crossing.out.gso > 100, 'large frames cross whole');
    });

    test('group frames reach everybody else exactly once, and not their sender', async () => {
      for (const from of all) {
        for (const to of [BROADCAST, '33:33:00:00:4e:46', '01:00:5e:4e:46:01']) {
          const seen = await received(all, `ether proto ${EXPERIMENT}`, () =>
            inject(from, frame(to, from.mac, EXPERIMENT)),
          );
          const expected = Object.fromEntries(all.map((one) => [one.name, one === from ? 0 : 1]));
          assert.deepEqual(seen, expected, `${from.name} to ${to}`);
        }
      }
    });

    test('unicast reaches its receiver alone: nothing among guests comes to the wire', async () => {
      const none = { host: 0, remote: 0, a: 0, b: 0, c: 0 };
      const rows: [from: Machine, to: string, seen: Record<string, number>][] = [
        [a, b.mac, { ...none, b: 1 }],
        [a, c.mac, { ...none, c: 1 }],
        [c, a.mac, { ...none, a: 1 }],
        [a, site.host.mac, { ...none, host: 1 }],
        [site.host, a.mac, { ...none, a: 1 }],
        [a, site.remote.mac, { ...none, remote: 1 }],
        [a, '02:00:00:00:99:99', { ...none, remote: 1 }],
        [site.remote, b.mac, { ...none, b: 1, host: 1 }], // tcpdump on the uplink stands before the hook
      ];
      for (const [from, to, expected] of rows) {
        const seen = await received(all, `ether proto ${EXPERIMENT}`, () =>
          inject(from, frame(to, from.mac, EXPERIMENT)),
        );
        assert.deepEqual(seen, expected, `${from.name} to ${to}`);
      }
    });

    test('who speaks for another is not heard', async () => {
      const seen = await received(all, `ether proto ${EXPERIMENT}`, async () => {
        await inject(a, frame(BROADCAST, c.mac, EXPERIMENT));
        await inject(c, frame(BROADCAST, a.mac, EXPERIMENT));
      });
      assert.deepEqual(seen, { host: 0, remote: 0, a: 0, b: 0, c: 0 });
      const drops = async (name: string) =>
        (await site.ferry.client.vifs()).find((vif) => vif.name === name)?.counters?.drops;
      assert.deepEqual(
        [await drops('a/0'), await drops('pc')],
        [{ 'spoofed-source': 1 }, { 'spoofed-source': 1 }],
      );
    });
  });
}
