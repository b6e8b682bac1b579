/** The uplink's NIC filter, many ports, and what this kernel can do. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { attachProblems } from '../../src/hook/probe.js';
import { type Background, lacking, Place, until } from '../e2e/support/place.js';
import { frame } from './support/frames.js';
import { HookProcess, inject, keeper, Sniffer } from './support/lan.js';

describe('an uplink', {
  skip: lacking('ip', 'bridge', 'ethtool', 'tcpdump', 'unshare', 'nsenter', 'setpriv'),
}, () => {
  let held: Background;
  let host: Place;
  const hooks: HookProcess[] = [];
  before(async () => {
    held = await keeper();
    host = new Place(held.pid);
  });
  after(async () => {
    for (const hook of hooks) await hook.end('SIGKILL');
    await held?.stop('SIGKILL');
  });

  async function open(uplink?: string): Promise<HookProcess> {
    const hook = new HookProcess(host);
    hooks.push(hook);
    await hook.call('new', { uplink });
    return hook;
  }

  const unicast = async (link: string) =>
    [...(await host.run(`bridge fdb show dev ${link}`)).matchAll(/^(02:00\S+) self/gm)].map(([, mac]) => mac);
  const link = async (name: string) =>
    JSON.parse(await host.run(`ip -j -d link show ${name}`))[0] as { promiscuity: number; allmulti: number };

  test('guests’ MACs are in the filter of a NIC that has one, which stays out of promiscuous mode', async () => {
    // macvlan filters by MAC (IFF_UNICAST_FLT), as NICs do.
    await host.run(
      'ip link add lower type veth peer name far && ip link set lower up && ip link set far up && ' +
        'ip link add nic0 link lower type macvlan mode private && ip link set nic0 up && ' +
        'ip link add p0 type veth peer name g0 && ip link add p1 type veth peer name g1',
    );
    const hook = await open('nic0');
    assert.deepEqual(await unicast('nic0'), []);
    assert.equal((await link('nic0')).allmulti, 0);
    const port = await hook.call<number>('addPort', { name: 'p0', macs: ['02:00:00:00:00:51'] });
    await hook.call('setMac', '02:00:00:00:00:52', port);
    assert.deepEqual((await unicast('nic0')).sort(), ['02:00:00:00:00:51', '02:00:00:00:00:52']);
    assert.deepEqual([(await link('nic0')).promiscuity, (await link('nic0')).allmulti], [0, 1]);
    assert.equal(await hook.call('promiscuous'), false);

    const other = await hook.call<number>('addPort', { name: 'p1', macs: [] });
    await hook.call('setMac', '02:00:00:00:00:52', other);
    assert.equal((await unicast('nic0')).length, 2, 'a MAC that moves stays');
    await hook.call('removeMac', '02:00:00:00:00:52');
    assert.deepEqual(await unicast('nic0'), ['02:00:00:00:00:51']);
    await hook.call('removePort', other);
    await hook.call('addPort', { name: 'p1', learn: 4 });
    assert.equal(await hook.call('promiscuous'), true, 'who learns must see all');
    await hook.end('SIGKILL');
    await until('the filter is empty again', async () => (await unicast('nic0')).length === 0);
    assert.deepEqual([(await link('nic0')).promiscuity, (await link('nic0')).allmulti], [0, 0]);
  });

  test('an interface without a filter becomes promiscuous only while there are guests', async () => {
    await host.run(
      'ip link add up0 type veth peer name up1 && ip link set up0 up && ip link add q0 type veth peer name q1',
    );
    const hook = await open('up0');
    assert.equal(await hook.call('promiscuous'), false);
    const port = await hook.call<number>('addPort', { name: 'q0', macs: ['02:00:00:00:00:53'] });
    assert.equal(await hook.call('promiscuous'), true);
    await hook.call('removePort', port);
    assert.equal(await hook.call('promiscuous'), false);
    await hook.call('close');
  });

  test('promiscuous mode is ours or others’: who else wants it changes nothing of what is said', async () => {
    await host.run(
      'ip link add low1 type veth peer name far1 && ip link set low1 up && ip link set far1 up && ' +
        'ip link add nic1 link low1 type macvlan mode private && ip link set nic1 up && ' +
        'ip link add up2 type veth peer name up3 && ip link set up2 up && ' +
        'ip link add r0 type veth peer name r1 && ip link add r2 type veth peer name r3',
    );
    for (const [uplink, port, ours] of [
      ['nic1', 'r0', false],
      ['up2', 'r2', true],
    ] as const) {
      await host.run(`ip link set ${uplink} promisc on`);
      const hook = await open(uplink);
      assert.equal(await hook.call('promiscuous'), false, uplink);
      await hook.call('addPort', { name: port, macs: ['02:00:00:00:00:54'] });
      assert.equal(await hook.call('promiscuous'), ours);
      await host.run(`ip link set ${uplink} promisc off`);
      assert.equal(await hook.call('promiscuous'), ours);
      await host.run(`ip link set ${uplink} promisc on allmulticast on`);
      assert.equal(await hook.call('promiscuous'), ours);
      await hook.call('close');
      assert.deepEqual(
        [(await link(uplink)).promiscuity, (await link(uplink)).allmulti],
        [1, 1],
        'theirs stay',
      );
    }
  });

  test('256 ports and no uplink: a group frame reaches each, unicast the one', async () => {
    const count = 256;
    const lines = Array.from(
      { length: count },
      (_, i) => `link add m${i} type veth peer name n${i}\nlink set m${i} up\nlink set n${i} up`,
    );
    await host.run(
      `echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo '${lines.join('\n')}' | ip -batch -`,
    );
    const hook = await open();
    const mac = (i: number) =>
      `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`;
    const ports: number[] = [];
    for (let i = 0; i < count; i++) {
      ports.push(await hook.call<number>('addPort', { name: `m${i}`, macs: [mac(i)] }));
    }
    const n0 = { name: 'n0', place: host, link: 'n0', mac: mac(0), v4: '', v6: '' };
    const last = await Sniffer.start(host, `n${count - 1}`, 'ether proto 0x88b5');
    await inject(n0, frame('ff:ff:ff:ff:ff:ff', mac(0), 0x88b5), frame(mac(count - 1), mac(0), 0x88b5));
    await until('both arrive', () => last.frames().length === 2);
    await last.stop();
    for (const [i, port] of ports.entries()) {
      const { txFrames, rxFrames } = await hook.counters(port);
      assert.deepEqual(
        [rxFrames, txFrames],
        i === 0 ? [2, 0] : i === count - 1 ? [0, 2] : [0, 1],
        `port ${i}`,
      );
    }
    // Holes in the list are passed over, and filled again.
    for (let i = 10; i < 20; i++) await hook.call('removePort', ports[i]);
    const again = await hook.call<number>('addPort', { name: 'm10', macs: [mac(10)] });
    await inject(n0, frame('ff:ff:ff:ff:ff:ff', mac(0), 0x88b5));
    assert.equal((await hook.counters(again)).txFrames, 1);
    assert.equal((await hook.counters(ports[200])).txFrames, 2);
    await assert.rejects(hook.call('counters', ports[15]), /no port/);
    await hook.call('close');
  });

  for (const mode of ['tcx', 'clsact'] as const) {
    test(`what a killed one switched off is off for the next, and on again after that, ${mode}`, async () => {
      const name = `f${mode}`;
      await host.run(`ip link add ${name} type veth peer name x${name} && ethtool -K ${name} rx-gro-list on`);
      const on = async () => /rx-gro-list: on/.test(await host.run(`ethtool -k ${name}`));
      const directory = mkdtempSync(join(tmpdir(), 'netferry-records-'));
      // No virtual interface has a VLAN filter: another feature stands for it.
      const features = { lowest: ['rx-gro-list'], directory };
      const next = async () => {
        const hook = new HookProcess(host);
        hooks.push(hook);
        await hook.call('new', { uplink: name, mode, features });
        return hook;
      };
      const first = await next();
      assert.equal(await on(), false);
      await first.end('SIGKILL');
      assert.equal(await on(), false);
      const second = await next();
      assert.equal(await on(), false);
      await second.call('close');
      assert.equal(await on(), true);
      assert.deepEqual(readdirSync(directory), []);
      rmSync(directory, { recursive: true });
    });
  }

  test('this kernel can attach both ways, and the probe leaves nothing', () => {
    assert.deepEqual(attachProblems(), { tcx: '', clsact: '' });
  });
});
