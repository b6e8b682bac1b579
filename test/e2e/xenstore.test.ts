import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ferry, type Guest } from './support/ferry.js';
import { lacking } from './support/place.js';

describe('Debian’s xenstore tools and a running daemon', {
  skip: lacking('xenstore-ls', 'xenstore-read', 'unshare', 'nsenter'),
}, () => {
  let ferry: Ferry;
  let guest: Guest;
  before(async () => {
    ferry = await Ferry.start();
    guest = await ferry.guest('golden', '--mac', '02:00:5e:10:00:01', '--ip', '10.206.0.77/24');
  });
  after(() => ferry?.stop());

  test('xenstore-ls shows the handshake', () => {
    const { domid } = guest.info;
    const shown = ferry.xenstore('ls', '-f', '/local/domain').stdout.trim().split('\n').sort();
    const expected = [
      `/local/domain/${domid}/device/vif/0/backend = "/local/domain/0/backend/vif/${domid}/0"`,
      `/local/domain/${domid}/device/vif/0/backend-id = "0"`,
      `/local/domain/${domid}/device/vif/0/mac = "02:00:5e:10:00:01"`,
      `/local/domain/${domid}/device/vif/0/mtu = "1500"`,
      `/local/domain/${domid}/device/vif/0/state = "4"`,
      `/local/domain/${domid}/device/vif/0/tx-ring-ref = "9"`,
      `/local/domain/${domid}/device/vif/0/rx-ring-ref = "10"`,
      `/local/domain/${domid}/device/vif/0/event-channel-tx = "1"`,
      `/local/domain/${domid}/device/vif/0/event-channel-rx = "2"`,
      `/local/domain/${domid}/device/vif/0/request-rx-copy = "1"`,
      `/local/domain/${domid}/device/vif/0/feature-rx-notify = "1"`,
      `/local/domain/${domid}/device/vif/0/feature-sg = "1"`,
      `/local/domain/${domid}/device/vif/0/feature-gso-tcpv4 = "1"`,
      `/local/domain/${domid}/device/vif/0/feature-gso-tcpv6 = "1"`,
      `/local/domain/0/backend/vif/${domid}/0/frontend = "/local/domain/${domid}/device/vif/0"`,
      `/local/domain/0/backend/vif/${domid}/0/frontend-id = "${domid}"`,
      `/local/domain/0/backend/vif/${domid}/0/mac = "02:00:5e:10:00:01"`,
      `/local/domain/0/backend/vif/${domid}/0/state = "4"`,
      `/local/domain/0/backend/vif/${domid}/0/hotplug-status = "connected"`,
      `/local/domain/0/backend/vif/${domid}/0/feature-sg = "1"`,
      `/local/domain/0/backend/vif/${domid}/0/feature-rx-copy = "1"`,
      `/local/domain/0/backend/vif/${domid}/0/feature-rx-flip = "0"`,
      `/local/domain/0/backend/vif/${domid}/0/feature-split-event-channels = "1"`,
    ];
    assert.deepEqual(
      expected.filter((line) => !shown.includes(line)),
      [],
    );
  });

  test('permissions: each end owns its own nodes, the other may read', () => {
    const { domid } = guest.info;
    const shown = ferry.xenstore('ls', '-f', '-p', '/local/domain').stdout.split('\n');
    const permissions = (path: string) =>
      /\((.*)\)$/.exec(shown.find((line) => line.startsWith(`${path} `)) ?? '')?.[1];
    assert.equal(permissions(`/local/domain/0/backend/vif/${domid}/0/state`), `n0,r${domid}`);
    assert.equal(permissions(`/local/domain/${domid}/device/vif/0/state`), `n${domid},r0`);
  });

  test('guest rm takes both halves away', async () => {
    const { domid } = guest.info;
    const backend = `/local/domain/0/backend/vif/${domid}/0`;
    assert.equal(ferry.xenstore('read', `${backend}/state`).stdout, '4\n');
    assert.equal(ferry.xenstore('exists', `${backend}/none`).code, 1);
    await ferry.cli('guest', 'rm', 'golden');
    assert.equal(ferry.xenstore('exists', backend).code, 1);
    assert.equal(ferry.xenstore('exists', `/local/domain/${domid}`).code, 1);
  });
});
