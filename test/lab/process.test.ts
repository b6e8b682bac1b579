import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuOver, memoryOf, parseKb, parseStat } from '../../src/lab/traffic/process.js';

test('stat: names with spaces and brackets do not shift the fields', () => {
  const rest = 'R 1 2 3 0 -1 4194304 100 0 0 0 1234 567 0 0 20 0 1 0 99';
  const plain = parseStat(`42 (node) ${rest}`);
  assert.deepEqual(plain, { comm: 'node', user: 12.34, system: 5.67 });
  assert.deepEqual(parseStat(`42 (a) b (c)) ${rest}`), { ...plain, comm: 'a) b (c)' });
});

test('status and smaps_rollup lines in bytes', () => {
  const status = 'Name:\tnode\nVmHWM:\t   2048 kB\nVmRSS:\t     12 kB\nRssAnon:\t 4 kB\n';
  assert.equal(parseKb(status, 'VmRSS'), 12 * 1024);
  assert.equal(parseKb(status, 'VmHWM'), 2048 * 1024);
  assert.equal(parseKb(status, 'Pss'), undefined);
});

test('CPU of this process: busy is much, idle is little, threads add up', async () => {
  const watching = cpuOver(process.pid, 150);
  for (const until = performance.now() + 150; performance.now() < until; );
  const busy = await watching;
  const idle = await cpuOver(process.pid, 300);
  assert.ok(busy.cpuSeconds > 0.05, `busy ${busy.cpuSeconds} s`);
  assert.ok(idle.percent < busy.percent / 2, `idle ${idle.percent}%, busy ${busy.percent}%`);
  assert.ok(idle.seconds >= 0.29);
  assert.equal(busy.threads[0]?.tid, process.pid);
});

test('memory of this process; of a process that is gone, ENOENT', () => {
  const memory = memoryOf(process.pid);
  assert.ok(memory.rss > 10e6 && memory.peak >= memory.rss, JSON.stringify(memory));
  assert.ok(memory.pss === undefined || (memory.pss > 0 && memory.pss <= memory.peak));
  assert.throws(() => memoryOf(2 ** 30), { code: 'ENOENT' });
});
