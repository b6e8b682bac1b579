/** Transfer "static" by the command line: pages announced over the control ring, used, and let go of. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ferry, type Guest, HOST, holdings } from './support/ferry.js';
import { ping } from './support/ping.js';
import { lacking, until } from './support/place.js';
import { keyStream } from './support/stream_server.js';

const BYTES = 300e6;
const SERVER = fileURLToPath(new URL('./support/stream_server.js', import.meta.url));

describe('guest run --transfer static', {
  skip: lacking('ping', 'curl', 'ss', 'sha256sum', 'xenstore-read', 'unshare', 'nsenter', 'ip'),
}, () => {
  let ferry: Ferry;
  let held: ReturnType<typeof holdings>;
  let a: Guest;
  let b: Guest;
  before(async () => {
    ferry = await Ferry.start();
    held = holdings(ferry.daemon.pid);
    a = await ferry.guest('a', '--transfer', 'static');
    b = await ferry.guest('b', '--transfer', 'static');
  });
  after(() => ferry?.stop());

  test('both ends say so, and every page was announced', async () => {
    const backend = `/local/domain/0/backend/vif/${a.info.domid}/0`;
    for (const key of ['ctrl-ring', 'multicast-control', 'dynamic-multicast-control'])
      assert.equal(ferry.xenstore('read', `${backend}/feature-${key}`).stdout, '1\n', key);
    const frontend = `/local/domain/${a.info.domid}/device/vif/0`;
    assert.equal(ferry.xenstore('read', `${frontend}/ctrl-ring-ref`).stdout, '11\n');
    assert.equal(ferry.xenstore('read', `${frontend}/event-channel-ctrl`).stdout, '3\n');
    for (const guest of [a, b]) {
      const vif = await ferry.vif(guest);
      assert.equal(vif.transfer, 'static');
      const { requests, refused } = vif.counters.control;
      // One for the size, and a list of 512 for each part of them.
      assert.ok(requests >= 11 && refused === 0, `${requests} requests, ${refused} refused`);
    }
    assert.equal((await ferry.client.guest('a')).transfer, 'static');
    assert.match(await ferry.cli('guest', 'list'), /static/);
  });

  test('ping, guest to guest and to the host, small and large', async () => {
    for (const size of [0, 56, 1473, 60_000]) for (const to of [b.v4, HOST.v4]) await ping(a, to, size);
    await b.run(['ping', '-6', '-n', '-q', '-c', '1', '-W', '3', a.v6]);
  });

  test('a TCP transfer arrives whole, by look-ups alone', async () => {
    const hash = createHash('sha256');
    for (const chunk of keyStream(BYTES)) hash.update(chunk);
    const http = a.start([process.execPath, SERVER, String(BYTES)]);
    await until('the server listens', async () => (await a.run('ss -Hlnt sport = 8000')).length > 0);
    const output = await b.run(`curl -sSf http://${a.v4}:8000/ | sha256sum`);
    assert.equal(output.split(' ')[0], hash.digest('hex'));
    await http.stop();
    const [sender, receiver] = [await ferry.vif(a), await ferry.vif(b)];
    assert.ok(receiver.counters.out.bytes > BYTES);
    assert.ok(sender.counters.cache.hits > 1000 && receiver.counters.cache.hits > 1000);
    // In vain: for the lists themselves, and for the first frames, which flow before all is announced.
    const { hits, misses } = sender.counters.cache;
    assert.ok(misses < 100 && misses < hits / 100, `${misses} of ${hits} look-ups in vain`);
    for (const { counters } of [sender, receiver]) assert.equal(counters.drops['bad-grant'], undefined);
  });

  test('one is killed, the other removed: mappings, pins and nodes are gone', async () => {
    assert.ok(holdings(ferry.daemon.pid).guestMaps > held.guestMaps);
    process.kill(a.pid, 'SIGKILL');
    await until('it is forgotten', async () => (await ferry.client.guests()).length === 1, 3000);
    await b.run(['ping', '-n', '-q', '-c', '1', '-W', '3', HOST.v4]);
    await ferry.cli('guest', 'rm', 'b');
    for (const { info } of [a, b])
      for (const path of [`/local/domain/0/backend/vif/${info.domid}`, `/local/domain/${info.domid}`])
        assert.equal(ferry.xenstore('exists', path).code, 1, path);
    const now = () => holdings(ferry.daemon.pid);
    await until(
      'mappings and descriptors',
      () => now().guestMaps === held.guestMaps && now().fds <= held.fds,
    );
    const again = await ferry.guest('a', '--transfer', 'static');
    await again.run(['ping', '-n', '-q', '-c', '1', '-W', '3', HOST.v4]);
    await ferry.cli('guest', 'rm', 'a');
  });
});
