import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SysError } from '../../src/sys/errors.js';
import { affinity, pinTo } from '../../src/sys/sched.js';

/** What the kernel says of this process's main thread: `0-3,8` as a list. */
function allowed(): number[] {
  const list =
    readFileSync(`/proc/${process.pid}/status`, 'latin1').match(/^Cpus_allowed_list:\s*(.*)$/m)?.[1] ?? '';
  return list.split(',').flatMap((run) => {
    const [first, last = first] = run.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

test('affinity: the CPUs that the kernel lists; pinning changes them, and back', () => {
  const all = affinity();
  assert.deepEqual(all, allowed());
  for (const cpu of all) {
    pinTo([cpu]);
    assert.deepEqual(affinity(), [cpu]);
    assert.deepEqual(allowed(), [cpu]);
  }
  pinTo(all);
  assert.deepEqual(affinity(), all);
});

test('affinity: a CPU that is not there, and none at all, are refused; nothing changes', () => {
  const all = affinity();
  for (const cpus of [[8191], []]) {
    assert.throws(
      () => pinTo(cpus),
      (error) =>
        error instanceof SysError && error.code === 'EINVAL' && error.message.startsWith('sched_setaffinity'),
    );
  }
  assert.deepEqual(affinity(), all);
});
