import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { iperf } from './support/iperf.js';
import { interfaceDrops, protocolCounters } from './support/kernel_counters.js';
import { lacking, type Place } from './support/place.js';

const skip = lacking('iperf3', 'ss', 'unshare', 'nsenter', 'ip');
const MEGABYTE = 1e6;

for (const transfer of TRANSFER_NAMES) {
  describe(`iperf3, ${transfer}`, { skip }, () => {
    let ferry: Ferry;
    let a: Guest;
    let b: Guest;
    before(async () => {
      ferry = await Ferry.start('--transfer', transfer);
      a = await ferry.guest('a');
      b = await ferry.guest('b');
    });
    after(() => ferry?.stop());

    /** Every frame lost anywhere on the way, as far as anybody counted it. */
    async function counted(): Promise<number> {
      let total = 0;
      for (const guest of [a, b, null]) {
        const { drops } = (await ferry.vif(guest)).counters;
        total += Object.values(drops).reduce((sum, n) => sum + n, 0);
      }
      for (const [place, name] of [
        [a, 'eth0'],
        [b, 'eth0'],
        [ferry.host, 'nf0'],
      ] as const) {
        total += await interfaceDrops(place, name);
        const kernel = await protocolCounters(place);
        for (const key of [
          'Udp.RcvbufErrors',
          'Udp.SndbufErrors',
          'Udp6RcvbufErrors',
          'TcpExt.TCPBacklogDrop',
          'TcpExt.TCPRcvQDrop',
        ]) {
          total += kernel.get(key) ?? 0;
        }
      }
      return total;
    }

    const routes: [string, () => [Place, Place, string]][] = [
      ['guest to guest', () => [a, b, b.v4]],
      ['and back, IPv6', () => [b, a, a.v6]],
      ['guest to host', () => [a, ferry.host, HOST.v4]],
      ['host to guest, IPv6', () => [ferry.host, b, b.v6]],
    ];
    for (const [name, route] of routes) {
      test(`TCP ${name}`, async () => {
        const [from, to, address] = route();
        const before = await counted();
        const { sent, received, retransmits } = await iperf(from, to, address);
        assert.ok(received > 50 * MEGABYTE, `${received} bytes in 2 s`);
        assert.ok(sent >= received);
        const drops = (await counted()) - before;
        if (drops === 0)
          assert.ok(retransmits <= 20, `${retransmits} retransmits though nothing was dropped`);
      });
    }

    test('eight TCP streams, both ways at once', async () => {
      const { received } = await iperf(a, b, b.v4, '-P', '8', '--bidir');
      assert.ok(received > 20 * MEGABYTE, `${received} bytes in 2 s`);
    });

    test('UDP, 64-byte datagrams: what is lost was counted', async () => {
      const before = await counted();
      const { packets, lost } = await iperf(a, b, b.v4, '-u', '-l', '64', '-b', '20M');
      assert.ok(packets > 10_000, `${packets} datagrams in 2 s`);
      const drops = (await counted()) - before;
      assert.ok(lost <= drops, `${lost} of ${packets} lost, ${drops} drops counted`);
    });

    test('segmentation and checksum offload carried the bulk', async () => {
      const { counters } = await ferry.vif(a);
      assert.ok(counters.in.gso > 0);
      assert.ok(counters.out.gso > 0);
      assert.equal(counters.out.segmented, 0, 'no software segmentation: the guest takes GSO frames');
      // As many segments a frame as a tap's own limit of 65,536 allows TCP; and 4 bytes are left for a VLAN tag.
      assert.match(await a.run('ip -d link show eth0'), /gso_max_size 65532/);
    });
  });
}
