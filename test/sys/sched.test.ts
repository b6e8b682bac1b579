import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SysError } from '../../src/sys/errors.js';
import { affinity, nice, pinTo } from '../../src/sys/sched.js';

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

test('nice: the calling thread’s value, as the kernel has it, and back', () => {
  // proc(5), stat: field 19; the name in field 2 may hold spaces, so counting begins behind it.
  const value = () => Number(readFileSync('/proc/thread-self/stat', 'latin1').split(') ')[1].split(' ')[16]);
  const before = value();
  nice(before + 1);
  assert.equal(value(), before + 1);
  if (process.getuid?.() !== 0) return;
  nice(-3);
  assert.equal(value(), -3);
  nice(before);
  assert.equal(value(), before);
});
