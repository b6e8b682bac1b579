/** Guests with several queues, a rate, addresses they are held to: by the command line, over real taps. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { iperf } from './support/iperf.js';
import { lacking } from './support/place.js';

const skip = lacking('iperf3', 'ss', 'unshare', 'nsenter', 'ip', 'ping', 'xenstore-read');
const MEGABYTE = 1e6;

for (const transfer of TRANSFER_NAMES) {
  describe(`guests with several queues, ${transfer}`, { skip }, () => {
    let ferry: Ferry;
    let a: Guest;
    let b: Guest;
    before(async () => {
      ferry = await Ferry.start('--transfer', transfer, '--queues', '3');
      a = await ferry.guest('a', '--queues', '2');
      b = await ferry.guest('b', '--queues', '16'); // as many as it is offered
    });
    after(() => ferry?.stop());

    test('the handshake is that of netif.h', async () => {
      const read = (path: string) => ferry.xenstore('read', `/local/domain/${path}`).stdout.trim();
      const [x, y] = [a, b].map((guest) => guest.info.domid);
      assert.equal(read(`0/backend/vif/${x}/0/multi-queue-max-queues`), '3');
      assert.equal(read(`${x}/device/vif/0/multi-queue-num-queues`), '2');
      assert.equal(read(`${y}/device/vif/0/multi-queue-num-queues`), '3');
      assert.match(read(`${y}/device/vif/0/queue-2/tx-ring-ref`), /^\d+$/);
    });

    test('every size of ping, both ways', async () => {
      for (const size of [0, 1, 1472, 3000, 20_000])
        await a.run(['ping', '-q', '-c', '2', '-i', '0.01', '-s', String(size), b.v4]);
      await b.run(['ping', '-q', '-c', '2', '-i', '0.01', a.v6]);
      await a.run(['ping', '-q', '-c', '2', '-i', '0.01', HOST.v4]);
    });

    test('eight TCP streams, both ways at once', async () => {
      const { received } = await iperf(a, b, b.v4, '-P', '8', '--bidir');
      assert.ok(received > 20 * MEGABYTE, `${received} bytes in 2 s`);
    });

    test('one stream, and the host', async () => {
      const { sent, received } = await iperf(b, a, a.v6);
      assert.ok(received > 50 * MEGABYTE && sent >= received, `${received} bytes in 2 s`);
      const fromHost = await iperf(ferry.host, b, b.v4);
      assert.ok(fromHost.received > 50 * MEGABYTE, `${fromHost.received} bytes in 2 s`);
    });

    test('all queues were in use, and their counters add up', async () => {
      const { counters, queues } = await ferry.vif(b);
      assert.ok(queues && queues.length === 3);
      for (const [q, one] of queues.entries())
        assert.ok(
          one.out.frames > 0 && one.in.frames > 0,
          `queue ${q}: ${one.in.frames} and ${one.out.frames}`,
        );
      assert.equal(
        queues.reduce((sum, one) => sum + one.out.frames, 0),
        counters.out.frames,
      );
      assert.equal(
        queues.reduce((sum, one) => sum + one.in.bytes, 0),
        counters.in.bytes,
      );
      const single = await ferry.vif(null);
      assert.equal(single.queues, undefined);
    });
  });
}

describe('a guest that is held to something', { skip }, () => {
  let ferry: Ferry;
  let slow: Guest;
  let strict: Guest;
  let plain: Guest;
  before(async () => {
    ferry = await Ferry.start();
    slow = await ferry.guest('slow', '--rate', '40Mb/s');
    strict = await ferry.guest('strict', '--strict-ip');
    plain = await ferry.guest('plain');
  });
  after(() => ferry?.stop());

  test('a rate bounds what it sends, and not what it receives', async () => {
    const { received } = await iperf(slow, plain, plain.v4, '-t', '3');
    const rate = (received * 8) / 3 / MEGABYTE;
    assert.ok(rate > 20 && rate < 42, `${rate} Mb/s`);
    const { counters } = await ferry.vif(slow);
    assert.ok(counters.in.limited > 0);
    assert.deepEqual(counters.drops, {}, 'what is too much waits');
    const back = await iperf(plain, slow, slow.v4);
    assert.ok(back.received > 50 * MEGABYTE, `${back.received} bytes in 2 s`);
  });

  test('its own addresses get through, IPv4 and IPv6', async () => {
    for (const address of [plain.v4, plain.v6, HOST.v4])
      await strict.run(['ping', '-q', '-c', '2', '-i', '0.01', address]);
    await plain.run(['ping', '-q', '-c', '2', '-i', '0.01', strict.v6]);
    assert.deepEqual((await ferry.vif(strict)).counters.drops, {});
  });

  test('another address does not', async () => {
    const foreign = '10.206.0.200';
    for (const guest of [strict, plain]) {
      await guest.run(`ip addr add ${foreign}/24 dev eth0`);
      const ping = await guest.run(`ping -q -c 2 -i 0.2 -W 1 -I ${foreign} ${HOST.v4} || true`);
      assert.equal(/, 0% packet loss/.test(ping), guest === plain, guest.info.name);
      await guest.run(`ip addr del ${foreign}/24 dev eth0`);
    }
    const { drops } = (await ferry.vif(strict)).counters;
    assert.ok((drops['spoofed-arp'] ?? 0) + (drops['spoofed-ip'] ?? 0) > 0, JSON.stringify(drops));
    assert.deepEqual((await ferry.vif(plain)).counters.drops, {});
  });

  test('without an address there is nothing to hold it to', async () => {
    const bare = await Ferry.start();
    try {
      await bare.daemon.stop();
      await bare.run('--no-host');
      await assert.rejects(bare.guest('nobody', '--strict-ip'), /no address that it could be held to/);
    } finally {
      await bare.stop();
    }
  });
});
