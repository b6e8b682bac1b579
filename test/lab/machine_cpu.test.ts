import assert from 'node:assert/strict';
import { test } from 'node:test';
import { now } from '../../src/lab/traffic/clock.js';
import { busyBetween, MachineCpu, parseIdle } from '../../src/lab/traffic/machine_cpu.js';

test('/proc/stat: idle, waiting for I/O and stolen time are not busy', () => {
  const text = 'cpu  10 20 30 4000 500 60 70 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 1 2 3 4\nintr 5 6\n';
  assert.deepEqual(parseIdle(text), { seconds: 45.08, cpus: 2 });
  assert.equal(
    parseIdle('cpu  1 2 3 400 100\ncpu0 1 2 3 400 100\n').seconds,
    5,
    'a kernel that knows no steal',
  );
  const before = { seconds: 45, cpus: 2 };
  assert.equal(busyBetween(before, { seconds: 45.5, cpus: 2 }, 1), 1.5);
  assert.equal(busyBetween(before, { seconds: 47.01, cpus: 2 }, 1), 0, 'ticks may come late');
});

test('this machine is busy while we are', () => {
  const machine = new MachineCpu();
  const before = machine.idle();
  const start = now();
  while (now() < start + 200);
  const busy = busyBetween(before, machine.idle(), (now() - start) / 1000);
  assert.ok(busy > 0.15, `${busy} s`);
});
