/**
 * Features, unicast filters and netfilter's chains of interfaces, in a network namespace of their own: the outer half
 * runs this same file under unshare(1), the inner half is the tests. ethtool, bridge and nft are the second opinion.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SwitchedOff } from '../../src/hook/switched_off.js';
import { SysError } from '../../src/sys/errors.js';
import { features, setFeatures } from '../../src/sys/ethtool.js';
import { unicastFilter } from '../../src/sys/fdb.js';
import { InterfaceChanges, InterfaceEvents } from '../../src/sys/interface_events.js';
import { hasSlaves } from '../../src/sys/link_details.js';
import { linkIndex, linkInfo } from '../../src/sys/netlink.js';
import { hasEgressChain } from '../../src/sys/nf_tables.js';
import { ReceiveFilter } from '../../src/sys/packet_socket.js';
import { lacking } from '../e2e/support/place.js';

const INSIDE = 'NETFERRY_TEST_NETNS';

if (process.env[INSIDE]) inside();
else {
  test('in a fresh network namespace', { skip: lacking('ip', 'ethtool', 'bridge', 'nft', 'unshare') }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; // or the inner runner would report to the outer's pipe
    const run = spawnSync('unshare', ['-n', process.execPath, fileURLToPath(import.meta.url)], {
      encoding: 'utf8',
      env: { ...env, [INSIDE]: '1' },
    });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /# pass [1-9]|pass [1-9]/);
  });
}

function sh(command: string): string {
  const run = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  assert.equal(run.status, 0, `${command}: ${run.stderr}`);
  return run.stdout;
}

/** As ethtool prints it: what a line is called there has no group's name in it. */
function byEthtool(name: string): Map<string, { on: boolean; changeable: boolean }> {
  const lines = sh(`ethtool -k ${name}`).matchAll(/^\s*([\w-]+): (on|off)( \[fixed\])?/gm);
  return new Map(
    [...lines].map(([, feature, state, fixed]) => [feature, { on: state === 'on', changeable: !fixed }]),
  );
}

