/** A client that outlives xenstored's connections, against a xenstored that comes and goes. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import { openXenstore } from '../../src/xen/xenstore/client.js';
import { type LastingXenstore, openLastingXenstore } from '../../src/xen/xenstore/lasting.js';
import { XsError } from '../../src/xen/xenstore.js';

let directory: string;
let path: string;
let server: Xenstored;
let client: LastingXenstore;
let log: string[];

async function serve(): Promise<void> {
  server = new Xenstored();
  await server.listen(path);
}

async function until(good: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 400 && !good(); i++) await new Promise((go) => setTimeout(go, 5));
  assert.ok(good(), what);
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'netferry-lasting-'));
  path = join(directory, 'socket');
  log = [];
  await serve();
  client = await openLastingXenstore({
    open: () => openXenstore(path),
    onLost: () => log.push('lost'),
    onBack: () => log.push('back'),
    pause: 10,
  });
});

afterEach(async () => {
  client.close();
  await server.close();
  await rm(directory, { recursive: true });
});

describe('a lasting client', () => {
  test('what is asked while there is no xenstored is answered by the next', async () => {
    await client.write('/tool/a', '1');
    await server.close();
    await until(() => !client.connected, 'it notices');
    const written = client.write('/tool/b', '2');
    const read = client.tryRead('/tool/a');
    const swapped = client.transaction(async (tx) => {
      await client.write('/tool/c', String(Number((await client.tryRead('/tool/c', tx)) ?? 6) + 1), tx);
    });
    await new Promise((go) => setTimeout(go, 60));
    await serve();
    await Promise.all([written, swapped]);
    assert.equal(await read, undefined, 'the new one has nothing of the old one');
    assert.equal(await client.read('/tool/b'), '2');
    assert.equal(await client.read('/tool/c'), '7');
    assert.deepEqual(log, ['lost', 'back']);
  });

  test('watches are set again, and fire once', async () => {
    const seen: string[] = [];
    const stop = await client.watch('/tool/x', undefined, (changed) => seen.push(changed));
    const other = await client.watch('/tool/y', 'token', () => seen.push('y'));
    await other();
    await until(() => seen.length >= 1, 'the first event');
    for (let round = 1; round <= 3; round++) {
      await server.close();
      await until(() => !client.connected, 'it notices');
      seen.length = 0;
      await serve();
      await until(() => seen.includes('/tool/x'), `round ${round}: the event of a new watch`);
      await client.write('/tool/x/below', '1');
      await until(() => seen.includes('/tool/x/below'), `round ${round}: a change`);
      assert.ok(!seen.includes('y'), 'one that was ended stays ended');
    }
    await stop();
    seen.length = 0;
    await client.write('/tool/x', '2');
    await new Promise((go) => setTimeout(go, 30));
    assert.deepEqual(seen, []);
  });

  test('a watch that is set while there is no xenstored', async () => {
    await server.close();
    await until(() => !client.connected, 'it notices');
    const seen: string[] = [];
    const set = client.watch('/tool/z', undefined, (changed) => seen.push(changed));
    await serve();
    const stop = await set;
    await until(() => seen.length > 0, 'its first event');
    await new Promise((go) => setTimeout(go, 30));
    assert.deepEqual(seen, ['/tool/z'], 'set once');
    await stop();
  });

  test('a transaction that loses its connection runs again on the next', async () => {
    let runs = 0;
    const done = client.transaction(async (tx) => {
      runs++;
      await client.write('/tool/t', String(runs), tx);
      if (runs > 1) return;
      await server.close();
      await serve();
      await client.write('/tool/t', 'lost', tx);
    });
    await done;
    assert.equal(runs, 2);
    assert.equal(await client.read('/tool/t'), '2');
  });

  test('errors that are answers stay errors', async () => {
    await assert.rejects(client.read('/tool/none'), (error: XsError) => error.code === 'ENOENT');
    await assert.rejects(
      client.transaction(async () => {
        throw new RangeError('mine');
      }),
      RangeError,
    );
  });

  test('closing it ends what waits', async () => {
    await server.close();
    await until(() => !client.connected, 'it notices');
    const read = client.read('/tool/a');
    const watch = client.watch('/tool/a', undefined, () => {});
    client.close();
    for (const asked of [read, watch])
      await assert.rejects(asked, (error: unknown) => error instanceof XsError && error.code === 'ENOTCONN');
    await client.closed;
    await serve();
  });
});
