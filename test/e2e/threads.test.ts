/** Guests on several datapath threads: by the command line, over real taps. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { iperf } from './support/iperf.js';
import { lacking, until } from './support/place.js';

const skip = lacking('iperf3', 'ss', 'unshare', 'nsenter', 'ip', 'ping');
const MEGABYTE = 1e6;
const DYING = new URL('./support/dying_thread.js', import.meta.url).href;
const HASH = fileURLToPath(new URL('./support/hash_main.js', import.meta.url));

for (const transfer of ['persistent', 'grant-copy', 'static', 'map'] as const) {
  describe(`two datapath threads, ${transfer}`, { skip }, () => {
    let ferry: Ferry;
    let one: Guest;
    let two: Guest;
    let wide: Guest;
    before(async () => {
      ferry = await Ferry.start('--threads', '2', '--queues', '4', '--transfer', transfer);
      one = await ferry.guest('one');
      two = await ferry.guest('two');
      wide = await ferry.guest('wide', '--queues', '4');
    });
    after(() => ferry?.stop());

    test('guests are spread over them', async () => {
      const { threads } = await ferry.client.status();
      assert.equal(threads.length, 2);
      // The host port is on both; announced pages are one state for all queues, so such a guest has one thread.
      const parts = threads.map(({ ports }) => ports).sort();
      assert.deepEqual(parts, transfer === 'static' ? [2, 3] : [3, 3]);
    });

    test('each reaches each, with every size of ping', async () => {
      for (const from of [one, two, wide, ferry.host]) {
        for (const to of [one.v4, two.v4, wide.v4, wide.v6, HOST.v4]) {
          for (const size of ['0', '1472', '20000'])
            await from.run(['ping', '-q', '-c', '2', '-i', '0.01', '-s', size, to]);
        }
      }
    });

    test('a stream from thread to thread arrives as it was sent', async () => {
      const receiver = two.start([process.execPath, HASH, 'receive', '4000']);
      await until('the receiver listens', () => receiver.text().includes('ready'));
      const sent = await one.run([process.execPath, HASH, 'send', two.v4, '4000', String(64 * MEGABYTE)]);
      await until('the receiver has it', () => receiver.text().split('\n').length > 2);
      assert.equal(receiver.text().split('\n')[1], sent.trim());
      await receiver.stop();
    });

    test('eight TCP streams, both ways at once', async () => {
      const { received } = await iperf(wide, one, one.v4, '-P', '8', '--bidir');
      assert.ok(received > 20 * MEGABYTE, `${received} bytes in 2 s`);
      const fromHost = await iperf(ferry.host, wide, wide.v4, '-P', '4');
      assert.ok(fromHost.received > 20 * MEGABYTE, `${fromHost.received} bytes in 2 s`);
    });

    test('what changed threads is told, and counters of queues add up', async () => {
      const { threads } = await ferry.client.status();
      const [a, b] = threads;
      assert.ok(a.handedOver > 0 && b.handedOver > 0, JSON.stringify(threads));
      assert.ok(a.received <= b.handedOver && b.received <= a.handedOver, JSON.stringify(threads));
      assert.deepEqual([a.drops, b.drops], [{}, {}]);
      const { counters, queues } = await ferry.vif(wide);
      assert.equal(queues?.length, 4);
      assert.equal(
        queues?.reduce((sum, queue) => sum + queue.in.bytes, 0),
        counters.in.bytes,
      );
      assert.ok(queues?.every((queue) => queue.in.frames > 0));
    });
  });
}

describe('two datapath threads, guests that come and go', { skip }, () => {
  let ferry: Ferry;
  let stays: Guest;
  let other: Guest;
  before(async () => {
    ferry = await Ferry.start('--threads', '2');
    stays = await ferry.guest('stays');
    other = await ferry.guest('other', '--queues', '2');
  });
  after(() => ferry?.stop());

  test('one that is killed in mid-traffic takes nobody with it, and its place is free again', async () => {
    const steady = stays.start(['ping', '-q', '-i', '0.01', '-c', '1000', '-W', '1', other.v4]);
    for (let round = 0; round < 4; round++) {
      const guest = await ferry.guest(`brief-${round}`, '--queues', '2');
      const flood = guest.start(['ping', '-q', '-f', '-w', '20', stays.v4]);
      await until('frames flow', async () => (await ferry.vif(guest)).counters.in.frames > 100);
      process.kill(guest.info.pid, 'SIGKILL');
      await until(
        'it is gone',
        async () => !(await ferry.client.vifs()).some((vif) => vif.guest === guest.info.name),
      );
      await flood.stop('SIGKILL');
    }
    const { stdout } = await steady.ended;
    assert.match(stdout, /, 0% packet loss/);
    const { threads } = await ferry.client.status();
    assert.deepEqual(threads.map(({ ports }) => ports).sort(), [2, 3]);
  });

  test('one with a rate has all its queues on one thread, and keeps to it', async () => {
    const slow = await ferry.guest('slow', '--queues', '2', '--rate', '40Mb/s');
    const { received } = await iperf(slow, other, other.v4, '-P', '4', '-t', '3');
    const rate = (received * 8) / 3 / MEGABYTE;
    assert.ok(rate > 15 && rate < 43, `${rate} Mb/s`);
    assert.ok((await ferry.vif(slow)).counters.in.limited > 0);
  });
});

describe('two datapath threads, a guest that takes nothing', { skip }, () => {
  let ferry: Ferry;
  const guests: Guest[] = [];
  before(async () => {
    ferry = await Ferry.start('--threads', '2');
    for (const name of ['a', 'b', 'c', 'd']) guests.push(await ferry.guest(name)); // by turns on either thread
  });
  after(() => ferry?.stop());

  test('does not hold up what goes to others of its thread', async () => {
    const [a, b, c, d] = guests;
    await a.run(`ip neigh replace ${b.v4} lladdr ${b.info.mac} nud permanent dev eth0`);
    const handedOver = async () => (await ferry.client.status()).threads.map((one) => one.handedOver);
    const earlier = await handedOver();
    process.kill(b.info.pid, 'SIGSTOP');
    try {
      const flood = a.start(['ping', '-q', '-f', '-s', '1400', '-w', '20', b.v4]);
      await until('its ring is full', async () => (await ferry.vif(b)).counters.out.waits > 0);
      const { received } = await iperf(c, d, d.v4);
      assert.ok(received > 20 * MEGABYTE, `${received} bytes in 2 s`);
      assert.match(
        await c.run(['ping', '-q', '-i', '0.01', '-c', '100', '-W', '1', d.v4]),
        / 0% packet loss/,
      );
      await flood.stop('SIGKILL');
      assert.ok(Object.keys((await ferry.vif(b)).counters.drops).length > 0);
      const later = await handedOver();
      assert.ok(later[0] - earlier[0] > 1000 && later[1] > earlier[1], `${earlier} → ${later}`);
    } finally {
      process.kill(b.info.pid, 'SIGCONT');
    }
    await a.run(['ping', '-q', '-c', '3', '-i', '0.1', b.v4]);
  });
});

test('two datapath threads, one of which dies of a fault: the daemon ends, says so, and leaves nothing', {
  skip,
}, async () => {
  const mark = join(tmpdir(), `netferry-fault-${process.pid}`);
  const { NODE_OPTIONS = '' } = process.env;
  process.env.NETFERRY_TEST_FAULT = mark;
  process.env.NODE_OPTIONS = `${NODE_OPTIONS} --import=${DYING}`;
  let ferry: Ferry | undefined;
  try {
    ferry = await Ferry.start('--threads', '2', '--queues', '2');
    const guests = [
      await ferry.guest('one'),
      await ferry.guest('two'),
      await ferry.guest('wide', '--queues', '2'),
    ];
    for (const { v4 } of guests) await ferry.host.run(['ping', '-q', '-c', '2', '-i', '0.01', v4]);
    const floods = guests.map((guest, i) =>
      guest.start(['ping', '-q', '-f', '-w', '20', guests[(i + 1) % 3].v4]),
    );
    writeFileSync(mark, '');
    const { code, stderr } = await ferry.daemon.ended;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /the datapath thread failed: Error: a fault for a test/);
    assert.deepEqual(
      readdirSync(ferry.directory).filter((name) => name.endsWith('.sock')),
      [],
    );
    for (const flood of floods) await flood.stop('SIGKILL');
    const host = ferry.host;
    await until('nf0 is gone', async () => !(await host.run('ip -br link')).includes('nf0'));
    for (const { info } of guests) assert.throws(() => process.kill(info.pid, 0), /ESRCH/);
  } finally {
    process.env.NODE_OPTIONS = NODE_OPTIONS;
    delete process.env.NETFERRY_TEST_FAULT;
    rmSync(mark, { force: true });
    await ferry?.stop();
  }
});