function inside(): void {
  before(() => sh('ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up'));

  test('features are what ethtool says', () => {
    const ours = features('v0');
    const theirs = byEthtool('v0');
    const both = [...ours].filter(([name]) => theirs.has(name));
    assert.ok(both.length > 20, `${both.length} in both lists`);
    for (const [name, feature] of both) assert.deepEqual(feature, theirs.get(name), name);
    assert.throws(
      () => features('nothere'),
      (error) => error instanceof SysError && error.code === 'ENODEV',
    );
  });

  test('features are switched, several at once, and what is fixed or unknown is left alone', () => {
    setFeatures('v0', { 'tx-scatter-gather': false, 'rx-gro-list': true, 'rx-lro': true, 'no-such': true });
    const now = features('v0');
    assert.deepEqual(
      ['tx-scatter-gather', 'rx-gro-list', 'rx-lro'].map((name) => now.get(name)?.on),
      [false, true, false],
    );
    assert.deepEqual(
      [byEthtool('v0').get('tx-scatter-gather'), byEthtool('v0').get('rx-gro-list')].map((f) => f?.on),
      [false, true],
    );
    setFeatures('v0', { 'tx-scatter-gather': true, 'rx-gro-list': false });
    assert.equal(features('v0').get('tx-scatter-gather')?.on, true);
  });

  test('what must be off is off meanwhile, and only what was on comes back', () => {
    // No driver of this kernel has LRO: others that can be switched stand for it.
    setFeatures('v0', { 'rx-gro-list': true, 'rx-udp-gro-forwarding': false });
    const index = linkIndex('v0') ?? 0;
    const off = new SwitchedOff(index, ['rx-gro-list', 'rx-udp-gro-forwarding', 'rx-lro']);
    assert.deepEqual([off.names, off.stuck], [['rx-gro-list'], []]);
    assert.equal(features('v0').get('rx-gro-list')?.on, false);
    sh('ip link set v0 down && ip link set v0 name w0 && ip link set w0 up');
    off.restore();
    const now = features('w0');
    assert.deepEqual([now.get('rx-gro-list')?.on, now.get('rx-udp-gro-forwarding')?.on], [true, false]);
    sh('ip link set w0 down && ip link set w0 name v0 && ip link set v0 up && ethtool -K v0 rx-gro-list off');
  });

  test('what was switched off is on again after an error that nobody caught', () => {
    setFeatures('v0', { 'rx-gro-list': true });
    const script = `
      import { SwitchedOff } from ${JSON.stringify(new URL('../../src/hook/switched_off.js', import.meta.url))};
      import { features } from ${JSON.stringify(new URL('../../src/sys/ethtool.js', import.meta.url))};
      new SwitchedOff(${linkIndex('v0')}, ['rx-gro-list']);
      throw new Error('meanwhile ' + features('v0').get('rx-gro-list').on);`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(stderr, /meanwhile false/);
    assert.equal(features('v0').get('rx-gro-list')?.on, true);
    setFeatures('v0', { 'rx-gro-list': false });
  });

  test('features of what stands on others stay as they are: the interfaces below would be changed with them', () => {
    sh('ip link add b0 type bridge && ip link add s0 type veth peer name s1 && ip link set s0 master b0');
    sh('ip link add b1 type bridge');
    for (const name of ['b0', 'b1']) {
      assert.deepEqual(features(name).get('rx-gro'), { on: true, changeable: true }, name);
      const off = new SwitchedOff(linkIndex(name) ?? 0, ['rx-gro']);
      assert.deepEqual([off.names, off.stuck], [[], ['rx-gro']], name);
      assert.equal(features(name).get('rx-gro')?.on, true, name);
    }
    const masters = ['b0', 'b1', 's0', 's1', 'lo'].filter((name) => hasSlaves(linkIndex(name) ?? 0));
    assert.deepEqual(masters, ['b0']);
    sh('ip link del b0 && ip link del b1 && ip link del s0');
  });

  test('what cannot be switched off is said; an interface that went is nothing', () => {
    // veth's own: it has no lock, and no driver can change that.
    const lo = new SwitchedOff(linkIndex('lo') ?? 0, ['loopback']);
    assert.deepEqual([lo.names, lo.stuck], [[], ['loopback']]);
    lo.restore();
    assert.equal(features('lo').get('loopback')?.on, true);
    const none = new SwitchedOff(99_999, ['rx-lro']);
    assert.deepEqual([none.names, none.stuck], [[], []]);
    none.restore();
  });

  test('a unicast filter: macvlans, packet sockets, entries by hand', () => {
    const index = linkIndex('v1') ?? 0;
    assert.deepEqual(unicastFilter(index), []);
    sh('ip link add link v1 name m0 type macvlan mode bridge && ip link set m0 up');
    sh('bridge fdb add 02:00:00:00:00:61 dev v1 self');
    const socket = new ReceiveFilter(index);
    socket.add(Uint8Array.of(2, 0, 0, 0, 0, 0x62));
    const mac = linkInfo('m0')?.mac ?? '';
    assert.deepEqual(unicastFilter(index).sort(), ['02:00:00:00:00:61', '02:00:00:00:00:62', mac].sort());
    socket.close();
    sh('ip link del m0 && bridge fdb del 02:00:00:00:00:61 dev v1 self');
    assert.deepEqual(unicastFilter(index), []);
    assert.deepEqual(unicastFilter(99_999), []);
  });

  test('stations that an interface learned are none of its filter, nor are a tunnel’s far ends', () => {
    sh('ip link add x0 type vxlan id 5 dstport 4789 && ip link set x0 up');
    sh('bridge fdb add 02:00:00:00:00:63 dev x0 dst 127.0.0.2 self permanent');
    sh('ip link add b0 type bridge && ip link set v1 master b0 && ip link set b0 up');
    sh('bridge fdb add 02:00:00:00:00:64 dev v1 master static');
    sh('bridge fdb add 02:00:00:00:00:65 dev v1 self permanent');
    assert.match(sh('bridge fdb show dev x0'), /02:00:00:00:00:63 dst 127.0.0.2 self permanent/);
    assert.deepEqual(unicastFilter(linkIndex('x0') ?? 0), []);
    assert.deepEqual(unicastFilter(linkIndex('v1') ?? 0), ['02:00:00:00:00:65']);
    sh('bridge fdb add 02:00:00:00:00:66 dev b0 self permanent local');
    sh('ip link add link b0 name m0 type macvlan mode bridge && ip link set m0 up');
    assert.deepEqual(unicastFilter(linkIndex('b0') ?? 0), [linkInfo('m0')?.mac], 'of the bridge itself');
    sh('ip link del m0 && ip link del b0 && ip link del x0 && bridge fdb del 02:00:00:00:00:65 dev v1 self');
  });

  test('changes of interfaces and their qdiscs are told by index; nothing is nothing', () => {
    const events = new InterfaceEvents();
    const taken = () => {
      const changes = new InterfaceChanges();
      assert.equal(events.take(changes), true);
      return [changes.indexes, changes.names];
    };
    assert.deepEqual(taken(), [new Set(), new Set()]);
    const indexes = (...names: string[]) => new Set(names.map((name) => linkIndex(name)));
    sh('ip link set v0 mtu 1400');
    assert.deepEqual(taken(), [indexes('v0', 'v1'), new Set(['v0'])], 'its other end, too');
    sh('tc qdisc add dev v1 clsact && tc qdisc del dev v1 clsact');
    assert.deepEqual(taken(), [indexes('v1'), new Set()]);
    sh('ip link set v0 mtu 1500 && ip link set v1 alias other');
    assert.deepEqual(taken(), [indexes('v0', 'v1'), new Set(['v0', 'v1'])]);
    assert.deepEqual(taken(), [new Set(), new Set()]);
    events.close();
  });

  test('egress chains: by name, in a list, of other interfaces, on ingress', () => {
    assert.equal(hasEgressChain('v0'), false);
    const chain = (name: string, hook: string) =>
      sh(`nft 'add table netdev t; add chain netdev t ${name} { type filter hook ${hook} priority 0; }'`);
    chain('a', 'egress device v1');
    chain('b', 'ingress device v0');
    assert.deepEqual([hasEgressChain('v0'), hasEgressChain('v1'), hasEgressChain('v')], [false, true, false]);
    chain('c', 'egress devices = { lo, v0 }');
    assert.equal(hasEgressChain('v0'), true);
    sh('nft delete table netdev t');
    assert.equal(hasEgressChain('v1'), false);
  });
}
