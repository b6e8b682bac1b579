/** 256 ports beside an uplink: what befalls the uplink, and many of them at once. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Machine } from '../hook/support/lan.js';
import { lacking, until } from './support/place.js';
import { attachedPrograms, NEEDS, ping, reaches, Site } from './support/uplink.js';

const PORTS = 256;

for (const mode of ['tcx', 'clsact']) {
  describe(`${PORTS} ports, ${mode}`, { skip: lacking(...NEEDS) }, () => {
    let site: Site;
    let a: Machine;
    let c: Machine;
    const names = Array.from({ length: PORTS - 1 }, (_, i) => `m${i}`);
    const make = async () => {
      const lines = names.map((name, i) => `link add ${name} group 9 type veth peer name n${i}`);
      const quiet = 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6';
      await site.host.place.run(`${quiet}; echo '${lines.join('\n')}' | ip -batch -`);
    };
    before(async () => {
      site = await Site.make();
      await site.ferry.run('--uplink', 'up0', '--mode', mode);
      a = await site.embedded('a');
      c = await site.container('c');
      await make();
      const hex = (byte: number) => byte.toString(16).padStart(2, '0');
      for (const [i, device] of names.entries()) {
        await site.ferry.client.attachPort({ device, macs: [`02:00:00:0a:${hex(i >> 8)}:${hex(i & 255)}`] });
      }
    });
    after(() => site?.close());

    const connected = async () =>
      (await site.ferry.client.vifs()).filter(({ kind, state }) => kind === 'kernel' && state === 'connected')
        .length;
    const everybody = async () => {
      for (const from of [a, c]) {
        await reaches(from, site.remote.v4);
        await reaches(from, site.host.v4);
      }
      await ping(a, c.v4);
    };

    test('the uplink goes down and up, and vanishes and comes back', async () => {
      const { host, remote } = site;
      await everybody();
      await host.place.run('ip link set up0 down && ip link set up0 up');
      await everybody();
      await host.place.run('ip link del up0');
      await until(
        'it is missed',
        async () => (await site.ferry.client.status()).uplink?.absent === 'up0 is gone',
      );
      await ping(a, c.v4);
      await host.place.run(`ip link add up0 type veth peer name eth0 netns ${remote.place.pid}`);
      for (const { place, link, mac, v4 } of [host, remote]) {
        await place.run(
          `ip link set ${link} address ${mac} && ip link set ${link} up && ip address add ${v4}/24 dev ${link}`,
        );
      }
      await until('it is back', async () => (await site.ferry.client.status()).uplink?.absent === null);
      await everybody();
      assert.equal(await connected(), PORTS);
    });

    test('all of them start anew at once: the daemon answers meanwhile, and all are back', async () => {
      const programs = (await attachedPrograms(site.host.place)).length;
      await site.host.place.run('ip link del group 9');
      await until('they are missed', async () => (await connected()) === 1, 30_000);
      await make();
      let longest = 0;
      const asked = async () => {
        const begun = performance.now();
        const found = await connected();
        longest = Math.max(longest, performance.now() - begun);
        return found;
      };
      await until('they are back', async () => (await asked()) === PORTS, 60_000);
      assert.ok(longest < 3000, `${Math.round(longest)} ms without an answer`);
      assert.equal((await attachedPrograms(site.host.place)).length, programs);
      await everybody();
    });

    test('all of them end at once, and nothing is left: by detach, kill -9 and SIGTERM', async () => {
      const { ferry, host } = site;
      await Promise.all(names.slice(0, 12).map((name) => ferry.client.detachPort(name)));
      assert.equal(await connected(), PORTS - 12);
      await ferry.daemon.stop('SIGKILL');
      // In the same directory the next one waits until the kernel has let go of all that the dead one had.
      await ferry.run('--uplink', 'up0', '--mode', mode);
      assert.equal((await ferry.client.status()).uplink?.absent, null);
      const lanes = Array.from({ length: 4 }, async (_, lane) => {
        for (let i = lane; i < names.length; i += 4) await ferry.client.attachPort({ device: names[i] });
      });
      await Promise.all(lanes);
      await ferry.daemon.stop('SIGTERM');
      assert.deepEqual(await attachedPrograms(host.place), []);
      assert.equal(existsSync(join(ferry.directory, 'hurry')), false, 'and grace periods are what they were');
    });
  });
}
