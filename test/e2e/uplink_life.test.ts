/** What befalls an uplink, its ports and its daemon; the host's own sessions go on through all of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Foreign } from '../hook/support/foreign.js';
import { arp, BROADCAST, frame } from '../hook/support/frames.js';
import { inject, type Machine } from '../hook/support/lan.js';
import { ENTRY } from './support/ferry.js';
import { lacking, sleep, until } from './support/place.js';
import {
  attachedPrograms,
  EXPERIMENT,
  NEEDS,
  ping,
  reaches,
  received,
  Session,
  Site,
} from './support/uplink.js';

/** ms that a session of the host may ever stand still. */
const STALL = 1000;
const skip = lacking(...NEEDS, 'tc');

for (const mode of ['tcx', 'clsact']) {
  describe(`the host's own session, ${mode}`, { skip }, () => {
    let site: Site;
    let before_: string[];
    before(async () => {
      site = await Site.make();
      before_ = await leftovers(site);
    });
    after(() => site?.close());

    test('never stalls: attach, guests, detach, kill -9, restart, SIGTERM; nothing is left', async () => {
      const { ferry, host, remote } = site;
      const out = await Session.open(host.place, remote.place, remote.v4);
      const options = ['--uplink', 'up0', '--mode', mode];
      await ferry.run(...options);
      const a = await site.embedded('a');
      const c = await site.container('c');
      for (const from of [a, c]) await ping(from, remote.v4);
      const there = await attachedPrograms(host.place);
      assert.deepEqual(there.sort(), [
        'nfx0 ingress netferry_port',
        'pc ingress netferry_port',
        'up0 egress netferry_out',
        'up0 ingress netferry_in',
      ]);
      await ferry.cli('detach', 'pc');
      await ferry.cli('guest', 'rm', 'a');
      await ferry.cli('attach', 'pc', '--mac', c.mac);
      await ferry.daemon.stop('SIGKILL');
      await sleep(200);
      // Filters cannot go with a process; the next daemon sweeps them.
      if (mode === 'tcx') assert.deepEqual(await attachedPrograms(host.place), []);
      await ping(host, remote.v4);
      await ferry.run(...options);
      await ferry.cli('attach', 'pc', '--mac', c.mac);
      await ping(c, remote.v4);
      await ping(c, host.v4);
      await ferry.daemon.stop('SIGTERM');
      const { bytes, longest, failure } = await out.close();
      assert.equal(failure, '');
      assert.ok(bytes > 100, `${bytes} bytes`);
      assert.ok(longest < STALL, `it stood still for ${longest} ms`);
      assert.deepEqual(await leftovers(site), before_);

      await ferry.run(...options);
      await ferry.daemon.stop('SIGKILL');
      await until('its tap is gone', async () => !(await host.place.run('ip -o link')).includes('nfx0'));
      await ferry.run('--no-host');
      assert.deepEqual(await leftovers(site), before_, 'the next daemon sweeps, whatever it is for');
      await ferry.daemon.stop('SIGTERM');
    });
  });
}

/** Interfaces, programs and qdiscs of the host, and whether its uplink is promiscuous. */
async function leftovers({ host }: Site): Promise<string[]> {
  const links = JSON.parse(await host.place.run('ip -j -d link')) as {
    ifname: string;
    promiscuity: number;
  }[];
  const names = links.map(({ ifname, promiscuity }) => `${ifname} ${promiscuity}`);
  const programs = await attachedPrograms(host.place);
  const qdiscs = (await host.place.run('tc qdisc')).split('\n').filter((line) => line.includes('clsact'));
  return [...names.filter((name) => !name.startsWith('pc ')), ...programs, ...qdiscs];
}

