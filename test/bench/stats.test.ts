import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuOver, interleave, median, memoryOf, parseKb, parseStat, quartiles } from '../../bench/stats.js';

test('median of odd, even, one and no values, whatever their order', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([10, 2, 9, 1]), 5.5);
  assert.equal(median([7]), 7);
  assert.equal(median([100, 20, 3]), 20); // numbers, not strings
  assert.ok(Number.isNaN(median([])));
});

test('median leaves its argument as it was', () => {
  const values = [3, 1, 2];
  median(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test('quartiles interpolate between order statistics, as R does by default', () => {
  assert.deepEqual(quartiles([1, 2, 3, 4, 5]), { q1: 2, median: 3, q3: 4 });
  assert.deepEqual(quartiles([4, 3, 2, 1]), { q1: 1.75, median: 2.5, q3: 3.25 });
});

test('interleave takes turns, backwards every other round, one at a time', async () => {
  const order: string[] = [];
  let running = 0;
  const variant = (name: string) => async (i: number) => {
    assert.equal(++running, 1);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(name);
    running--;
    return `${name}${i}`;
  };
  const values = await interleave({ a: variant('a'), b: variant('b'), c: variant('c') }, 3);
  assert.equal(order.join(''), 'abccbaabc');
  assert.deepEqual(values, { a: ['a0', 'a1', 'a2'], b: ['b0', 'b1', 'b2'], c: ['c0', 'c1', 'c2'] });
});

test('interleave passes on what a variant throws', async () => {
  const bad = () => {
    throw new Error('no link');
  };
  await assert.rejects(interleave({ good: () => 1, bad }, 2), /no link/);
});

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
