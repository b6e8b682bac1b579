/** Through the uplink: VLAN tags, jumbo frames, checksums; and the networks that have nf0 beside it, or no uplink. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROADCAST, frame } from '../hook/support/frames.js';
import { inject, type Machine, Sniffer } from '../hook/support/lan.js';
import { HOST } from './support/ferry.js';
import { protocolCounters } from './support/kernel_counters.js';
import { lacking, sleep, until } from './support/place.js';
import { EXPERIMENT, NEEDS, ping, received, Site, stream } from './support/uplink.js';

const MIB = 1 << 20;
const skip = lacking(...NEEDS, 'tshark');
const VERIFY = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);

describe('through the uplink', { skip }, () => {
  let site: Site;
  let a: Machine;
  let c: Machine;
  let directory: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'netferry-pcap-'));
    site = await Site.make();
    await site.ferry.run('--uplink', 'up0');
    a = await site.embedded('a');
    c = await site.container('c');
  });
  after(async () => {
    await site?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('VLAN-tagged frames arrive as they were sent, among guest, container, host and wire', async () => {
    const all = [site.host, site.remote, a, c];
    const tags: [number, number][] = [[0x8100, (3 << 13) | 42]];
    for (const from of all) {
      for (const to of all) {
        if (from === to) continue;
        const sniffer = await Sniffer.start(to.place, to.link, 'vlan 42');
        await inject(
          from,
          frame(to.mac, from.mac, EXPERIMENT, new Uint8Array(1500), tags),
          frame(BROADCAST, from.mac, EXPERIMENT, new Uint8Array(46), tags),
        );
        await until(`${from.name} to ${to.name}`, () => sniffer.frames().length >= 2);
        const frames = await sniffer.stop();
        assert.equal(frames.length, 2);
        for (const line of frames) assert.match(line, /802\.1Q.*vlan 42, p 3, .*0x88b5/);
        assert.match(frames[0], /length 1518: vlan/);
      }
    }
  });

  test('VLAN interfaces of guest, container, host and wire reach each other', async (t) => {
    const tagged: Machine[] = [];
    for (const [i, one] of [site.host, site.remote, a, c].entries()) {
      const v4 = `10.210.0.${i + 1}`;
      const { code } = await one.place.try(
        `ip link add link ${one.link} name v42 type vlan id 42 && ip link set v42 up && ip address add ${v4}/24 dev v42`,
      );
      if (code !== 0) return t.skip('this kernel has no VLAN interfaces');
      tagged.push({ ...one, link: 'v42', v4 });
    }
    const [host, remote, va, vc] = tagged;
    for (const [from, to] of [
      [va, remote],
      [va, host],
      [va, vc],
      [vc, remote],
      [vc, host],
    ] as const) {
      await ping(from, to.v4);
      await ping(to, from.v4, '-s', '1472', '-M', 'do');
    }
    await stream(va, remote, remote.v4, 4 * MIB);
    await stream(remote, va, va.v4, 4 * MIB);
    await stream(va, vc, vc.v4, 4 * MIB);
    for (const { place } of tagged) await place.run('ip link del v42');
  });

  test('checksums on the wire are there and right, with offloads off at the far side', async () => {
    // The NIC of the host can neither segment nor sum: the kernel must do it on the way out.
    await site.host.place.run('ethtool -K up0 tx off tso off gso off sg off');
    const file = join(directory, 'wire.pcap');
    const dump = site.remote.place.start([
      'tcpdump', '-i', 'eth0', '-Q', 'in', '-B', '16384', '-Z', 'root', '-U', '-w', file, 'tcp or udp',
    ]); // biome-ignore format: one command
    await sleep(1000);
    for (const from of [a, c]) {
      await stream(from, site.remote, site.remote.v4, MIB);
      await stream(from, site.remote, site.remote.v6, MIB);
    }
    await sleep(300);
    await dump.stop('SIGINT');
    const fields = ['ip.checksum.status', 'tcp.checksum.status', 'frame.len'].flatMap((name) => ['-e', name]);
    const table = await site.host.place.run(['tshark', '-r', file, ...VERIFY, '-T', 'fields', ...fields]);
    const rows = table
      .trimEnd()
      .split('\n')
      .map((row) => row.split('\t'));
    assert.ok(rows.length > 1000, `${rows.length} segments`);
    for (const [ip, tcp, length] of rows) {
      assert.match(ip, /^(1|Good)?$/);
      assert.match(tcp, /^(1|Good)$/);
      assert.ok(Number(length) <= 1514, `${length} bytes on the wire`);
    }
    await site.host.place.run('ethtool -K up0 sg on tx on tso on gso on');
    for (const one of [site.host, site.remote, a, c]) {
      const counters = await protocolCounters(one.place);
      for (const name of ['Tcp.InCsumErrors', 'Udp.InCsumErrors', 'Icmp.InCsumErrors', 'Icmp6InCsumErrors']) {
        assert.equal(counters.get(name) ?? 0, 0, `${one.name}: ${name}`);
      }
    }
  });

  test('no frame was dropped', async () => {
    for (const { name, counters } of await site.ferry.client.vifs()) {
      const { 'group-of-none': _, ...drops } = counters?.drops ?? {}; // before the first guest was there
      assert.deepEqual(drops, {}, name);
    }
  });
});

describe('jumbo frames through the uplink', { skip }, () => {
  test('MTU 9000, unfragmented', async () => {
    const site = await Site.make();
    try {
      await site.host.place.run('ip link set up0 mtu 9000');
      await site.remote.place.run('ip link set eth0 mtu 9000');
      await site.ferry.run('--uplink', 'up0');
      const a = await site.embedded('a');
      assert.match(await a.place.run('ip link show eth0'), /mtu 9000/, 'guests have the uplink’s MTU');
      const c = await site.container('c');
      await site.host.place.run('ip link set pc mtu 9000');
      await c.place.run('ip link set eth0 mtu 9000');
      for (const [from, to] of [
        [a, site.remote],
        [site.remote, a],
        [a, site.host],
        [site.host, a],
        [a, c],
        [c, a],
        [c, site.remote],
      ] as const) {
        await ping(from, to.v4, '-s', '8972', '-M', 'do');
      }
      await stream(a, site.remote, site.remote.v4, 8 * MIB);
      await stream(site.remote, a, a.v6, 8 * MIB);
    } finally {
      await site.close();
    }
  });
});

describe('an uplink and a host port of its own', { skip }, () => {
  let site: Site;
  let a: Machine;
  before(async () => {
    site = await Site.make();
    await site.ferry.up('--uplink', 'up0');
    a = await site.embedded('a');
    await a.place.run('ip address add 10.206.0.9/24 dev eth0');
  });
  after(() => site?.close());

  test('a guest reaches the host at both, and the wire', async () => {
    await ping(a, HOST.v4);
    await ping(a, site.host.v4);
    await ping(a, site.host.v6);
    await ping(a, site.remote.v4);
    await ping(site.host, '10.206.0.9');
  });

  test('nothing of the wire or of the host itself comes in by nf0, nothing of nf0 by the uplink', async () => {
    const { host, remote } = site;
    const nf0 = { ...host, name: 'nf0', link: 'nf0', mac: (await site.ferry.vif(null)).mac };
    const all = [host, nf0, remote, a];
    const call = (from: Machine) =>
      received(all, `ether proto ${EXPERIMENT}`, () => inject(from, frame(BROADCAST, from.mac, EXPERIMENT)));
    assert.deepEqual(await call(remote), { host: 1, nf0: 0, remote: 0, a: 1 });
    assert.deepEqual(await call(host), { host: 0, nf0: 0, remote: 1, a: 1 });
    assert.deepEqual(await call(nf0), { host: 0, nf0: 0, remote: 0, a: 1 });
    assert.deepEqual(await call(a), { host: 1, nf0: 1, remote: 1, a: 0 }, 'once at each interface');
  });
});

describe('an attached interface that has an address of the host', { skip }, () => {
  test('is a port; that the host is not reached there is said', async () => {
    const site = await Site.make();
    try {
      await site.ferry.run('--uplink', 'up0');
      const c = await site.lan.guest('c');
      await site.host.place.run('ip address add 10.211.0.1/24 dev pc');
      await site.ferry.cli('attach', 'pc', '--mac', c.mac);
      await ping(c, site.host.v4);
      const said = 'port pc: the host is not reached at 10.211.0.1/24 on pc while that is a port';
      await until('it is said', () => site.ferry.daemon.errors().includes(said));
    } finally {
      await site.close();
    }
  });
});

describe('attached interfaces without an uplink', { skip }, () => {
  test('reach guests and the host port; the crossing is there only meanwhile', async () => {
    const site = await Site.make();
    try {
      await site.ferry.up();
      const a = await site.ferry.guest('a');
      const links = () => site.host.place.run('ip -o link');
      assert.doesNotMatch(await links(), /nfx0/);
      const c = await site.container('c');
      assert.match(await links(), /nfx0/);
      await c.place.run('ip address add 10.206.0.77/24 dev eth0');
      await c.place.run(['ping', '-n', '-q', '-c', '2', '-W', '2', HOST.v4]);
      await c.place.run(['ping', '-n', '-q', '-c', '2', '-W', '2', '-s', '60000', a.v4]);
      await a.run(['ping', '-n', '-q', '-c', '2', '-W', '2', '10.206.0.77']);
      const all: Machine[] = [
        { ...site.host, link: 'nf0' },
        { ...site.host, name: 'a', place: a, link: 'eth0' },
        c,
      ];
      const seen = await received(all, `ether proto ${EXPERIMENT}`, async () => {
        await inject(c, frame(BROADCAST, c.mac, EXPERIMENT));
        await inject(c, frame('02:00:00:00:99:99', c.mac, EXPERIMENT)); // nobody's
      });
      assert.deepEqual(seen, { host: 1, a: 1, c: 0 });
      await site.ferry.cli('detach', 'pc');
      await until('the crossing is gone', async () => !(await links()).includes('nfx0'));
      assert.equal((await site.ferry.client.status()).crossing, null);
      await a.run(['ping', '-n', '-q', '-c', '1', '-W', '2', HOST.v4]);
    } finally {
      await site.close();
    }
  });
});
