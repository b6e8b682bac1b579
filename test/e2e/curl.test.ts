import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ferry, type Guest } from './support/ferry.js';
import { lacking, until } from './support/place.js';
import { keyStream } from './support/stream_server.js';

const GIGABYTE = 1e9;
const SERVER = fileURLToPath(new URL('./support/stream_server.js', import.meta.url));

describe('a gigabyte over HTTP, hash compared', {
  skip: lacking('curl', 'ss', 'sha256sum', 'unshare', 'nsenter'),
}, () => {
  let ferry: Ferry;
  let expected: string;
  before(async () => {
    ferry = await Ferry.start();
    const hash = createHash('sha256');
    for (const chunk of keyStream(GIGABYTE)) hash.update(chunk);
    expected = hash.digest('hex');
  });
  after(() => ferry?.stop());

  const url = (guest: Guest, six: boolean) => `http://${six ? `[${guest.v6}]` : guest.v4}:8000/`;

  for (const [transfer, six] of [
    ['persistent', false],
    ['grant-copy', true],
  ] as const) {
    test(`${transfer}, IPv${six ? 6 : 4}`, async () => {
      const server = await ferry.guest(`server-${transfer}`, '--transfer', transfer);
      const client = await ferry.guest(`client-${transfer}`, '--transfer', transfer);
      const http = server.start([process.execPath, SERVER, String(GIGABYTE)]);
      await until('the server listens', async () => (await server.run('ss -Hlnt sport = 8000')).length > 0);
      const output = await client.run(`curl -sSf ${url(server, six)} | sha256sum`);
      assert.equal(output.split(' ')[0], expected);
      const { counters } = await ferry.vif(client);
      assert.ok(counters.out.bytes > GIGABYTE);
      await http.stop();
    });
  }
});
