/** The keys of several queues, as a front end may write them: netif.h, "Multiple transmit and receive queues". */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BadKey, readFrontendKeys } from '../../src/netif/frontend_keys.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';

const HOME = '/local/domain/0/front';

/** What is read of a directory with these keys, four queues having been offered. */
async function read(keys: Readonly<Record<string, string>>, most = 4) {
  const xenstored = new Xenstored({}, { log: () => {} });
  try {
    const store = xenstored.connect(0);
    for (const [key, value] of Object.entries({ 'request-rx-copy': '1', ...keys }))
      await store.write(`${HOME}/${key}`, value);
    return await readFrontendKeys(store, HOME, most);
  } finally {
    await xenstored.close();
  }
}

const queue = (q: number, more: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(
    Object.entries({
      'tx-ring-ref': String(100 + q),
      'rx-ring-ref': String(200 + q),
      'event-channel-tx': String(10 + q),
      'event-channel-rx': String(20 + q),
      ...more,
    }).map(([key, value]) => [`queue-${q}/${key}`, value]),
  );

describe('keys of several queues', () => {
  test('each from its own directory, shared or split event channels', async () => {
    const shared = {
      'queue-1/tx-ring-ref': '101',
      'queue-1/rx-ring-ref': '201',
      'queue-1/event-channel': '31',
    };
    const { queues } = await read({ 'multi-queue-num-queues': '2', ...queue(0), ...shared });
    assert.deepEqual(queues, [
      { txRef: 100, rxRef: 200, eventPorts: [10, 20] },
      { txRef: 101, rxRef: 201, eventPorts: [31] },
    ]);
  });

  test('one queue: flat keys, or those of queue-0', async () => {
    const flat = { 'tx-ring-ref': '1', 'rx-ring-ref': '2', 'event-channel': '3' };
    const wanted = [{ txRef: 1, rxRef: 2, eventPorts: [3] }];
    assert.deepEqual((await read(flat)).queues, wanted);
    assert.deepEqual((await read({ ...flat, 'multi-queue-num-queues': '1' })).queues, wanted);
    const { queues } = await read({ 'multi-queue-num-queues': '1', ...queue(0) });
    assert.deepEqual(queues, [{ txRef: 100, rxRef: 200, eventPorts: [10, 20] }]);
  });

  for (const value of [
    '0',
    '-1',
    '5',
    '4294967295',
    '99999999999',
    'two',
    '',
    ' 2',
    '2 ',
    '1e1',
    '0x2',
    '2.0',
  ])
    test(`CVE-2026-45890: multi-queue-num-queues = "${value}"`, async () => {
      const keys = { 'multi-queue-num-queues': value, ...queue(0), ...queue(1) };
      await assert.rejects(read(keys), (error: Error) => {
        assert.ok(error instanceof BadKey);
        assert.ok(error.message.includes(`multi-queue-num-queues = "${value}"`), error.message);
        return true;
      });
    });

  test('more than one where one was offered', async () => {
    await assert.rejects(read({ 'multi-queue-num-queues': '2', ...queue(0), ...queue(1) }, 1), BadKey);
  });

  const spoilt: [string, Record<string, string>, string][] = [
    ['a queue without a directory', {}, 'queue-1/event-channel-tx is missing'],
    [
      'a reference out of range',
      queue(1, { 'tx-ring-ref': '4294967296' }),
      'queue-1/tx-ring-ref = "4294967296"',
    ],
    ['a reference that is text', queue(1, { 'rx-ring-ref': 'x' }), 'queue-1/rx-ring-ref = "x"'],
    ['a port below zero', queue(1, { 'event-channel-rx': '-3' }), 'queue-1/event-channel-rx = "-3"'],
    ['flat keys of no queue', { 'tx-ring-ref': '1', 'rx-ring-ref': '2', 'event-channel': '3' }, 'queue-1/'],
  ];
  for (const [what, keys, wanted] of spoilt)
    test(`${what}: named with its value`, async () => {
      await assert.rejects(read({ 'multi-queue-num-queues': '2', ...queue(0), ...keys }), (error: Error) => {
        assert.ok(error instanceof BadKey && error.message.includes(wanted), error.message);
        return true;
      });
    });
});
