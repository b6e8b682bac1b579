/** A guest that keeps our signals waiting, again and again, each time too short for the owner's watch (XSA-391's kin). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Arena } from '../../src/arena/arena.js';
import { Epoll } from '../../src/sys/epoll.js';
import { createEventFd, drain } from '../../src/sys/eventfd.js';
import { close } from '../../src/sys/libc.js';
import { bySurprise, EventFds } from '../../src/xen/embedded/thread.js';
import { countOf, fill, setBlocking, setNonBlocking } from '../support/full_eventfd.js';

/** Empties the counter some ms after it is told to. */
const READER = `
const { parentPort, workerData } = require('node:worker_threads');
const { readSync } = require('node:fs');
const word = new Int32Array(workerData.shared);
for (;;) {
  Atomics.wait(word, 0, 0);
  if (Atomics.load(word, 0) === 2) break;
  Atomics.store(word, 0, 0);
  Atomics.wait(word, 1, 0, workerData.after);
  readSync(workerData.fd, Buffer.alloc(8));
}`;

/** So far off that no signal of a test is timed by the way. */
const NEVER = () => 1e9;

/** A channel whose counter is full and blocks; `signal` comes back when the peer reads, `after` ms later. */
function hostile(after: number, gap: () => number = NEVER) {
  const arena = Arena.create(1 << 20);
  const epoll = new Epoll();
  const [notifyFd, waitFd] = [createEventFd(), createEventFd()];
  const blocked: number[] = [];
  const events = new EventFds(arena, epoll, 65536 / 4, (fd) => blocked.push(fd), true, gap);
  const shared = new SharedArrayBuffer(8);
  const word = new Int32Array(shared);
  const reader = new Worker(READER, { eval: true, workerData: { shared, fd: notifyFd, after } });
  const channel = { port: 1, notifyFd, waitFd };
  const notify = events.notifier(channel);
  const signal = (by = notify): number => {
    setNonBlocking(notifyFd);
    drain(notifyFd); // what is left of the last signal
    fill(notifyFd);
    setBlocking(notifyFd);
    Atomics.store(word, 0, 1);
    Atomics.notify(word, 0);
    const begin = performance.now();
    by();
    return performance.now() - begin;
  };
  const end = async () => {
    Atomics.store(word, 0, 2);
    Atomics.notify(word, 0);
    await reader.terminate();
    events.close();
    epoll.close();
    close(notifyFd);
    close(waitFd);
  };
  /** Until the reader has emptied it. */
  const emptied = async () => {
    while (countOf(notifyFd) > 1n) await new Promise((go) => setTimeout(go, 5));
  };
  const ready = new Promise((go) => reader.once('online', go));
  return { events, channel, notifyFd, blocked, signal, end, emptied, ready };
}

test('a signal that was kept waiting long is the last one', async () => {
  const h = hostile(60);
  await h.ready;
  assert.ok(h.signal() > 20, 'while nobody suspects anything it waits');
  assert.deepEqual(h.blocked, []);
  h.events.suspect();
  assert.ok(h.signal() > 20, 'and once more');
  assert.deepEqual(h.blocked, [h.notifyFd]);
  for (let i = 0; i < 3; i++) {
    await h.emptied();
    assert.ok(h.signal() < 20, 'from then on it does not');
  }
  assert.deepEqual(h.blocked, [h.notifyFd], 'said once');
  await h.emptied();
  await h.end();
});

test('short waits are the last ones after a few', async () => {
  const h = hostile(5);
  await h.ready;
  h.events.suspect();
  let waits = 0;
  while (h.blocked.length === 0 && waits < 10) {
    h.signal();
    waits++;
    await h.emptied();
  }
  assert.ok(waits <= 3, `${waits} signals`);
  assert.ok(h.signal() < 5);
  await h.emptied();
  await h.end();
});

/** Signals until the peer is found out, each of which it makes wait `after` ms; nothing else makes anybody suspect it. */
async function signalsUntilFound(after: number, gap: () => number): Promise<number> {
  const h = hostile(after, gap);
  await h.ready;
  let signals = 0;
  while (h.blocked.length === 0 && signals < 600) {
    h.signal();
    signals++;
    await h.emptied();
  }
  let least = after;
  for (let i = 0; i < 5; i++) {
    least = Math.min(least, h.signal());
    await h.emptied();
  }
  assert.ok(least < after / 2, `from then on nobody waits: ${least} ms`);
  await h.end();
  return signals;
}

test('waits too short to be noticed in a round are found by signals that are timed by the way', async () => {
  // The 8th is timed; the three after it are looked at.
  assert.equal(await signalsUntilFound(1, () => 8), 11);
});

test('which signals are timed is chance, one in 32: who makes each wait is found out in time', async () => {
  const signals = await signalsUntilFound(1, bySurprise);
  assert.ok(signals <= 63 + 3, `${signals} signals`);
});

test('a domain that did so before does not do it once more', async () => {
  const h = hostile(60);
  await h.ready;
  assert.ok(h.signal(h.events.notifier(h.channel, true)) < 20);
  assert.deepEqual(h.blocked, []);
  await h.emptied();
  await h.end();
});

test('a peer that reads what it is sent is signalled as ever', async () => {
  const h = hostile(1);
  await h.ready;
  const [notifyFd, waitFd] = [createEventFd(), createEventFd()];
  const notify = h.events.notifier({ port: 2, notifyFd, waitFd });
  h.events.suspect();
  for (let i = 0; i < 1000; i++) notify();
  assert.equal(countOf(notifyFd), 1000n);
  assert.deepEqual(h.blocked, []);
  close(notifyFd);
  close(waitFd);
  await h.end();
});
