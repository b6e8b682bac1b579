/**
 * Features, unicast filters and netfilter's chains of interfaces, in a network namespace of their own: the outer half
 * runs this same file under unshare(1), the inner half is the tests. ethtool, bridge and nft are the second opinion.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SysError } from '../../src/sys/errors.js';
import { features, setFeatures } from '../../src/sys/ethtool.js';
import { unicastFilter } from '../../src/sys/fdb.js';
import { InterfaceChanges, InterfaceEvents } from '../../src/sys/interface_events.js';
import { linkIndex, linkInfo } from '../../src/sys/netlink.js';
import { hasEgressChain } from '../../src/sys/nf_tables.js';
import { ReceiveFilter } from '../../src/sys/packet_socket.js';
import { inOwnNamespace, sh } from '../support/own_netns.js';

inOwnNamespace(import.meta.url, ['ethtool', 'bridge', 'nft'], inside);

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
