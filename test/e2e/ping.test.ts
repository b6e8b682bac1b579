import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { ping } from './support/ping.js';
import { lacking } from './support/place.js';

/** 1472 fills an MTU of 1500, one more makes two fragments, 60000 makes 41. */
const SIZES = [0, 1, 56, 1472, 1473, 8000, 60_000];
const skip = lacking('ping', 'unshare', 'nsenter', 'ip');

for (const transfer of ['persistent', 'grant-copy']) {
  describe(`ping, ${transfer}`, { skip }, () => {
    let ferry: Ferry;
    let a: Guest;
    let b: Guest;
    before(async () => {
      ferry = await Ferry.start('--transfer', transfer);
      a = await ferry.guest('a');
      b = await ferry.guest('b');
    });
    after(() => ferry?.stop());

    test('IPv6 neighbour discovery between fresh guests', async () => {
      await ping(a, b.v6, 56, '-6');
      const neighbours = await a.run('ip -6 neigh show dev eth0');
      assert.match(neighbours, new RegExp(`${b.v6} lladdr ${b.info.mac}`));
    });

    test('neighbour solicitation and advertisement by ndisc6', { skip: lacking('ndisc6') }, async () => {
      const output = await a.run(['ndisc6', '-1', HOST.v6, 'eth0']);
      const { mac } = await ferry.vif(null);
      assert.match(output.toLowerCase(), new RegExp(`target link-layer address: ${mac}`));
    });

    test('every size, guest to guest', async () => {
      for (const size of SIZES) await ping(a, b.v4, size);
      for (const size of SIZES) await ping(b, a.v6, size, '-6');
    });

    test('every size, guest to host and host to guest', async () => {
      for (const size of SIZES) await ping(a, HOST.v4, size);
      for (const size of SIZES) await ping(ferry.host, b.v4, size);
      await ping(ferry.host, b.v6, 60_000, '-6');
      await ping(b, HOST.v6, 60_000, '-6');
    });

    test('no frame was dropped', async () => {
      for (const guest of [a, b, null]) {
        // A group frame before the second guest was there found nobody to go to.
        const { 'group-of-none': _, ...drops } = (await ferry.vif(guest)).counters.drops;
        assert.deepEqual(drops, {}, `${guest?.info.name ?? 'host'}: ${JSON.stringify(drops)}`);
      }
    });
  });
}

describe('jumbo frames, unfragmented', { skip }, () => {
  for (const mtu of [9000, 65_521]) {
    test(`MTU ${mtu}`, async () => {
      const ferry = await Ferry.start('--mtu', String(mtu));
      try {
        const a = await ferry.guest('a');
        const b = await ferry.guest('b', '--transfer', 'grant-copy');
        // ping cannot send more than IPv4 can carry: 65,535 less its headers.
        const full = Math.min(mtu, 65_535) - 28;
        const before = (await ferry.vif(a)).counters.in.frames;
        for (const [from, to] of [
          [a, b.v4],
          [b, a.v4],
          [a, HOST.v4],
          [ferry.host, b.v4],
        ] as const) {
          await ping(from, to, full, '-M', 'do');
        }
        const { frames } = (await ferry.vif(a)).counters.in;
        assert.ok(frames - before < 60, 'one frame a packet, not fragments');
        await assert.rejects(
          ping(a, b.v4, full + 1, '-M', 'do', '-W', '1'),
          /exit code 1/,
          'one byte more does not fit',
        );
      } finally {
        await ferry.stop();
      }
    });
  }
});
