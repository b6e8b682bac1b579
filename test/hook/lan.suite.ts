/** What carries frames among ports, host and wire must do, whatever the way it is attached. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Mode } from '../../src/hook/attachment.js';
import type { HookOptions, PortOptions } from '../../src/hook/options.js';
import { lacking, sleep, until } from '../e2e/support/place.js';
import { arp, BROADCAST, frame, ipv4, ipv6, ND, nd, option } from './support/frames.js';
import { type HookProcess, inject, Lan, type Machine, Sniffer } from './support/lan.js';
import { senderRows } from './support/sender_evasions.js';
import * as senders from './support/senders.js';

/** Ethertype of local experiments: nobody's stack answers it. */
const EXPERIMENT = 0x88b5;
const NOBODY = '02:00:00:00:99:99';

/** Prints the hash of all bytes of one connection. */
const STREAM_SERVER = `
  const server = require('net').createServer(async (socket) => {
    const hash = require('crypto').createHash('sha256');
    for await (const data of socket) hash.update(data);
    console.log(hash.digest('hex'));
    server.close();
  });
  server.listen(5209, () => console.log('ready'));`;
/** Sends 32 MiB to argv[1] and prints their hash. */
const STREAM_CLIENT = `
  const data = require('crypto').randomBytes(32 << 20);
  require('net').connect(5209, process.argv[1]).end(data);
  console.log(require('crypto').createHash('sha256').update(data).digest('hex'));`;

