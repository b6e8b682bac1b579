/** DHCP through the uplink with Debian's server and client: the server on the wire, clients behind every kind of port. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Machine } from '../hook/support/lan.js';
import { type Background, lacking, sleep, until } from './support/place.js';
import { NEEDS, ping, Site } from './support/uplink.js';

describe('DHCP through the uplink', { skip: lacking(...NEEDS, 'dhcpd', 'dhclient') }, () => {
  let site: Site;
  let directory: string;
  let server: Background;
  before(async () => {
    site = await Site.make();
    directory = mkdtempSync(join(tmpdir(), 'netferry-dhcp-'));
    await site.ferry.run('--uplink', 'up0');
    const config = join(directory, 'dhcpd.conf');
    writeFileSync(
      config,
      'authoritative; default-lease-time 600; ping-check false;\n' +
        'subnet 10.209.0.0 netmask 255.255.255.0 { range 10.209.0.200 10.209.0.220; option routers 10.209.0.2; }\n',
    );
    writeFileSync(join(directory, 'leases'), '');
    server = site.remote.place.start(
      `exec dhcpd -4 -f -d -cf ${config} -lf ${directory}/leases -pf ${directory}/dhcpd.pid eth0 2>&1`,
    );
    await until('dhcpd listens', () => /Sending on .*Socket|Server starting service/.test(server.text()));
  });
  after(async () => {
    await server?.stop('SIGTERM');
    await site?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Asks for a lease and takes it; the address. */
  async function lease({ name, place }: Machine): Promise<string> {
    await place.run('ip -4 address flush dev eth0');
    const files = `-lf ${directory}/${name}.leases -pf ${directory}/${name}.pid`;
    // No script: it would write this machine's resolv.conf. What it was given is in the lease.
    const client = place.start(`exec dhclient -4 -d -1 -sf /bin/true ${files} eth0 2>&1`);
    try {
      await until(`${name} has a lease`, () => client.text().includes('bound to'), 20_000);
    } finally {
      await client.stop('SIGTERM');
    }
    const address = /bound to (\S+)/.exec(client.text())?.[1] ?? '';
    await place.run(`ip address add ${address}/24 dev eth0`);
    return address;
  }

  test('an embedded guest and a container get a lease, and are reached by it', async () => {
    const a = await site.embedded('a');
    const c = await site.container('c');
    const leases = [await lease(a), await lease(c)];
    for (const address of leases) {
      assert.match(address, /^10\.209\.0\.2[012]\d$/);
      await ping(site.remote, address);
      await ping(site.host, address);
    }
    assert.notEqual(leases[0], leases[1]);
    await sleep(100);
    for (const [machine, address] of [
      [a, leases[0]],
      [c, leases[1]],
    ] as const) {
      assert.match(server.text(), new RegExp(`DHCPACK on ${address} to ${machine.mac}`));
    }
  });
});