describe('an uplink', { skip }, () => {
  let site: Site;
  let a: Machine;
  let c: Machine;
  before(async () => {
    site = await Site.make();
    await site.ferry.run('--uplink', 'up0');
    a = await site.embedded('a');
    c = await site.container('c');
  });
  after(() => site?.close());

  const uplink = async () => (await site.ferry.client.status()).uplink;
  const addresses = () =>
    `ip address add ${site.host.v4}/24 dev up0; ip address add ${site.host.v6}/64 dev up0 nodad`;
  const everybody = async () => {
    for (const [from, to] of [
      [a, site.remote],
      [c, site.remote],
      [a, site.host],
      [c, site.host],
      [a, c],
    ] as const) {
      await reaches(from, to.v4);
    }
  };

  test('goes down and up', async () => {
    const { place } = site.host;
    await place.run('ip link set up0 down');
    await ping(a, c.v4);
    await place.run(`ip link set up0 up; ${addresses()} 2>/dev/null || true`);
    await everybody();
  });

  test('loses and finds its cable', async () => {
    await site.remote.place.run('ip link set eth0 down');
    await ping(a, c.v4);
    await site.remote.place.run(`ip link set eth0 up && ip address add ${site.remote.v6}/64 dev eth0 nodad`);
    await everybody();
  });

  test('is renamed', async () => {
    const { place } = site.host;
    await place.run('ip link set up0 down; ip link set up0 name lan0 && ip link set lan0 up');
    await until('the new name is shown', async () => (await uplink())?.name === 'lan0');
    await everybody();
    await place.run('ip link set lan0 down; ip link set lan0 name up0 && ip link set up0 up');
    await until('the old name is shown', async () => (await uplink())?.name === 'up0');
    await everybody();
  });

  test('what befalls it is noticed at once, not at the next look', async () => {
    const { place } = site.host;
    const rename = async (from: string, to: string) => {
      await place.run(`ip link set ${from} down; ip link set ${from} name ${to} && ip link set ${to} up`);
      const renamed = performance.now();
      await until('the new name is shown', async () => (await uplink())?.name === to);
      return performance.now() - renamed;
    };
    const taken: number[] = [];
    for (let round = 0; round < 3; round++) {
      taken.push(await rename('up0', 'lan0'), await rename('lan0', 'up0'));
    }
    // A look each second would take half of one, six times.
    assert.ok(Math.max(...taken) < 500, `${taken.map(Math.round).join(', ')} ms`);
    await place.run(`${addresses()} 2>/dev/null || true`);
    await everybody();
  });

  test('guests’ frames skip it while nothing on it would miss them', async () => {
    const { place } = site.host;
    const through = async () => (await uplink())?.through;
    await until('they skip it', async () => (await through()) === null);
    await place.run('tc qdisc add dev up0 root tbf rate 1gbit burst 100k latency 9ms');
    await until('they pass through it', async () => /tbf/.test((await through()) ?? ''));
    for (const from of [a, c]) await ping(from, site.remote.v4);
    await place.run('tc qdisc del dev up0 root');
    await until('they skip it', async () => (await through()) === null);
    for (const from of [a, c]) await ping(from, site.remote.v4);
    assert.match(await site.ferry.cli('status'), /by tcx, promiscuous, skipped by guests’ frames/);
  });

  test('gets another MAC', async () => {
    const { host } = site;
    await host.place.run('ip link set up0 address 02:00:00:09:00:99');
    await until('it is known', async () => (await uplink())?.mac === '02:00:00:09:00:99');
    for (const { place } of [a, c, site.remote]) await place.run('ip neigh flush all');
    await everybody();
    const refused = await site.refused('guest', 'run', 'x', '-d', '--mac', '02:00:00:09:00:99');
    assert.match(refused.message, /MAC 02:00:00:09:00:99 is the host \(up0\)'s/);
    await host.place.run(`ip link set up0 address ${host.mac}`);
    await until('it is known', async () => (await uplink())?.mac === host.mac);
    for (const { place } of [a, c, site.remote]) await place.run('ip neigh flush all');
    await everybody();
  });

  test('gets another MAC and back, while an interface on it keeps the first: nothing stops being looked after', async () => {
    const { place, mac } = site.host;
    const known = (wanted: string) => until('it is known', async () => (await uplink())?.mac === wanted);
    const who = async (mac: string) => (await site.refused('guest', 'run', 'x', '-d', '--mac', mac)).message;
    for (let round = 0; round < 2; round++) {
      await place.run('ip link set up0 address 02:00:00:09:00:98');
      await known('02:00:00:09:00:98');
      await place.run(`bridge fdb add ${mac} dev up0 self`); // as a VLAN interface has it there
      await sleep(1200); // no event tells of it
      assert.match(await who(mac), /an interface on up0's/);
      await place.run(`ip link set up0 address ${mac}`);
      await known(mac);
      assert.match(await who(mac), /the host \(up0\)'s/);
      for (const { place } of [a, c, site.remote]) await place.run('ip neigh flush all');
      await everybody();
      await place.run(`bridge fdb del ${mac} dev up0 self`);
      // The look each second leaves the uplink its MAC, too.
      await sleep(1100);
      await everybody();
    }
    await place.run('ip link set up0 down; ip link set up0 name lan0 && ip link set lan0 up');
    await until('the new name is shown', async () => (await uplink())?.name === 'lan0');
    await place.run('ip link set lan0 down; ip link set lan0 name up0 && ip link set up0 up');
    await until('the old name is shown', async () => (await uplink())?.name === 'up0');
    assert.doesNotMatch(site.ferry.daemon.text(), /looking after interfaces/);
    await place.run(`${addresses()} 2>/dev/null || true`);
    await everybody();
  });

  test('has a macvlan of the host’s, in a container: guests and the wire reach it, and nobody takes its MAC', async () => {
    const { host, remote } = site;
    const inner = await site.lan.guest('m'); // a namespace; its veth is not used
    const mac = '02:00:00:09:00:77';
    const link = `ip link add link up0 name mv0 address ${mac} netns ${inner.place.pid} type macvlan mode bridge`;
    await host.place.run(link);
    await inner.place.run(
      'ip address flush dev eth0 && ip link set mv0 up && ip address add 10.209.0.77/24 dev mv0',
    );
    const m = { ...inner, link: 'mv0', mac, v4: '10.209.0.77' };
    await until('its MAC is known', async () => {
      const run = [
        process.execPath,
        ENTRY,
        '--dir',
        site.ferry.directory,
        'guest',
        'run',
        'x',
        '-d',
        '--mac',
        mac,
      ];
      const { code, stderr } = await host.place.try(run);
      if (code === 0) await site.ferry.cli('guest', 'rm', 'x'); // it was quicker than the look at up0
      return /MAC 02:00:00:09:00:77 is an interface on up0's/.test(stderr);
    });
    for (const one of [a, c, remote]) {
      await reaches(one, m.v4);
      await m.place.run(['ping', '-n', '-q', '-c', '1', '-W', '2', one.v4]);
    }
    await m.place.run('ip link set mv0 address 02:00:00:09:00:78');
    for (const { place } of [a, c, remote]) await place.run('ip neigh flush all');
    for (const one of [a, c, remote]) await reaches(one, m.v4);
    await m.place.run('ip link del mv0');
    await until('its MAC is free', async () => {
      const { code } = await host.place.try([
        process.execPath, ENTRY, '--dir', site.ferry.directory, 'guest', 'run', 'x', '-d', '--mac', mac,
      ]); // biome-ignore format: one command
      return code === 0;
    });
    await site.ferry.cli('guest', 'rm', 'x');
  });

  test('vanishes and comes back; guests reach each other meanwhile', async () => {
    const { host, remote } = site;
    await host.place.run('ip link del up0');
    await until('it is missed', async () => (await uplink())?.absent === 'up0 is gone');
    await ping(a, c.v4);
    await host.place.run(`ip link add up0 type veth peer name eth0 netns ${remote.place.pid}`);
    for (const { place, link, mac, v4, v6 } of [host, remote]) {
      await place.run(
        `ip link set ${link} address ${mac} && ip link set ${link} up &&
         ip address add ${v4}/24 dev ${link} && ip address add ${v6}/64 dev ${link} nodad`,
      );
    }
    await until('it is back', async () => (await uplink())?.absent === null);
    await everybody();
  });

  test('comes back with the MAC of a port: that is said, nothing is attached, and another MAC mends it at once', async () => {
    const { host, remote } = site;
    await host.place.run('ip link del up0');
    await until('it is missed', async () => (await uplink())?.absent === 'up0 is gone');
    await host.place.run(
      `ip link add up0 address ${c.mac} type veth peer name eth0 netns ${remote.place.pid}`,
    );
    await until('that is said', async () => (await uplink())?.absent === `MAC ${c.mac} is port pc's`);
    assert.deepEqual(
      (await attachedPrograms(host.place)).filter((line) => line.startsWith('up0')),
      [],
    );
    for (const { place, link, mac, v4, v6 } of [host, remote]) {
      await place.run(
        `ip link set ${link} address ${mac} && ip link set ${link} up &&
         ip address add ${v4}/24 dev ${link} && ip address add ${v6}/64 dev ${link} nodad`,
      );
    }
    await until('it is back', async () => (await uplink())?.absent === null);
    await everybody();
  });

  test('another’s program on a port sees frames soon, though the kernel tells of none', async () => {
    await reaches(site.remote, c.v4);
    const foreign = await Foreign.start(site.host.place, 'pc', 'tcx', 'egress');
    await until('it counts', async () => {
      await ping(site.remote, c.v4);
      return (await foreign.count()) > 0;
    });
    await foreign.stop();
    await everybody();
  });

  test('a container that starts anew has its port again', async () => {
    const port = async () => (await site.ferry.client.vifs()).find(({ name }) => name === 'pc');
    await site.host.place.run('ip link del pc');
    await until('it is missed', async () => (await port())?.state === 'absent');
    assert.equal((await port())?.reason, 'pc is gone');
    await site.host.place.run(`ip link add pc type veth peer name eth0 netns ${c.place.pid}`);
    await c.place.run(
      `ip link set eth0 address ${c.mac} && ip link set eth0 up && ip address add ${c.v4}/24 dev eth0`,
    );
    await until('it is back', async () => (await port())?.state === 'connected');
    await everybody();
  });

  test('a port is renamed, and moved out of the namespace: it is no port any more', async () => {
    const port = async () => (await site.ferry.client.vifs()).find(({ name }) => name === 'pc');
    const { place } = site.host;
    await place.run('ip link set pc down; ip link set pc name renamed && ip link set renamed up');
    await everybody();
    await until('the new name is known', async () =>
      /renamed is attached/.test((await site.refused('attach', 'renamed')).message),
    );
    await place.run(`ip link set renamed netns ${site.remote.place.pid}`);
    await until('it is missed', async () => (await port())?.state === 'absent');
    await site.remote.place.run(`ip link set renamed netns ${place.pid}`);
    await place.run('ip link set renamed name pc');
    await until('it is back', async () => (await port())?.state === 'connected');
    assert.match(await place.run('ip link show pc'), /state UP|,UP/, 'and it is up again');
    await everybody();
  });

  test('a vif comes and goes: nobody else loses a frame', async () => {
    const flood = a.place.start(['ping', '-n', '-q', '-i', '0.005', '-c', '600', '-W', '2', site.remote.v4]);
    for (let round = 0; round < 3; round++) {
      const name = `x${round}`;
      await site.embedded(name);
      await site.ferry.cli('guest', 'rm', name);
    }
    const { stdout } = await flood.ended;
    assert.match(stdout, /600 packets transmitted, 600 received/);
  });
});

describe('learning', { skip }, () => {
  let site: Site;
  let a: Machine;
  let c: Machine;
  before(async () => {
    site = await Site.make();
    await site.ferry.run('--uplink', 'up0', '--ageing', '3');
  });
  after(() => site?.close());

  const macs = async () => (await site.ferry.client.vifs()).find(({ name }) => name === 'pc')?.macs ?? [];

  test('a port learns what it sends from, others reach that, and it is forgotten', async () => {
    a = await site.embedded('a');
    c = await site.container('c', '--learn', '2');
    await c.place.run('ip link add link eth0 name inner type macvlan mode bridge');
    await c.place.run(
      'ip link set inner address 02:00:00:09:07:07 up && ip address add 10.209.0.77/24 dev inner',
    );
    await ping(c, a.v4);
    await c.place.run(['ping', '-n', '-q', '-c', '1', '-W', '2', '-I', 'inner', site.remote.v4]);
    assert.deepEqual([...(await macs())].sort(), [c.mac, '02:00:00:09:07:07'].sort());
    await ping(a, c.v4);
    await ping(site.remote, c.v4);
    assert.equal((await site.ferry.client.status()).uplink?.promiscuous, true);
    await c.place.run('ip link set eth0 down');
    await until('they are forgotten', async () => (await macs()).length === 0, 10_000);
  });

  test('a machine that moved to the wire, and says so, is found there', async () => {
    // It says nothing by itself.
    await c.place.run(
      'echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip link del inner; ip link set eth0 up',
    );
    await reaches(c, site.remote.v4);
    const spoken = frame(c.mac, a.mac, EXPERIMENT);
    const where = () => received([c, site.remote], `ether proto ${EXPERIMENT}`, () => inject(a, spoken));
    assert.deepEqual(await where(), { c: 1, remote: 0 });
    await c.place.run('ip link set eth0 arp off && ip neigh flush all');
    await inject(site.remote, frame(BROADCAST, c.mac, 0x0806, arp(1, c.mac, c.v4, c.v4)));
    assert.deepEqual(await macs(), []);
    assert.deepEqual(await where(), { c: 0, remote: 1 });
    await c.place.run('ip link set eth0 arp on');
    await reaches(c, a.v4);
    assert.deepEqual(await where(), { c: 1, remote: 0 }, 'and back');
  });

  test('nothing is learned where MACs were given', async () => {
    await site.ferry.cli('detach', 'pc');
    await site.ferry.cli('attach', 'pc', '--mac', '02:00:00:09:00:55', '--name', 'fixed');
    const vif = (await site.ferry.client.vifs()).find(({ name }) => name === 'fixed');
    assert.deepEqual(vif?.macs, ['02:00:00:09:00:55']);
    assert.equal((await site.ferry.cli('detach', 'pc')).trim(), 'pc is detached', 'by its device');
  });
});
