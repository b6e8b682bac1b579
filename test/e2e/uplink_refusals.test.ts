/** What cannot be an uplink or a port: one line that says why, one that says what to do, nothing half-attached. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ENTRY, Ferry } from './support/ferry.js';
import { lacking } from './support/place.js';
import { attachedPrograms, NEEDS, ping, Site } from './support/uplink.js';

describe('refused', { skip: lacking(...NEEDS, 'curl') }, () => {
  let site: Site;
  let programs: string[];
  before(async () => {
    site = await Site.make();
    await site.host.place.run(
      'ip link add br0 type bridge && ip link add link up0 name mv0 type macvlan mode bridge && ip link add slave type veth peer name slaveend && ' +
        'ip link set slave master br0 && ip tuntap add tun0 mode tun && ' +
        'ip link add free type veth peer name freeend && ip link add other type veth peer name otherend',
    );
  });
  after(() => site?.close());

  const attached = () => attachedPrograms(site.host.place);

  const uplinks: [device: string, says: RegExp][] = [
    ['nosuch', /^no interface "nosuch" in this network namespace\n {2}see: ip link; an interface of another/],
    ['lo', /^lo is the loopback interface: it leads nowhere\n/],
    ['slave', /^slave belongs to a bridge already\n {2}take it out first: ip link set slave nomaster\n$/],
    ['tun0', /^tun0 carries no Ethernet frames\n/],
  ];
  for (const [device, says] of uplinks) {
    test(`up --uplink ${device}`, async () => {
      const { code, message } = await site.refused('up', '--uplink', device);
      assert.equal(code, 1);
      assert.match(message, says);
      assert.deepEqual(await attached(), []);
      assert.doesNotMatch(await site.host.place.run('ip link'), /nfx0|nf0/);
    });
  }

  test('up --uplink with a slave of a bond', async (t) => {
    const make = 'ip link add bond0 type bond && ip link add slave2 type veth peer name slave2end';
    const { code } = await site.host.place.try(`${make} && ip link set slave2 master bond0`);
    if (code !== 0) return t.skip('this kernel has no bonds');
    const { message } = await site.refused('up', '--uplink', 'slave2');
    assert.match(message, /^slave2 belongs to a bond already\n {2}use the master instead\n$/);
  });

  test('a port: what it cannot be, whose MACs it cannot have', async () => {
    await site.ferry.run('--uplink', 'up0');
    const a = await site.embedded('a');
    await site.ferry.cli('attach', 'other', '--mac', '02:00:00:09:00:70', '--address', '10.209.0.70');
    programs = await attached();
    const rows: [args: string[], says: RegExp][] = [
      [['attach', 'nosuch'], /^no interface "nosuch" in this network namespace\n/],
      [['attach', 'lo'], /^lo is the loopback interface/],
      [['attach', 'slave'], /^slave belongs to a bridge already\n/],
      [['attach', 'up0'], /^up0 is the uplink\n {2}the wire is reached through it/],
      [['attach', 'nfx0'], /^nfx0 is netferry’s own\n/],
      [['attach', 'other'], /^other is attached already\n {2}netferry detach other\n$/],
      [
        ['attach', 'free', '--name', 'other'],
        /^a port called other is attached already\n {2}choose another --name/,
      ],
      [['attach', 'free', '--mac', a.mac], new RegExp(`^MAC ${a.mac} is a's\n`)],
      [['attach', 'free', '--mac', '02:00:00:09:00:70'], /^MAC 02:00:00:09:00:70 is port other's\n/],
      [
        ['attach', 'free', '--mac', site.host.mac],
        new RegExp(`^MAC ${site.host.mac} is the host \\(up0\\)'s\n`),
      ],
      [
        ['attach', 'free', '--mac', '02:00:00:09:00:72', '--mac', '02:00:00:09:00:72'],
        /^02:00:00:09:00:72 is given twice\n/,
      ],
      [['attach', 'otherend'], /^otherend and other lead to each other: frames would go in circles\n/],
      [['attach', 'mv0'], /^mv0 and up0 lead to each other: frames would go in circles\n/],
      [['attach', 'free', '--address', site.host.v4], /^10\.209\.0\.1 is the host \(up0\)'s\n/],
      [['attach', 'free', '--address', site.host.v6], /^fd4e:4652:9::1 is the host \(up0\)'s\n/],
      [['guest', 'run', 'x', '-d', '--ip', `${site.host.v4}/24`], /10\.209\.0\.1 is the host \(up0\)'s\n/],
      [['attach', 'free', '--address', '10.209.0.70'], /^10\.209\.0\.70 is port other's\n/],
      [['attach', 'free', '--address', a.v4], new RegExp(`^${a.v4} is a's\n`)],
      [['guest', 'run', 'x', '-d', '--mac', '02:00:00:09:00:70'], /MAC 02:00:00:09:00:70 is port other's\n/],
      [['detach', 'free'], /^free is not attached\n {2}attached: other\n$/],
    ];
    for (const [args, says] of rows) {
      const { code, message } = await site.refused(...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(message, says);
    }
    assert.deepEqual(await attached(), programs, 'nothing came of any of them');
    assert.equal((await site.ferry.client.vifs()).filter(({ kind }) => kind === 'kernel').length, 1);
    // What was refused has left no claim behind.
    await site.ferry.cli('attach', 'free', '--mac', '02:00:00:09:00:71', '--address', '10.209.0.71');
    await ping(a, site.remote.v4);
  });

  /** `netferry up --uplink` of another daemon. */
  const up = (uplink: string) => {
    const directory = `${site.ferry.directory}-second`;
    return [process.execPath, ENTRY, 'up', '--dir', directory, '--uplink', uplink];
  };

  test('up --uplink by one who is root by name alone', async () => {
    for (const [lacking, says] of [
      ['-net_admin', /^there is no way to up0 without CAP_NET_ADMIN\n {2}give them to the container/],
      ['-sys_admin,-bpf,-net_raw', /^there is no way to up0 without CAP_SYS_ADMIN, CAP_NET_RAW\n/],
    ] as const) {
      const bound = ['setpriv', '--bounding-set', lacking, '--inh-caps', lacking];
      const { code, stderr } = await site.host.place.try([...bound, ...up('up0')]);
      assert.equal(code, 1);
      assert.match(stderr.replace(/^netferry: /, ''), says);
    }
    assert.equal(existsSync(`${site.ferry.directory}-second`), false);
    // Only an uplink needs a packet socket.
    const raw = ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-net_raw'];
    const { stdout } = await site.host.place.try([...raw, process.execPath, ENTRY, 'doctor', '--json']);
    assert.match(stdout, /"found":\s*"root"/);
  });

  test('up --uplink with a wireless interface', async () => {
    // As sysfs shows it: a mount namespace whose /sys/class/net says so.
    const script = `
      index=$(cat /sys/class/net/other/ifindex) && mount -t tmpfs none /sys/class/net &&
      mkdir -p /sys/class/net/other/phy80211 && echo $index > /sys/class/net/other/ifindex &&
      exec "$@"`;
    const command = [
      'unshare',
      '--mount',
      'sh',
      '-c',
      `mount -t sysfs none /sys && ${script}`,
      'sh',
      ...up('other'),
    ];
    const { code, stderr } = await site.host.place.try(command);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      'netferry: other is wireless: its access point takes frames from its own MAC alone\n' +
        '  use a wired uplink, or route instead\n',
    );
    assert.doesNotMatch((await attached()).join(), /^other .*netferry_in/m);
  });

  test('a second daemon on the uplink', async () => {
    const second = Ferry.in(site.host.place);
    try {
      await assert.rejects(
        second.run('--uplink', 'up0'),
        /up0 belongs to another netferry already .*\n {2}one daemon an interface: end the other/,
      );
    } finally {
      await second.stop();
    }
    assert.equal(site.ferry.daemon.text().includes('is up'), true);
    assert.ok((await attached()).includes('up0 ingress netferry_in'));
  });

  test('hostile and malformed requests on the control socket', async () => {
    const curl = (body: string, path = '/v1/ports') =>
      site.host.place.run([
        'curl', '-s', '--unix-socket', `${site.ferry.directory}/control.sock`, '-X', 'POST', '-d', body,
        `http://netferry${path}`,
      ]); // biome-ignore format: one command
    assert.match(await curl('{'), /^\{"error":"the request is not JSON"/);
    assert.match(await curl('{"device":""}'), /^\{"error":"port: device: /);
    assert.match(await curl('{"device":"free","shiny":1}'), /^\{"error":"port: .*shiny/);
    assert.match(await curl('{"device":"other","macs":["x"]}'), /other is attached already/);
    assert.match(await curl(`{"device":"${'x'.repeat(70_000)}"}`), /^\{"error":"/);
    await ping(site.host, site.remote.v4);
  });
});
