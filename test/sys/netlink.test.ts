/**
 * rtnetlink in a network namespace of its own. iproute2 makes the links and is the second opinion on what we read and
 * what we did.
 *
 *      namespace:   lo     port0 ═ veth ═ port1
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, test } from 'node:test';
import { SetupError, SysError } from '../../src/sys/errors.js';
import {
  addressAdd,
  addressList,
  linkDelete,
  linkIndex,
  linkInfo,
  linkList,
  linkSet,
  routeAdd,
} from '../../src/sys/netlink.js';
import { inOwnNamespace } from '../support/own_netns.js';

inOwnNamespace(import.meta.url, [], inside, { anyUser: true });

function ip(...args: string[]): string {
  const run = spawnSync('ip', args, { encoding: 'utf8' });
  assert.equal(run.status, 0, `ip ${args.join(' ')}: ${run.stderr}`);
  return run.stdout;
}

interface IpLink {
  ifindex: number;
  ifname: string;
  address: string;
  mtu: number;
  flags: string[];
  txqlen: number;
  gso_max_size: number;
  gro_max_size: number;
  linkinfo?: { info_kind?: string };
}

function ipLinks(): IpLink[] {
  return JSON.parse(ip('-j', '-d', 'link', 'show'));
}

function sysError(code: string, subject: RegExp, hint = /(?:)/) {
  return (error: unknown) => {
    assert.ok(error instanceof SysError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, subject);
    assert.match(error.hint, hint);
    return true;
  };
}

function inside(): void {
  before(() => {
    ip('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'port1');
  });

  test('linkList agrees with ip link', () => {
    const ours = linkList();
    assert.equal(ours.length, 3);
    assert.deepEqual(
      ours,
      ipLinks().map((link) => ({
        index: link.ifindex,
        name: link.ifname,
        mac: link.address,
        mtu: link.mtu,
        up: link.flags.includes('UP'),
        carrier: link.flags.includes('LOWER_UP'),
        ...(link.linkinfo?.info_kind ? { kind: link.linkinfo.info_kind } : {}),
        txQueueLen: link.txqlen,
        gsoMaxSize: link.gso_max_size,
        groMaxSize: link.gro_max_size,
      })),
    );
  });

  test('linkInfo and linkIndex find one link by name', () => {
    const info = linkInfo('port0');
    assert.equal(info?.kind, 'veth');
    assert.equal(info?.up, false);
    assert.equal(linkIndex('port0'), info?.index);
    assert.equal(linkInfo('lo')?.kind, undefined);
    assert.equal(linkIndex('lo'), 1);
  });

  test('a name that no interface can have is simply not found', () => {
    for (const name of [
      '',
      'nosuch',
      'x'.repeat(15),
      'x'.repeat(16),
      'x'.repeat(5000),
      'lo\0x',
      'ü'.repeat(8),
    ]) {
      assert.equal(linkInfo(name), undefined, JSON.stringify(name));
    }
  });

  test('linkSet changes what it is told and nothing else', () => {
    const before = linkInfo('port0')!;
    linkSet('port0', { mtu: 9000, txQueueLen: 77 });
    assert.deepEqual(linkInfo('port0'), { ...before, mtu: 9000, txQueueLen: 77 });
    linkSet('port0', { mac: '02:00:00:00:AB:01', gsoMaxSize: 32768, groMaxSize: 16384 });
    linkSet('port1', { mac: Uint8Array.of(2, 0, 0, 0, 0xab, 2) });
    const after = linkInfo('port0')!;
    assert.equal(after.mac, '02:00:00:00:ab:01');
    assert.equal(after.gsoMaxSize, 32768);
    assert.equal(after.groMaxSize, 16384);
    assert.equal(after.mtu, 9000);
    assert.equal(linkInfo('port1')!.mac, '02:00:00:00:ab:02');
  });

  test('up and down, and carrier once both ends are up', () => {
    linkSet('port0', { up: true });
    assert.deepEqual([linkInfo('port0')!.up, linkInfo('port0')!.carrier], [true, false]);
    linkSet('port1', { up: true });
    assert.equal(linkInfo('port0')!.carrier, true);
    linkSet('port1', { up: false });
    assert.equal(linkInfo('port1')!.up, false);
    linkSet('port1', { up: true });
  });

  test('addresses of both families, listed as ip lists them', () => {
    addressAdd('port0', '10.9.0.1/24');
    addressAdd('port0', 'fd00:9::1/64');
    const index = linkIndex('port0')!;
    const ours = addressList('port0');
    assert.deepEqual(
      ours.filter(({ address }) => !address.startsWith('fe80')),
      [
        { index, family: 4, address: '10.9.0.1', prefix: 24 },
        { index, family: 6, address: 'fd00:9::1', prefix: 64 },
      ],
    );
    const theirs: { addr_info: { local: string; prefixlen: number }[] }[] = JSON.parse(
      ip('-j', 'address', 'show', 'dev', 'port0'),
    );
    const key = (address: string, prefix: number) => `${address}/${prefix}`;
    assert.deepEqual(
      ours.map(({ address, prefix }) => key(address, prefix)).sort(),
      theirs[0].addr_info.map(({ local, prefixlen }) => key(local, prefixlen)).sort(),
    );
    assert.ok(addressList().length >= ours.length);
    // No duplicate address detection: usable at once, never tentative.
    assert.match(ip('-6', 'address', 'show', 'dev', 'port0'), /fd00:9::1\/64 scope global nodad/);
  });

  test('routes: on the link, through a gateway, default', () => {
    routeAdd({ to: '10.77.0.0/16', dev: 'port0' });
    routeAdd({ to: 'default', via: '10.9.0.254', dev: 'port0' });
    routeAdd({ to: 'fd77::/32', via: 'fd00:9::2', dev: 'port0' });
    const routes = ip('route', 'show') + ip('-6', 'route', 'show');
    assert.match(routes, /^10\.77\.0\.0\/16 dev port0 proto static scope link/m);
    assert.match(routes, /^default via 10\.9\.0\.254 dev port0 proto static/m);
    assert.match(routes, /^fd77::\/32 via fd00:9::2 dev port0 proto static/m);
  });

  test('a refusal is a SysError with the kernel’s own words', () => {
    assert.throws(() => addressAdd('port0', '10.9.0.1/24'), sysError('EEXIST', /10\.9\.0\.1\/24 dev port0/));
    assert.throws(
      () => routeAdd({ to: '10.88.0.0/16', via: '192.0.2.1', dev: 'port0' }),
      sysError('ENETUNREACH', /10\.88\.0\.0\/16/, /the kernel says: Nexthop has invalid gateway/),
    );
    assert.throws(
      () => linkSet('port0', { mtu: 1 }),
      sysError('EINVAL', /port0/, /the kernel says: mtu less than/),
    );
    assert.throws(() => linkDelete('lo'), sysError('ENOTSUP', /lo/));
    for (const act of [
      () => linkSet('nosuch', { up: true }),
      () => linkDelete('nosuch'),
      () => addressAdd('nosuch', '10.0.0.1/8'),
      () => addressList('nosuch'),
      () => routeAdd({ to: 'default', dev: 'nosuch' }),
    ]) {
      assert.throws(act, sysError('ENODEV', /nosuch/));
    }
  });

  test('a malformed address is a SetupError before any request', () => {
    for (const cidr of [
      '',
      '10.0.0.1',
      '10.0.0.1/33',
      'fd00::1/129',
      '10.0.0/24',
      '10.0.0.1/2x',
      'fd00::g/64',
      'a\0/1',
    ]) {
      assert.throws(() => addressAdd('port0', cidr), SetupError, JSON.stringify(cidr));
    }
    for (const mac of ['', '02:00:00:00:00', '02:00:00:00:00:zz', '2:0:0:0:0:1', new Uint8Array(5)]) {
      assert.throws(() => linkSet('port0', { mac }), SetupError, String(mac));
    }
    assert.throws(() => routeAdd({ to: '10.0.0.0/8', via: 'fd00::1', dev: 'port0' }), SetupError);
  });

  test('a link takes a new name while it is down', () => {
    const { index } = linkInfo('port1')!;
    linkSet('port1', { up: false });
    linkSet('port1', { name: 'renamed' });
    assert.equal(linkIndex('renamed'), index);
    assert.equal(linkIndex('port1'), undefined);
  });

  test('two hundred links: the dump spans several datagrams', () => {
    for (let i = 0; i < 200; i++) ip('link', 'add', `many${i}`, 'type', 'veth', 'peer', 'name', `more${i}`);
    const names = new Set(linkList().map(({ name }) => name));
    for (let i = 0; i < 200; i++) assert.ok(names.has(`many${i}`) && names.has(`more${i}`));
    assert.equal(names.size, ipLinks().length);
  });

  test('linkDelete removes the link, and a veth’s other end with it', () => {
    linkDelete('port0');
    assert.equal(linkIndex('port0'), undefined);
    assert.equal(linkIndex('renamed'), undefined);
  });
}
