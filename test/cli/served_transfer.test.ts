import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servedTransfer } from '../../src/daemon/served_transfer.js';
import { readFrontendKeys } from '../../src/netif/frontend_keys.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';

const KEYS = { 'tx-ring-ref': '8', 'rx-ring-ref': '9', 'event-channel': '3', 'request-rx-copy': '1' };

async function keysOf(more: Readonly<Record<string, string>> = {}) {
  const xenstored = new Xenstored();
  const store = xenstored.connect(0);
  try {
    for (const [key, value] of Object.entries({ ...KEYS, ...more }))
      await store.write(`/front/${key}`, value);
    return await readFrontendKeys(store, '/front');
  } finally {
    store.close();
    await xenstored.close();
  }
}

test('on Xen, pages stay mapped only of a front end that keeps its grants', async () => {
  const linux = await keysOf();
  const ours = await keysOf({ 'feature-persistent': '1' });
  for (const transfer of TRANSFER_NAMES) {
    assert.deepEqual(servedTransfer('embedded', transfer, linux), { transfer });
    assert.deepEqual(servedTransfer('native', transfer, ours), { transfer });
  }
  for (const transfer of ['grant-copy', 'map', 'static'] as const)
    assert.deepEqual(servedTransfer('native', transfer, linux), { transfer });
  const { transfer, why } = servedTransfer('native', 'persistent', linux);
  assert.equal(transfer, 'grant-copy');
  assert.match(why ?? '', /feature-persistent/);
});
