/** Frames skip a veth only where nothing on the way would miss them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lacking, until } from '../e2e/support/place.js';
import { Foreign } from './support/foreign.js';
import { frame } from './support/frames.js';
import { type HookProcess, HookRefusal, inject, Lan, type Machine, Sniffer } from './support/lan.js';

const EXPERIMENT = 0x88b5;
const XDP = fileURLToPath(new URL('./support/xdp_main.js', import.meta.url));

describe('a veth on the way', { skip: lacking('ip', 'tc', 'ethtool', 'nft', 'nsenter', 'setpriv') }, () => {
  let lan: Lan;
  let hook: HookProcess;
  let a: Machine;
  let port: number;
  before(async () => {
    lan = await Lan.make();
    a = await lan.guest('a');
    hook = await lan.hook('tcx');
    port = await lan.port(hook, a);
    // Nobody but who is asked to speaks on the uplink.
    for (const { place, link } of [lan.host, lan.remote, a]) {
      await place.run(`echo 1 > /proc/sys/net/ipv6/conf/${link}/disable_ipv6`);
    }
  });
  after(() => lan?.close());

  const host = (line: string) => lan.host.place.run(line);
  /** How many of a's frames for the wire pass through the uplink, and how many arrive. */
  async function pass(): Promise<[through: number, arrived: number]> {
    const sniffer = await Sniffer.start(lan.remote.place, 'eth0', `ether proto ${EXPERIMENT}`);
    const before = await through();
    for (let i = 0; i < 3; i++) await inject(a, frame(lan.remote.mac, a.mac, EXPERIMENT));
    const frames = (await through()) - before;
    return [frames, (await sniffer.stop()).length];
  }
  /** Frames that the uplink has sent, by its own statistics. */
  const through = async () =>
    (JSON.parse(await host('ip -j -s link show up0'))[0] as { stats64: { tx: { packets: number } } }).stats64
      .tx.packets;

  test('is skipped both ways where nothing is on it', async () => {
    assert.equal(await hook.call('uplinkThrough'), '');
    assert.equal(await hook.call('portThrough', port), '');
    assert.deepEqual(await pass(), [0, 3]);
  });

  const obstacles: [what: string, why: RegExp, make: string, undo: string][] = [
    ['a qdisc', /queueing discipline \(tbf\)/, 'tc qdisc add dev up0 root tbf rate 1gbit burst 100k latency 9ms', 'tc qdisc del dev up0 root'],
    ['an nftables chain', /nftables/, "nft 'add table netdev t; add chain netdev t c { type filter hook egress device up0 priority 0; }'", 'nft delete table netdev t'],
    ['a checksum offload that is off', /tx-checksum-ip-generic is off/, 'ethtool -K up0 tx off', 'ethtool -K up0 tx on tso on'],
    ['segmentation that is off', /tx-tcp-segmentation is off/, 'ethtool -K up0 tso off', 'ethtool -K up0 tso on'],
  ]; // biome-ignore format: one line each
  for (const [what, why, make, undo] of obstacles) {
    test(`${what}: frames pass through it`, async () => {
      await host(`${make} 2>&1`);
      await hook.call('examine');
      assert.match(await hook.call<string>('uplinkThrough'), why);
      assert.deepEqual(await pass(), [3, 3]);
      await host(`${undo} 2>&1`);
      await hook.call('examine');
      assert.equal(await hook.call('uplinkThrough'), '');
      assert.deepEqual(await pass(), [0, 3]);
    });
  }

  test('chains that look at other interfaces, or at what comes in, are none of its business', async () => {
    await host(
      "nft 'add table netdev t; add chain netdev t i { type filter hook ingress device up0 priority 0; }; " +
        "add chain netdev t o { type filter hook egress device lo priority 0; }'",
    );
    await hook.call('examine');
    assert.equal(await hook.call('uplinkThrough'), '');
    await host('nft delete table netdev t');
  });

  for (const [mode, reason] of [
    ['tcx', /another eBPF program is on its egress/],
    ['clsact', /a tc filter is on its egress/],
  ] as const) {
    test(`a program of somebody else sees what passes, ${mode}`, async () => {
      const foreign = await Foreign.start(lan.host.place, 'up0', mode, 'egress');
      await hook.call('examine');
      assert.match(await hook.call<string>('uplinkThrough'), reason);
      const before = await foreign.count();
      assert.deepEqual(await pass(), [3, 3]);
      assert.equal((await foreign.count()) - before, 3);
      await foreign.stop();
      if (mode === 'clsact') await host('tc qdisc del dev up0 clsact');
      await hook.call('examine');
      assert.equal(await hook.call('uplinkThrough'), '');
    });
  }

  test('an XDP program at the other end sees what passes', async () => {
    const enter = ['setpriv', '--pdeathsig', 'KILL', '--', process.execPath, XDP, 'eth0'];
    const program = lan.remote.place.start(enter);
    await until('it is attached', () => program.text().includes('attached'));
    await hook.call('examine');
    assert.match(await hook.call<string>('uplinkThrough'), /segmentation is off/);
    const before = /seen (\d+)/;
    assert.deepEqual(await pass(), [3, 3]);
    await program.stop('SIGTERM');
    assert.ok(Number(before.exec(program.text())?.[1]) >= 3, program.text());
    await hook.call('examine');
    assert.equal(await hook.call('uplinkThrough'), '');
  });

  test('down: nothing gets out', async () => {
    await host('ip link set up0 down');
    await hook.call('examine');
    assert.equal(await hook.call('uplinkThrough'), 'it is down');
    assert.deepEqual(await pass(), [0, 0]);
    await host('ip link set up0 up');
    await hook.call('examine');
    assert.deepEqual(await pass(), [0, 3]);
  });

  test('a guest’s veth too: what shapes it is not passed by', async () => {
    await host('tc qdisc add dev pa root tbf rate 1gbit burst 100k latency 9ms');
    await hook.call('examine', undefined);
    assert.match(await hook.call<string>('portThrough', port), /queueing discipline/);
    await host('tc qdisc del dev pa root');
    await hook.call('examine');
    assert.equal(await hook.call('portThrough', port), '');
  });

  test('may be asked for or refused', async () => {
    await hook.call('close');
    await hook.end();
    hook = await lan.hook('tcx', { uplinkPeer: false });
    await lan.port(hook, a);
    assert.equal(await hook.call('uplinkThrough'), 'that was asked for');
    assert.deepEqual(await pass(), [3, 3]);
    await hook.end();
    await host('ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up');
    await assert.rejects(lan.hook('tcx', { uplink: 'v0', uplinkPeer: true }), (error) => {
      assert.ok(error instanceof HookRefusal);
      assert.match(error.message, /v0 is no veth whose other end is in another namespace/);
      return true;
    });
    hook = await lan.hook('tcx', { uplink: 'v0' });
    assert.equal(await hook.call('uplinkThrough'), 'its other end is in the same network namespace');
  });
});
