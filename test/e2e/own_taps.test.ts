/** The daemon's own interfaces, the crossing and the host's tap, when somebody deletes them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Machine } from '../hook/support/lan.js';
import { Ferry, type Guest, HOST, holdings } from './support/ferry.js';
import { lacking, type Place, sleep, until } from './support/place.js';
import { attachedPrograms, NEEDS, ping, reaches, received, Site } from './support/uplink.js';

interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly txqlen: number;
  readonly flags: readonly string[];
  readonly linkinfo?: {
    readonly info_data?: { readonly multi_queue?: boolean; readonly numqueues?: number };
  };
}

async function linkOf(place: Place, name: string): Promise<Link | undefined> {
  const { code, stdout } = await place.try(`ip -j -d link show dev ${name}`);
  return code === 0 ? JSON.parse(stdout)[0] : undefined;
}

async function namesLike(place: Place, stem: string): Promise<string[]> {
  const links = JSON.parse(await place.run('ip -j link')) as { ifname: string }[];
  return links.map(({ ifname }) => ifname).filter((name) => name.startsWith(stem));
}

for (const [threads, mode] of [
  [1, 'tcx'],
  [2, 'clsact'],
] as const) {
  describe(`the crossing, ${threads} threads, ${mode}`, { skip: lacking(...NEEDS, 'tc') }, () => {
    let site: Site;
    let a: Machine;
    let c: Machine;
    before(async () => {
      site = await Site.make();
      await site.ferry.run('--uplink', 'up0', '--mode', mode, '--threads', `${threads}`);
      a = await site.embedded('a');
      c = await site.container('c');
    });
    after(() => site?.close());

    const crossing = async () => (await site.ferry.client.vifs()).find(({ kind }) => kind === 'crossing')!;
    const everybody = async () => {
      for (const [from, to] of [
        [a, site.remote],
        [a, site.host],
        [a, c],
        [site.remote, a],
        [c, a],
        [site.host, a],
      ] as const) {
        await reaches(from, to.v4);
        await reaches(from, to.v6);
      }
    };
    const said = (what: RegExp) => site.ferry.daemon.errors().match(new RegExp(what, 'g'))?.length ?? 0;

    test('is deleted: it is made anew as it was, and what it counted stays', async () => {
      const { place } = site.host;
      await everybody();
      const before = await linkOf(place, 'nfx0');
      const programs = (await attachedPrograms(place)).sort();
      const counted = (await crossing()).counters!;
      const held = holdings(site.ferry.daemon.pid);
      await place.run('ip link del nfx0');
      await until(
        'it is there again',
        async () => ((await linkOf(place, 'nfx0'))?.ifindex ?? 0) > before!.ifindex,
      );
      await everybody();
      const now = await linkOf(place, 'nfx0');
      const { ifindex: _, ...same } = now!;
      const { ifindex: __, ...wanted } = before!;
      assert.deepEqual(
        [same.mtu, same.txqlen, same.flags, same.linkinfo],
        [wanted.mtu, wanted.txqlen, wanted.flags, wanted.linkinfo],
      );
      assert.deepEqual((await attachedPrograms(place)).sort(), programs);
      assert.deepEqual(await namesLike(place, 'nfx'), ['nfx0']);
      const { state, reason, counters } = await crossing();
      assert.deepEqual([state, reason], ['connected', null]);
      assert.ok(counters!.in.frames > counted.in.frames && counters!.out.frames > counted.out.frames);
      await until('no descriptor is left', () => holdings(site.ferry.daemon.pid).fds <= held.fds);
      assert.equal(said(/nfx0 was deleted by somebody; until it is made anew vifs in user space reach/), 1);
      assert.equal(said(/netferry: nfx0 is there again/), 1);
      assert.equal(said(/looking after/), 0, site.ferry.daemon.errors());
    });

    test('while it is away, what is for guests in user space is dropped and counted, and does not go to the wire', async () => {
      const { place } = site.host;
      // Deleted so often that the next one has to wait.
      for (let i = 0; i < 3; i++) {
        const whole = async () => !!(await linkOf(place, 'nfx0')) && (await crossing()).state === 'connected';
        await until('it is there', whole, 20_000);
        await place.run('ip link del nfx0');
      }
      await until('that is said', async () => (await crossing()).state === 'absent');
      const { reason, carrier } = await crossing();
      assert.deepEqual([reason, carrier], ['nfx0 was deleted', false]);
      const gone = async () =>
        (await site.ferry.client.vifs()).find(({ name }) => name === 'pc')?.counters?.drops['port-gone'] ?? 0;
      const before = await gone();
      const seen = await received([site.remote], `ether dst ${a.mac}`, async () => {
        await c.place.run(`ip neigh replace ${a.v4} lladdr ${a.mac} dev eth0`);
        await c.place.try(['ping', '-n', '-q', '-c', '3', '-i', '0.05', '-W', '1', a.v4]);
      });
      if ((await crossing()).state === 'absent') assert.ok((await gone()) > before, 'counted');
      assert.equal(seen.remote, 0);
      await c.place.run(`ip neigh del ${a.v4} dev eth0`);
      await ping(c, site.remote.v4);
      await until('it is there again', async () => (await crossing()).state === 'connected', 20_000);
      await everybody();
    });

    test('is moved to another namespace, renamed, brought down, made short: it is as it was', async () => {
      const { place } = site.host;
      await place.run(`ip link set nfx0 netns ${c.place.pid}`);
      await until('it is missed', async () => (await crossing()).state === 'absent');
      await until('it is there again', async () => (await crossing()).state === 'connected', 40_000);
      await until('the other is gone', async () => (await namesLike(c.place, 'nfx')).length === 0, 20_000);
      await everybody();
      await place.run('ip link set nfx0 down && ip link set nfx0 name nfx7');
      await until('it is up', async () => (await linkOf(place, 'nfx7'))?.flags.includes('UP') === true);
      assert.equal((await site.ferry.client.status()).crossing, 'nfx7');
      await place.run('ip link set nfx7 mtu 1400');
      await until('it is long', async () => (await linkOf(place, 'nfx7'))?.mtu === 65_521);
      await everybody();
    });

    test('is deleted, and its name is another’s: it has the next one', async () => {
      const { place } = site.host;
      await sleep(100);
      await place.run("printf 'link del nfx7\\nlink add nfx7 type bridge\\n' | ip -batch -");
      await until('it is there again', async () => (await crossing()).state === 'connected' && (await crossing()).name !== 'nfx7', 40_000); // biome-ignore format: one condition
      await everybody();
      await place.run('ip link del nfx7');
    });

    test('nothing is left', async () => {
      await site.ferry.daemon.stop('SIGTERM');
      assert.deepEqual(await namesLike(site.host.place, 'nfx'), []);
      assert.deepEqual(await attachedPrograms(site.host.place), []);
    });
  });
}

describe('the host’s tap', { skip: lacking(...NEEDS) }, () => {
  let ferry: Ferry;
  let guest: Guest;
  before(async () => {
    ferry = await Ferry.start();
    guest = await ferry.guest('a');
  });
  after(() => ferry?.stop());

  const host = async () => (await ferry.client.vifs()).find(({ kind }) => kind === 'tap')!;
  const reached = async () => {
    for (const to of [HOST.v4, HOST.v6]) {
      const once = ['ping', '-n', '-q', '-c', '1', '-W', '1', to];
      await until(`the guest reaches ${to}`, async () => (await guest.try(once)).code === 0, 8000);
    }
  };

  test('is deleted: it is made anew, with its MAC and addresses', async () => {
    await reached();
    const before = await host();
    const held = holdings(ferry.daemon.pid);
    const addresses = () => ferry.host.run('ip -br address show dev nf0 scope global');
    const dressed = await addresses();
    const index = (await linkOf(ferry.host, 'nf0'))!.ifindex;
    await ferry.host.run('ip link del nf0');
    await until('it is there again', async () => ((await linkOf(ferry.host, 'nf0'))?.ifindex ?? 0) > index);
    await reached();
    assert.equal(await addresses(), dressed);
    const now = await host();
    assert.deepEqual([now.mac, now.mtu, now.state], [before.mac, before.mtu, 'connected']);
    assert.ok(now.counters!.in.frames > before.counters!.in.frames);
    await until('no descriptor is left', () => holdings(ferry.daemon.pid).fds <= held.fds);
    assert.match(
      ferry.daemon.errors(),
      /nf0 was deleted by somebody; until it is made anew the host and guests do/,
    );
    assert.match(ferry.daemon.errors(), /nf0 is there again/);
  });

  test('is deleted, and its name is another’s: that is said, and it is back when the name is free', async () => {
    await ferry.host.run("printf 'link del nf0\\nlink add nf0 type bridge\\n' | ip -batch -");
    await until('it is said', () => /nf0 cannot be made anew: /.test(ferry.daemon.errors()), 20_000);
    assert.equal((await host()).state, 'absent');
    await ferry.host.run('ip link del nf0');
    await until('it is back', async () => (await host()).state === 'connected', 40_000);
    await reached();
  });

  test('is brought down by its owner, and stays so', async () => {
    await ferry.host.run('ip link set nf0 down');
    await sleep(1500);
    assert.equal((await linkOf(ferry.host, 'nf0'))?.flags.includes('UP'), false);
    await ferry.host.run(`ip link set nf0 up; ip address add ${HOST.v6}/64 dev nf0 nodad`);
    await reached();
  });

  test('is deleted again and again: nothing spins, and in the end it is there', async () => {
    const cpu = () => {
      const stat = readFileSync(`/proc/${ferry.daemon.pid}/stat`, 'latin1');
      const [user, system] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13);
      return (Number(user) + Number(system)) / 100; // proc_pid_stat(5): ticks
    };
    const renewals = () => ferry.daemon.errors().match(/nf0 is there again/g)?.length ?? 0;
    const [before, made, begun] = [cpu(), renewals(), performance.now()];
    while (performance.now() - begun < 4000) {
      await ferry.host.try('ip link del nf0 2>/dev/null');
      await sleep(20);
    }
    assert.ok(renewals() - made <= 3, `${renewals() - made} times in four seconds`);
    assert.ok(cpu() - before < 2, `${cpu() - before} s of CPU time`);
    await until('it is back', async () => (await host()).state === 'connected', 40_000);
    await reached();
  });
});