export function lanSuite(
  title: string,
  mode: Mode,
  ports: Partial<PortOptions>,
  uplink: Partial<HookOptions> = {},
): void {
  const programs = ['tcpdump', 'ping', 'ip', 'ethtool', 'nsenter', 'setpriv', 'stdbuf'];
  describe(title, { skip: lacking(...programs) }, () => {
    let lan: Lan;
    let hook: HookProcess;
    let a: Machine;
    let b: Machine;
    let all: Machine[];
    const id = new Map<Machine, number>();

    before(async () => {
      lan = await Lan.make();
      [a, b] = [await lan.guest('a'), await lan.guest('b')];
      all = [lan.host, lan.remote, a, b];
      hook = await lan.hook(mode, uplink);
      for (const guest of [a, b]) id.set(guest, await lan.port(hook, guest, ports));
    });
    after(() => lan?.close());

    const ping = (from: Machine, to: string, ...options: string[]) =>
      from.place.run(['ping', '-n', '-c', '2', '-i', '0.05', '-W', '2', ...options, to]);

    /** Nobody knows a neighbour, so nobody probes whether one is still there. */
    async function quiet(): Promise<void> {
      for (const { place } of all) await place.run('ip neigh flush all; ip -6 neigh flush all');
    }

    /** Sniffs at every machine while frames are sent; the number each has received. */
    async function received(filter: string, act: () => Promise<void>): Promise<Record<string, number>> {
      const sniffers = await Promise.all(all.map(({ place, link }) => Sniffer.start(place, link, filter)));
      await act();
      await sleep(300); // also what must not come has had its time
      const frames = await Promise.all(sniffers.map((sniffer) => sniffer.stop()));
      return Object.fromEntries(all.map(({ name }, i) => [name, frames[i].length]));
    }

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

    test('group frames reach everybody else exactly once, and not their sender', async () => {
      for (const from of all) {
        for (const to of [BROADCAST, '33:33:00:00:4e:46', '01:00:5e:4e:46:01']) {
          const seen = await received(`ether proto ${EXPERIMENT}`, () =>
            inject(from, frame(to, from.mac, EXPERIMENT)),
          );
          const expected = Object.fromEntries(all.map((one) => [one.name, one === from ? 0 : 1]));
          assert.deepEqual(seen, expected, `${from.name} to ${to}`);
        }
      }
    });

    test('unicast reaches its receiver alone; what nobody owns the wire alone', async () => {
      const one = { host: 0, remote: 0, a: 0, b: 0 };
      const rows: [from: Machine, to: string, seen: Record<string, number>][] = [
        [a, b.mac, { ...one, b: 1 }],
        [a, lan.host.mac, { ...one, host: 1 }],
        [a, lan.remote.mac, { ...one, remote: 1 }],
        [a, NOBODY, { ...one, remote: 1 }],
        [a, a.mac, one],
        [lan.host, b.mac, { ...one, b: 1 }],
        [lan.host, lan.remote.mac, { ...one, remote: 1 }],
        [lan.remote, a.mac, { ...one, a: 1, host: 1 }], // tcpdump on the uplink stands before the hook
      ];
      for (const [from, to, expected] of rows) {
        const seen = await received(`ether proto ${EXPERIMENT}`, () =>
          inject(from, frame(to, from.mac, EXPERIMENT)),
        );
        assert.deepEqual(seen, expected, `${from.name} to ${to}`);
      }
      // The wire's unknown unicast may lie on the uplink (promiscuous veth), but comes to no guest.
      const seen = await received(`ether proto ${EXPERIMENT}`, () =>
        inject(lan.remote, frame(NOBODY, lan.remote.mac, EXPERIMENT)),
      );
      assert.deepEqual([seen.a, seen.b], [0, 0]);
    });

    test('groups of the link itself stay on it', async () => {
      const lldp = '01:80:c2:00:00:0e';
      const before = await hook.counters(id.get(a)!);
      const from = (one: Machine) =>
        received(`ether proto ${EXPERIMENT}`, () => inject(one, frame(lldp, one.mac, EXPERIMENT)));
      assert.deepEqual(await from(a), { host: 0, remote: 0, a: 0, b: 0 });
      assert.equal((await hook.counters(id.get(a)!)).dropReserved, before.dropReserved + 1);
      assert.deepEqual(await from(lan.remote), { host: 1, remote: 0, a: 0, b: 0 });
      assert.deepEqual(await from(lan.host), { host: 0, remote: 1, a: 0, b: 0 });
    });

    test('spoofed senders are dropped and counted', async () => {
      await quiet();
      const before = await hook.counters(id.get(a)!);
      await hook.call('setAddresses', id.get(a), [a.v4, a.v6]);
      const seen = await received(`ether host ${b.mac} or ether src ${a.mac}`, () =>
        inject(
          a,
          frame(BROADCAST, b.mac, EXPERIMENT),
          frame(lan.host.mac, lan.remote.mac, EXPERIMENT),
          frame(BROADCAST, a.mac, 0x0806, arp(2, a.mac, lan.host.v4, b.v4)),
          frame(BROADCAST, a.mac, 0x0806, arp(2, lan.host.mac, a.v4, b.v4)),
          frame(lan.host.mac, a.mac, 0x0800, ipv4(b.v4, lan.host.v4)),
          frame(b.mac, a.mac, 0x86dd, ipv6(b.v6, lan.host.v6, 17, new Uint8Array(8))),
          frame(b.mac, a.mac, 0x86dd, ipv6(a.v6, b.v6, 58, nd(ND.advert, lan.host.v6, option(2, a.mac)))),
        ),
      );
      assert.deepEqual(seen, { host: 0, remote: 0, a: 0, b: 0 });
      const now = await hook.counters(id.get(a)!);
      const rose = (name: keyof typeof now) => now[name] - before[name];
      assert.deepEqual(
        [rose('dropSpoofedMac'), rose('dropSpoofedArp'), rose('dropSpoofedIp'), rose('dropSpoofedNd')],
        [2, 2, 2, 1],
      );
      // The honest one goes on, ARP and ND from nothing included.
      for (const to of [lan.host, lan.remote, b]) {
        await a.place.run('ip neigh flush all; ip -6 neigh flush all');
        await ping(a, to.v4);
        await ping(a, to.v6);
        await to.place.run('ip neigh flush all; ip -6 neigh flush all');
        await ping(to, a.v4);
        await ping(to, a.v6);
      }
      await hook.call('setAddresses', id.get(a));
    });

    test('what somebody would try who is held to his addresses: the tag that the kernel has apart makes no difference', async () => {
      const [VLAN, PRIORITY] = [[0x8100, 7], [0x8100, 0]] as [number, number][]; // biome-ignore format: tags
      const s = await lan.guest('s');
      // Its stack says nothing of its own.
      const quiet = 'echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 && ip address flush dev eth0';
      await s.place.run(`${quiet} && ip link set eth0 address ${senders.MINE}`);
      const options = { macs: [senders.MINE], addresses: [senders.V4, senders.V6, senders.STABLE] };
      const port = await lan.port(hook, s, { ...ports, ...options });
      for (const tags of [[], [PRIORITY], [VLAN, PRIORITY], [[0x88a8, 9], VLAN, [0x9100, 3]]] as [
        number,
        number,
      ][][]) {
        const reasons = {
          dropSpoofedIp: 'spoofed-ip',
          dropSpoofedArp: 'spoofed-arp',
          dropSpoofedNd: 'spoofed-nd',
        };
        const before = await hook.counters(port);
        const frames = senderRows.map(([, type, payload]) =>
          frame(lan.remote.mac, senders.MINE, type, payload, tags),
        );
        await inject(s, ...frames);
        const now = await hook.counters(port);
        const expected: Partial<typeof now> = { rxFrames: frames.length };
        for (const [counter, reason] of Object.entries(reasons)) {
          const name = counter as keyof typeof reasons;
          expected[name] = senderRows.filter(([, , , why]) => why === reason).length;
        }
        const risen = Object.entries(now).filter(([name]) => name === 'rxFrames' || name.startsWith('drop'));
        const rise = risen.map(([name, count]) => [name, count - before[name as keyof typeof now]] as const);
        assert.deepEqual(
          Object.fromEntries(rise.filter(([, by]) => by > 0)),
          expected,
          `${tags.length} tags`,
        );
      }
      await hook.call('removePort', port);
    });

    test('VLAN tags arrive as they were sent, one or two of them', async () => {
      for (const tags of [
        [[0x8100, 0x6007]],
        [
          [0x88a8, 0x0009],
          [0x8100, 0x0007],
        ],
      ] as [number, number][][]) {
        const expected =
          tags.length === 1 ? /802\.1Q.* vlan 7, p 3, .*0x88b5/ : /802\.1Q-QinQ.* vlan 9.* vlan 7,.*0x88b5/;
        for (const [from, to] of [
          [a, b],
          [a, lan.remote],
          [a, lan.host],
          [lan.remote, a],
          [lan.host, a],
        ]) {
          const sniffer = await Sniffer.start(to.place, to.link, `ether src ${from.mac}`);
          const payload = new Uint8Array(46).fill(0xa5);
          await inject(from, frame(to.mac, from.mac, EXPERIMENT, payload, tags));
          await until('it arrives', () => sniffer.frames().some((line) => expected.test(line)));
          await sniffer.stop();
        }
      }
    });

    test('jumbo frames', async () => {
      for (const { place, link } of all) await place.run(`ip link set ${link} mtu 9000`);
      await lan.host.place.run('ip link set pa mtu 9000 && ip link set pb mtu 9000');
      await hook.call('examine');
      for (const [from, to] of [
        [a, b],
        [a, lan.remote],
        [a, lan.host],
        [lan.remote, b],
      ]) {
        for (const address of [to.v4, to.v6]) await ping(from, address, '-s', '8900', '-M', 'do');
      }
      for (const { place, link } of all) await place.run(`ip link set ${link} mtu 1500`);
      await lan.host.place.run('ip link set pa mtu 1500 && ip link set pb mtu 1500');
      await hook.call('examine');
    });

    test('TCP with and without offloads: all bytes arrive, no checksum is wrong', async () => {
      const errors = async (one: Machine) => {
        const text = await one.place.run('cat /proc/net/snmp /proc/net/snmp6');
        const tcp = text.split('\n').filter((line) => line.startsWith('Tcp:'));
        const column = tcp[0].split(' ').indexOf('InCsumErrors');
        return Number(tcp[1].split(' ')[column]);
      };
      for (const offloads of ['on', 'off']) {
        // Off: frames on the wire and from the guest have whole checksums, and no more than the MTU.
        await lan.host.place.run(`ethtool -K up0 tx ${offloads} tso ${offloads} gso ${offloads} 2>/dev/null`);
        await a.place.run(`ethtool -K eth0 tx ${offloads} tso ${offloads} gso ${offloads} 2>/dev/null`);
        await hook.call('examine');
        for (const [from, to] of [
          [a, b],
          [b, a],
          [a, lan.remote],
          [lan.remote, a],
          [a, lan.host],
          [lan.host, a],
        ]) {
          const before = await errors(to);
          const server = to.place.start([process.execPath, '-e', STREAM_SERVER]);
          await until('somebody listens', () => server.text().includes('ready'));
          const sent = await from.place.run([process.execPath, '-e', STREAM_CLIENT, to.v4]);
          const { stdout } = await server.ended;
          assert.equal(stdout.trim().split('\n').at(-1), sent.trim(), `${from.name} to ${to.name}`);
          assert.equal(await errors(to), before, `${from.name} to ${to.name}, offloads ${offloads}`);
        }
      }
      // With the uplink's offload off, what leaves by the wire is whole: tcpdump at the far side agrees.
      const sniffer = await Sniffer.start(lan.remote.place, 'eth0', `udp and src ${a.v4}`);
      await a.place.run(['ping', '-c', '1', lan.remote.v4]);
      const script = `const s=require('dgram').createSocket('udp4');s.send('x'.repeat(1000),9,'${lan.remote.v4}',()=>s.close())`;
      await lan.host.place.run('ethtool -K up0 tx off');
      await a.place.run('ethtool -K eth0 tx on');
      await a.place.run([process.execPath, '-e', script]);
      await until('it arrives', () => /\[udp sum ok\]/.test(sniffer.text()));
      await sniffer.stop();
      await lan.host.place.run('ethtool -K up0 tx on tso on gso on 2>/dev/null');
      await hook.call('examine');
      await a.place.run('ethtool -K eth0 tx on tso on gso on 2>/dev/null');
    });

    test('a tap as port: many MACs by the table, groups, checksums left to the reader', async () => {
      const tap = await lan.tap('cross0');
      await lan.host.place.run('echo 1 > /proc/sys/net/ipv6/conf/cross0/disable_ipv6');
      const crossing = await hook.call<number>('addPort', { name: 'cross0' });
      const vifs = ['02:00:00:00:0c:01', '02:00:00:00:0c:02'];
      for (const mac of vifs) await hook.call('setMac', mac, crossing);
      const marked = (seed: number) => frame(vifs[0], a.mac, EXPERIMENT, new Uint8Array(200).fill(seed));
      const has = (sent: Uint8Array) => tap.frames().filter((one) => one.frame.equals(sent)).length;

      await inject(a, marked(1));
      await inject(lan.remote, frame(vifs[1], lan.remote.mac, EXPERIMENT, new Uint8Array(99).fill(2)));
      const group = frame(BROADCAST, a.mac, EXPERIMENT, new Uint8Array(100).fill(3));
      await inject(a, group);
      await until('they arrive', () => has(marked(1)) === 1 && has(group) === 1);
      const seen = await received(`ether proto ${EXPERIMENT}`, async () => {
        tap.send(frame(a.mac, vifs[0], EXPERIMENT));
        tap.send(frame(a.mac, vifs[1], EXPERIMENT));
        tap.send(frame(BROADCAST, vifs[1], EXPERIMENT));
        tap.send(frame(BROADCAST, NOBODY, EXPERIMENT)); // spoofed
      });
      assert.deepEqual(seen, { host: 1, remote: 1, a: 3, b: 1 });
      assert.equal((await hook.counters(crossing)).dropSpoofedMac, 1);

      // The guest leaves the checksum to whoever takes the frame off: VIRTIO_NET_HDR_F_NEEDS_CSUM.
      await a.place.run(`ip neigh replace 10.209.0.77 lladdr ${vifs[0]} dev eth0`);
      const script = `const s=require('dgram').createSocket('udp4');s.send('x'.repeat(1000),9,'10.209.0.77',()=>s.close())`;
      await a.place.run([process.execPath, '-e', script]);
      const udp = () => tap.frames().find(({ frame }) => frame.length === 14 + 20 + 8 + 1000);
      await until('the datagram arrives', () => udp() !== undefined);
      assert.equal(udp()?.header[0], 1);

      // A MAC moves to another port and is that port's alone.
      await hook.call('setMac', vifs[1], id.get(b));
      const moved = await received(`ether proto ${EXPERIMENT}`, async () => {
        await inject(a, frame(vifs[1], a.mac, EXPERIMENT));
        tap.send(frame(a.mac, vifs[1], EXPERIMENT));
        await inject(b, frame(a.mac, vifs[1], EXPERIMENT));
      });
      assert.deepEqual(moved, { host: 0, remote: 0, a: 1, b: 1 });
      await hook.call('removeMac', vifs[1]);
      await hook.call('removePort', crossing);
      assert.equal(await hook.call<unknown[]>('ports').then(({ length }) => length), 2);
      await tap.stop();
    });

    test('a learning port: its guests are found, and reached from everywhere', async () => {
      const c = await lan.guest(`l${mode[0]}${ports.peer ? 1 : 0}`);
      const port = await lan.port(hook, c, { ...ports, macs: [], learn: 4 });
      assert.equal(await hook.call('promiscuous'), true);
      await ping(c, lan.remote.v4);
      await ping(lan.remote, c.v6);
      await ping(a, c.v4);
      const learned = await hook.call<{ mac: string; port: number }[]>('learned');
      assert.deepEqual(
        learned.map(({ mac, port: owner }) => [mac, owner]),
        [[c.mac, port]],
      );
      await hook.call('forgetLearned', 60_000);
      assert.equal((await hook.call<unknown[]>('learned')).length, 1);
      await hook.call('forgetLearned', 0);
      assert.deepEqual(await hook.call('learned'), []);
      await ping(c, b.v4);
      await hook.call('removePort', port);
      assert.deepEqual(await hook.call('learned'), []);
    });

    test('ports come and go under traffic, and nobody else misses a frame', async () => {
      const c = await lan.guest(`c${mode[0]}${ports.peer ? 1 : 0}`);
      const flows = [
        a.place.start(['ping', '-n', '-c', '400', '-i', '0.005', '-W', '1', b.v4]),
        b.place.start(['ping', '-n', '-c', '400', '-i', '0.005', '-W', '1', lan.remote.v6]),
        lan.host.place.start(['ping', '-n', '-c', '400', '-i', '0.005', '-W', '1', lan.remote.v4]),
      ];
      for (let round = 0; round < 10; round++) {
        const port = await lan.port(hook, c, ports);
        await hook.call('setAddresses', port, [c.v4]);
        await hook.call('removePort', port);
      }
      for (const flow of flows) assert.match((await flow.ended).stdout, / 400 received, 0% packet loss/);
    });

    test('counters: frames and bytes of both sides, at wire and host too', async () => {
      const of = () =>
        Promise.all([id.get(a)!, id.get(b)!, 'wire', 'host'].map((x) => hook.counters(x as number)));
      await quiet();
      const before = await of();
      await inject(
        a,
        frame(b.mac, a.mac, EXPERIMENT, new Uint8Array(86)),
        frame(lan.remote.mac, a.mac, EXPERIMENT, new Uint8Array(186)),
        frame(lan.host.mac, a.mac, EXPERIMENT, new Uint8Array(286)),
      );
      await inject(lan.remote, frame(a.mac, lan.remote.mac, EXPERIMENT, new Uint8Array(386)));
      await inject(lan.host, frame(b.mac, lan.host.mac, EXPERIMENT, new Uint8Array(486)));
      const now = await of();
      const rose = now.map((one, i) =>
        (['rxFrames', 'rxBytes', 'txFrames', 'txBytes'] as const).map((name) => one[name] - before[i][name]),
      );
      assert.deepEqual(rose, [
        [3, 600, 1, 400],
        [0, 0, 2, 600],
        [1, 400, 1, 200],
        [1, 500, 1, 300],
      ]);
    });

    /** Runs `act` beside pings of the host, one each 5 ms; the numbers of those that were not answered. */
    async function unanswered(act: () => Promise<void>): Promise<number[]> {
      const flow = lan.host.place.start(['ping', '-n', '-i', '0.005', '-W', '1', lan.remote.v4]);
      await until('it is under way', () => flow.text().includes('icmp_seq=20 '));
      await act();
      await sleep(100);
      await flow.stop('SIGINT');
      const { stdout } = await flow.ended;
      const answered = new Set(
        [...stdout.matchAll(/icmp_seq=(\d+) ttl=/g)].map(([, number]) => Number(number)),
      );
      // After its last request ping waits for 10 ms only, which on a busy machine may be too short.
      const last = Math.max(...answered);
      return Array.from({ length: last }, (_, i) => i + 1).filter((number) => !answered.has(number));
    }

    test('the host misses nothing while the hook is killed, started again and closed', async () => {
      let next = hook;
      const missed = await unanswered(async () => {
        await hook.end('SIGKILL');
        next = await lan.hook(mode, uplink);
        await lan.port(next, a, ports);
        await ping(a, lan.remote.v4);
      });
      assert.deepEqual(missed, []);
      const atTheEnd = await unanswered(async () => {
        await next.call('close');
        await next.end();
      });
      // While a qdisc is taken away, the kernel drops what the interface sends (attach_clsact.ts).
      if (mode === 'tcx') assert.deepEqual(atTheEnd, []);
      else assert.ok(atTheEnd.length <= 2, `a moment, not ${atTheEnd.length} × 5 ms`);
      assert.doesNotMatch(await lan.host.place.run('bpftool net; tc qdisc show'), /netferry|clsact/);
      await assert.rejects(ping(a, lan.remote.v4), 'the hook carried it');
    });
  });
}
