/** Interfaces that one hook cannot both have: frames would go in circles. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Reaching, reachOf, refuseCircles } from '../../src/hook/circles.js';
import { SetupError } from '../../src/sys/errors.js';
import type { LinkDetails } from '../../src/sys/link_details.js';
import { type Background, lacking, Place } from '../e2e/support/place.js';
import { HookProcess, keeper } from './support/lan.js';

const NOTHING = { hardware: 1, loopback: false, up: true, carrier: true, qdisc: 'noqueue', mtu: 1500 };
const BARE = { ...NOTHING, mac: '02:00:00:00:00:01', permanent: '', parent: '', promiscuity: 0 };

/** A machine's interfaces: kind, and what each stands on (or is the other end of), and belongs to, by name. */
function machine(rows: Record<string, { kind?: string; on?: string; in?: string; away?: boolean }>) {
  const names = Object.keys(rows);
  const index = (name: string | undefined) => (name === undefined ? 0 : names.indexOf(name) + 1);
  const links = names.map((name): LinkDetails => {
    const { kind = '', on, in: master, away = false } = rows[name];
    const masterKind = master === undefined ? '' : (rows[master].kind ?? '');
    const place = { lower: index(on), master: index(master), masterKind, crossesNamespace: away };
    return { ...BARE, ...place, index: index(name), name, kind };
  });
  return (name: string): Reaching => {
    const link = links[index(name) - 1];
    return { name, ifindex: link.index, reach: reachOf(link, () => links) };
  };
}

test('what leads to each other: ends of a veth, what stands on an interface, a bridge and its members', () => {
  const of = machine({
    eth0: {},
    v5: { kind: 'vlan', on: 'eth0' },
    v6: { kind: 'vlan', on: 'eth0' },
    mv0: { kind: 'macvlan', on: 'eth0' },
    mv1: { kind: 'macvlan', on: 'eth0' },
    abroad: { kind: 'macvlan', on: 'eth0', away: true }, // of another namespace: the index is not one of ours
    p0: { kind: 'veth', on: 'p1' },
    p1: { kind: 'veth', on: 'p0', in: 'br0' },
    br0: { kind: 'bridge' },
    eth1: { in: 'br0' },
    q0: { kind: 'veth', on: 'eth0', away: true },
    tap0: { kind: 'tun' },
    vrf0: { kind: 'vrf' },
    r0: { in: 'vrf0' },
    r1: { in: 'vrf0' },
    tunnel: { kind: 'vxlan', on: 'eth0' },
  });
  const circle = (a: string, b: string) => {
    const found = [
      [of(a), of(b)],
      [of(b), of(a)],
    ].map(([one, other]) => {
      try {
        refuseCircles(one, [other]);
        return false;
      } catch (error) {
        assert.ok(error instanceof SetupError);
        assert.match(error.message, /^\w+ and \w+ lead to each other: frames would go in circles$/);
        return true;
      }
    });
    assert.equal(found[0], found[1], 'whichever comes first');
    return found[0];
  };
  for (const [a, b] of [
    ['p0', 'p1'],
    ['p0', 'br0'],
    ['p0', 'eth1'],
    ['v5', 'eth0'],
    ['mv0', 'eth0'],
    ['mv0', 'mv1'],
    ['v5', 'mv0'],
  ])
    assert.equal(circle(a, b), true, `${a} and ${b}`);
  for (const [a, b] of [
    ['v5', 'v6'], // two VLANs of a trunk
    ['eth0', 'eth1'],
    ['q0', 'eth0'],
    ['abroad', 'eth0'],
    ['tap0', 'eth0'],
    ['r0', 'r1'], // a VRF routes
    ['tunnel', 'eth0'],
    ['p0', 'eth0'],
    ['eth0', 'eth0'], // that is said otherwise
  ])
    assert.equal(circle(a, b), false, `${a} and ${b}`);
});

describe('in the kernel', { skip: lacking('ip', 'nsenter', 'setpriv') }, () => {
  let held: Background;
  let host: Place;
  let hook: HookProcess;
  before(async () => {
    held = await keeper();
    host = new Place(held.pid);
    await host.run(
      `ip link add up0 type veth peer name wire0 && ip link add p0 type veth peer name p1 &&
       ip link add q0 type veth peer name q1 && ip link add br0 type bridge && ip link set q1 master br0 &&
       ip link add link up0 name mv0 type macvlan mode bridge &&
       for one in up0 wire0 p0 p1 q0 q1 br0 mv0; do ip link set $one up; done`,
    );
    hook = new HookProcess(host);
    await hook.call('new', { uplink: 'up0' });
  });
  after(async () => {
    await hook?.end('SIGKILL');
    await held?.stop('SIGKILL');
  });

  test('the uplink, its other end, and what stands on it; ports, and what they lead to', async () => {
    const refused = (name: string) =>
      assert.rejects(
        hook.call('addPort', { name, learn: 9 }),
        /lead to each other: frames would go in circles/,
      );
    await refused('wire0');
    await refused('mv0');
    await hook.call('addPort', { name: 'p0', learn: 9 });
    await refused('p1');
    await hook.call('addPort', { name: 'br0', learn: 9 });
    await refused('q0');
    assert.equal((await hook.call<unknown[]>('ports')).length, 2);
  });

  test('another uplink later', async () => {
    await assert.rejects(hook.call('setUplink', 'p1'), /^Error: p1 and p0 lead to each other/);
    await assert.rejects(hook.call('setUplink', 'q0'), /^Error: q0 and br0 lead to each other/);
    await hook.call('setUplink', 'up0');
    assert.deepEqual(await hook.call('detached'), []);
  });
});
