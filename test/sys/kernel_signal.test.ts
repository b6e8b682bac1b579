/** Signals that never wait, whatever the eventfd's other holders do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clear, createEventFd, drain } from '../../src/sys/eventfd.js';
import { KernelSignal } from '../../src/sys/kernel_signal.js';
import { close } from '../../src/sys/libc.js';
import { countOf, fill, setBlocking } from '../support/full_eventfd.js';

test('each signal adds one, however many there are', () => {
  const kernel = new KernelSignal();
  const fds = [createEventFd(), createEventFd()];
  for (let i = 0; i < 1000; i++) kernel.signal(fds[i % 2]);
  for (const fd of fds) {
    assert.equal(countOf(fd), 500n);
    clear(fd);
    kernel.signal(fd);
    assert.equal(countOf(fd), 1n);
    close(fd);
  }
  kernel.close();
});

test('a full counter that blocks its writers does not make them wait, and is still full', () => {
  const kernel = new KernelSignal();
  const fd = createEventFd();
  fill(fd);
  setBlocking(fd);
  const begin = performance.now();
  for (let i = 0; i < 200; i++) kernel.signal(fd);
  assert.ok(performance.now() - begin < 100);
  assert.ok(countOf(fd) >= 0xfffffffffffffffen);
  drain(fd);
  kernel.signal(fd);
  assert.equal(countOf(fd), 1n);
  close(fd);
  kernel.close();
});

test('a descriptor that is none, or no eventfd, costs nothing', () => {
  const kernel = new KernelSignal();
  for (const fd of [-1, 0, 9999]) for (let i = 0; i < 100; i++) kernel.signal(fd);
  const fd = createEventFd();
  kernel.signal(fd);
  assert.equal(countOf(fd), 1n);
  close(fd);
  kernel.close();
});
