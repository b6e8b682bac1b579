/** A daemon whose datapath thread dies before it is up. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { claimDirectory } from '../../src/daemon/claim.js';
import { startDaemon } from '../../src/daemon/daemon.js';
import { directory, UID } from './fake.js';

test('a start overtaken by a dying datapath thread: its reason is told, nothing is left', {
  timeout: 20_000,
}, async (t) => {
  const dir = directory(t);
  const { exitCode } = process;
  const fail = (worker: Worker) => {
    worker.emit('error', new Error('injected'));
    void worker.terminate();
  };
  process.once('worker', fail);
  t.after(() => {
    process.off('worker', fail);
    process.exitCode = exitCode;
  });
  const options = {
    directory: dir,
    host: null,
    transfer: 'persistent',
    log: 'json',
    rootless: false,
  } as const;
  await assert.rejects(startDaemon(options, await claimDirectory(dir, UID)), {
    name: 'SetupError',
    message: 'the datapath thread failed: injected',
  });
  assert.equal(process.exitCode, 1);
  assert.deepEqual(readdirSync(dir), ['lock']);
  const daemon = await startDaemon(options, await claimDirectory(dir, UID));
  assert.equal(daemon.status().pid, process.pid);
  await daemon.close();
  await daemon.closed;
  assert.deepEqual(readdirSync(dir), ['lock']);
});
