/** What doctor makes of a kernel that can attach eBPF programs by TCX, as clsact filters alone, or not at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hookCheck, isFit } from '../../src/daemon/doctor.js';

test('eBPF on interfaces: the better way that there is, or why there is none and what that costs', () => {
  const both = hookCheck({ tcx: '', clsact: '' });
  assert.deepEqual([both.ok, both.found], [true, 'TCX (BPF links)']);
  const older = hookCheck({ tcx: 'bpf LINK_CREATE: EINVAL', clsact: '' });
  assert.deepEqual([older.ok, older.found], [true, 'clsact filters; TCX: bpf LINK_CREATE: EINVAL']);
  const neither = hookCheck({ tcx: 'bpf LINK_CREATE: EINVAL', clsact: 'RTM_NEWQDISC: ENOENT' });
  assert.equal(neither.ok, false);
  assert.equal(neither.found, 'neither TCX (bpf LINK_CREATE: EINVAL) nor clsact (RTM_NEWQDISC: ENOENT)');
  assert.match(neither.cost, /up --uplink and attach/);
  assert.equal(isFit([neither]), true, 'guests have each other and the host port without it');
});
