/** What owners of interfaces do to them while they are in use, with their own tools; and what hosts say when they begin. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { arp, BROADCAST, frame, ipv6, ND, nd, option } from '../hook/support/frames.js';
import { inject, type Machine, Sniffer } from '../hook/support/lan.js';
import { lacking, type Place, until } from './support/place.js';
import { attachedPrograms, EXPERIMENT, NEEDS, ping, reaches, received, Site } from './support/uplink.js';

const skip = lacking(...NEEDS, 'tc', 'bpftool', 'ndisc6', 'dhcpd', 'dhclient');

for (const mode of ['tcx', 'clsact']) {
  describe(`interfaces in use, ${mode}`, { skip }, () => {
    let site: Site;
    let a: Machine;
    let c: Machine;
    let d: Machine;
    before(async () => {
      site = await Site.make();
      await site.ferry.run('--uplink', 'up0', '--mode', mode);
      a = await site.embedded('a');
      c = await site.container('c');
      d = await site.lan.guest('d');
      await site.ferry.cli('attach', 'pd', '--mac', d.mac, '--address', d.v4, '--address', d.v6);
    });
    after(() => site?.close());

    const uplink = async () => (await site.ferry.client.status()).uplink;
    const vif = async (name: string) => (await site.ferry.client.vifs()).find((one) => one.name === name);
    const dress = async () => {
      const { place, v4, v6 } = site.host;
      await place.run(`ip address add ${v4}/24 dev up0; ip address add ${v6}/64 dev up0 nodad; true`);
    };
    const everybody = async () => {
      for (const [from, to] of [
        [a, site.remote],
        [c, site.remote],
        [d, site.remote],
        [a, site.host],
        [c, site.host],
        [site.remote, d],
        [a, c],
      ] as const) {
        await reaches(from, to.v4);
      }
    };

    test('the uplink goes to another namespace and comes back', async () => {
      const { host, remote } = site;
      await host.place.run(`ip link set up0 netns ${d.place.pid}`);
      await until('it is missed', async () => (await uplink())?.absent === 'up0 is gone');
      await ping(a, c.v4);
      assert.deepEqual(await attachedPrograms(d.place), [], 'nothing of ours went with it');
      await d.place.run('ip link set up0 up'); // a filter is brought up to date only while the interface is up
      const [there] = JSON.parse(await d.place.run('ip -j -d link show up0'));
      assert.deepEqual([there.promiscuity, there.allmulti ?? 0], [0, 0]);
      await d.place.run(`ip link set up0 netns ${host.place.pid}`);
      await host.place.run('ip link set up0 up');
      await dress();
      await until('it is back', async () => (await uplink())?.absent === null);
      await reaches(host, remote.v4);
      await everybody();
    });

    test('the uplink is renamed while it is down', async () => {
      const { place } = site.host;
      await place.run('ip link set up0 down && ip link set up0 name lan0');
      await until('the new name is shown', async () => (await uplink())?.name === 'lan0');
      await place.run('ip link set lan0 name up0');
      await until('the old name is shown', async () => (await uplink())?.name === 'up0');
      await place.run('ip link set up0 up');
      await dress();
      await everybody();
      assert.equal((await uplink())?.absent, null);
    });

    test('MTUs grow and shrink', async () => {
      const [{ host, remote }, big] = [site, ['-s', '8000', '-M', 'do']];
      const all = [
        [host.place, 'up0'],
        [host.place, 'pc'],
        [remote.place, 'eth0'],
        [c.place, 'eth0'],
      ] as const;
      for (const [place, link] of all) await place.run(`ip link set ${link} mtu 9000`);
      for (const to of [remote, host]) await ping(c, to.v4, ...big);
      await ping(remote, c.v4, ...big);
      assert.equal((await vif('pc'))?.mtu, 9000);
      for (const [place, link] of all) await place.run(`ip link set ${link} mtu 1500`);
      assert.equal((await vif('pc'))?.mtu, 1500);
      await dress();
      await everybody();
    });

    test('a port’s owner changes its MAC: from another than was given nothing is taken', async () => {
      const spoofed = async () => (await vif('pc'))?.counters?.drops['spoofed-source'] ?? 0;
      const before = await spoofed();
      await c.place.run('ip link set eth0 address 02:00:00:09:0c:0c');
      const out = await c.place.try(['ping', '-n', '-q', '-c', '2', '-i', '0.2', '-W', '1', site.remote.v4]);
      assert.notEqual(out.code, 0);
      assert.ok((await spoofed()) > before);
      await c.place.run(`ip link set eth0 address ${c.mac}`);
      for (const { place } of [a, site.remote, site.host]) await place.run('ip neigh flush all');
      await everybody();
    });

    test('the uplink gets the MAC of a port: that is said, the port keeps it, and the next MAC is followed', async () => {
      const { place, mac } = site.host;
      await place.run(`ip link set up0 address ${c.mac}`);
      await until('it is said', () => site.ferry.daemon.errors().includes(`MAC ${c.mac} is port pc's`));
      await ping(a, c.v4);
      await place.run('ip link set up0 address 02:00:00:09:0c:01');
      await until('it is known', async () => (await uplink())?.mac === '02:00:00:09:0c:01');
      for (const { place } of [a, c, d, site.remote]) await place.run('ip neigh flush all');
      await everybody();
      await place.run(`ip link set up0 address ${mac}`);
      await until('it is known', async () => (await uplink())?.mac === mac);
      for (const { place } of [a, c, d, site.remote]) await place.run('ip neigh flush all');
      await everybody();
    });

    test('somebody takes away programs, qdiscs and all: they are back at once', async () => {
      const { place } = site.host;
      const there = async () => (await attachedPrograms(place)).sort();
      const before = await there();
      for (const device of ['up0', 'pc', 'nfx0']) {
        if (mode === 'clsact') await place.run(`tc qdisc del dev ${device} clsact`);
        else {
          const links = await tcxLinks(place, device);
          for (const id of links) await place.run(`bpftool link detach id ${id}`);
        }
        await until(`${device} has them again`, async () => (await there()).join() === before.join());
      }
      const said = site.ferry.daemon.errors();
      assert.match(said, /uplink up0: the programs on up0 were taken away; it is attached again\n/);
      assert.match(said, /port pc: the program on pc was taken away; it is attached again\n/);
      await everybody();
    });

    test('the uplink becomes a bridge’s, with the host’s addresses, and is let go again', async () => {
      const { place, mac, v4 } = site.host;
      await place.run(
        `ip link add br0 address ${mac} type bridge && ip link set br0 up && ip link set up0 master br0 &&
         ip address flush dev up0 && ip address add ${v4}/24 dev br0`,
      );
      await everybody();
      await place.run('ip link set up0 nomaster && ip link del br0');
      await dress();
      await everybody();
      assert.equal((await uplink())?.absent, null);
    });

    test('a learning port: who comes after its carrier was lost may have another MAC', async () => {
      await site.ferry.cli('detach', 'pc');
      await site.ferry.cli('attach', 'pc', '--learn', '1');
      await reaches(c, site.remote.v4);
      await c.place.run('ip link set eth0 down && ip link set eth0 address 02:00:00:09:0c:0d');
      await until('it is forgotten', async () => (await vif('pc'))?.macs.length === 0);
      await c.place.run('ip link set eth0 up');
      for (const { place } of [a, site.remote, site.host]) await place.run('ip neigh flush all');
      await reaches(c, site.remote.v4);
      assert.deepEqual((await vif('pc'))?.macs, ['02:00:00:09:0c:0d']);
      await c.place.run(`ip link set eth0 down && ip link set eth0 address ${c.mac}`);
      await site.ferry.cli('detach', 'pc');
      await c.place.run(`ip link set eth0 up && ip address add ${c.v6}/64 dev eth0 nodad`);
      await site.ferry.cli('attach', 'pc', '--mac', c.mac);
      for (const { place } of [a, site.remote, site.host]) await place.run('ip neigh flush all');
      await everybody();
    });

    test('group frames behind VLAN tags reach everybody else once, as they were sent', async () => {
      const [one, two] = [[[0x8100, 0x6007]], [[0x88a8, 0x0009], [0x8100, 0x0007]]] as [number, number][][]; // biome-ignore format: tags
      const machines = [a, c, d, site.remote, site.host];
      for (const [tags, expected] of [
        [one, /802\.1Q.* vlan 7, p 3, .*0x88b5/],
        [two, /802\.1Q-QinQ.* vlan 9.* vlan 7,.*0x88b5/],
      ] as const) {
        for (const from of machines) {
          const others = machines.filter((machine) => machine !== from);
          const sniffers = await Promise.all(
            machines.map(({ place, link }) => Sniffer.start(place, link, `ether src ${from.mac}`)),
          );
          await inject(
            from,
            frame(BROADCAST, from.mac, EXPERIMENT, new Uint8Array(46).fill(0xa5), [...tags]),
          );
          const matching = (i: number) => sniffers[i].frames().filter((line) => expected.test(line)).length;
          await until(`all have that of ${from.name}`, () =>
            others.every((machine) => matching(machines.indexOf(machine)) > 0),
          );
          const counts = machines.map((_, i) => matching(i));
          assert.deepEqual(counts, machines.map((machine) => (machine === from ? 0 : 1)), from.name); // biome-ignore format: one line
          await Promise.all(sniffers.map((sniffer) => sniffer.stop()));
        }
      }
    });

    test('a host that begins: probes and announcements of its addresses pass, others’ do not', async () => {
      const other = a.v4;
      const others = [a, c, site.remote];
      const arrive = (filter: string, ...frames: Uint8Array[]) =>
        received(others, filter, () => inject(d, ...frames));
      const say = (operation: number, ip: string, target: string) =>
        frame(BROADCAST, d.mac, 0x0806, arp(operation, d.mac, ip, target));
      const all = Object.fromEntries(others.map(({ name }) => [name, 1]));
      const none = Object.fromEntries(others.map(({ name }) => [name, 0]));
      const from = `arp and ether src ${d.mac}`;
      assert.deepEqual(await arrive(from, say(1, '0.0.0.0', d.v4)), all, 'ARP probe (RFC 5227)');
      assert.deepEqual(await arrive(from, say(1, d.v4, d.v4)), all, 'ARP announcement');
      assert.deepEqual(await arrive(from, say(2, d.v4, d.v4)), all, 'gratuitous ARP reply');
      assert.deepEqual(await arrive(from, say(1, other, other)), none, 'announcement of another’s');
      assert.deepEqual(await arrive(from, say(1, '0.0.0.0', other)), none, 'probe of another’s');
      const advert = (address: string) =>
        frame(
          '33:33:00:00:00:01',
          d.mac,
          0x86dd,
          ipv6(d.v6, 'ff02::1', 58, nd(ND.advert, address, option(2, d.mac))),
        );
      const ndFrom = `icmp6 and ether src ${d.mac}`;
      assert.deepEqual(await arrive(ndFrom, advert(d.v6)), all, 'unsolicited advertisement');
      assert.deepEqual(await arrive(ndFrom, advert(a.v6)), none, 'advertisement of another’s');
      const drops = (await vif('pd'))?.counters?.drops;
      assert.deepEqual([drops?.['spoofed-arp'], drops?.['spoofed-nd']], [2, 1]);
    });

    test('duplicate detection: one’s own address is taken, a twin of it is found out, and nobody is told that his is another’s', async () => {
      const tentative = async (address: string) => {
        await d.place.run(`ip address add ${address}/64 dev eth0`);
        const state = async () => JSON.parse(await d.place.run('ip -j -6 address show dev eth0'))[0].addr_info as { local: string; tentative?: boolean; dadfailed?: boolean }[]; // biome-ignore format: one command
        const entry = async () => (await state()).find(({ local }) => local === address.replace('::0', '::'));
        await until('it is decided', async () => {
          const now = await entry();
          return now !== undefined && (!now.tentative || now.dadfailed === true);
        });
        return (await entry())?.dadfailed === true;
      };
      const refused = async () => (await vif('pd'))?.counters?.drops['spoofed-nd'] ?? 0;
      await d.place.run(`ip address del ${d.v6}/64 dev eth0`);
      for (const twin of [site.remote, c]) {
        await twin.place.run(`ip address add ${d.v6}/64 dev eth0 nodad`);
        assert.equal(await tentative(d.v6), true, `${twin.name} answers`);
        await d.place.run(`ip address del ${d.v6}/64 dev eth0`);
        await twin.place.run(`ip address del ${d.v6}/64 dev eth0`);
      }
      assert.equal(await tentative(d.v6), false);
      // An owner who is about to take his address would give it up if somebody else asked for it (RFC 4862, 5.4.3).
      for (const { v6 } of [site.remote, c]) {
        const before = await refused();
        assert.equal(await tentative(v6), false, 'nobody is asked');
        assert.ok((await refused()) > before);
        await d.place.run(`ip address del ${v6}/64 dev eth0`);
      }
      assert.match(await d.place.run(`ndisc6 -q ${site.remote.v6} eth0`), new RegExp(site.remote.mac, 'i'));
      await reaches(d, site.remote.v6);
    });

    test('an IPv6 address that was not given (privacy, RFC 8981) is not heard, the given one is', async () => {
      const privacy = 'fd4e:4652:9::a1b2:c3d4:e5f6:789';
      await d.place.run(`ip address add ${privacy}/64 dev eth0 nodad`);
      const from = async (source: string) => (await d.place.try(['ping', '-n', '-q', '-c', '1', '-W', '1', '-I', source, site.remote.v6])).code; // biome-ignore format: one command
      const before = (await vif('pd'))?.counters?.drops['spoofed-ip'] ?? 0;
      assert.notEqual(await from(privacy), 0);
      const drops = (await vif('pd'))?.counters?.drops;
      assert.ok((drops?.['spoofed-ip'] ?? 0) + (drops?.['spoofed-nd'] ?? 0) > before);
      assert.equal(await from(d.v6), 0);
      await d.place.run(`ip address del ${privacy}/64 dev eth0`);
    });

    test('DHCP by who has its addresses given', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'netferry-dhcp-'));
      const config = `subnet 10.209.0.0 netmask 255.255.255.0 {}\nhost d { hardware ethernet ${d.mac}; fixed-address ${d.v4}; }\n`;
      writeFileSync(join(directory, 'dhcpd.conf'), config);
      writeFileSync(join(directory, 'leases'), '');
      const serve = `exec dhcpd -4 -f -d -cf ${directory}/dhcpd.conf -lf ${directory}/leases -pf ${directory}/dhcpd.pid eth0 2>&1`;
      const server = site.remote.place.start(serve);
      await until('dhcpd listens', () => /Server starting service/.test(server.text()));
      await d.place.run('ip address flush dev eth0 scope global');
      const ask = `dhclient -4 -1 -d -sf /bin/true -lf ${directory}/client -pf ${directory}/dhclient.pid eth0 2>&1`;
      const client = d.place.start(ask);
      await until(
        'it has its address',
        () => new RegExp(`DHCPACK of ${d.v4}|bound to ${d.v4}`).test(client.text()),
        15_000,
      );
      await client.stop();
      await server.stop();
      rmSync(directory, { recursive: true });
      await d.place.run(`ip address add ${d.v4}/24 dev eth0 && ip address add ${d.v6}/64 dev eth0 nodad`);
      await reaches(d, site.remote.v4);
    });
  });
}

/** Ids of the TCX links on an interface. */
async function tcxLinks(place: Place, device: string): Promise<number[]> {
  const source = (name: string) => JSON.stringify(new URL(`../../src/sys/${name}.js`, import.meta.url));
  const script = `
    import { linkIndex } from ${source('netlink')};
    import { tcxQuery } from ${source('bpf')};
    const links = [46, 47].flatMap((type) => tcxQuery(linkIndex('${device}'), type).programs);
    console.log(JSON.stringify(links.map(({ link }) => link)));`;
  return JSON.parse(await place.run([process.execPath, '--input-type=module', '-e', script]));
}
