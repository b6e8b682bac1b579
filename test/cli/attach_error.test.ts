/** The kernel's refusals to attach, in a person's words. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { explainAttach } from '../../src/daemon/attach_error.js';
import { SetupError, SysError } from '../../src/sys/errors.js';

const { EPERM, EINVAL } = constants.errno;
const never = () => assert.fail('it is not asked for');

test('no privilege, no way at all, and what says enough by itself', () => {
  const denied = explainAttach(new SysError('bpf BPF_MAP_CREATE', EPERM), never);
  assert.ok(denied instanceof SetupError);
  assert.equal(denied.message, 'the kernel lets us attach nothing (bpf BPF_MAP_CREATE: EPERM)');
  assert.match(denied.hint, /CAP_BPF and CAP_NET_ADMIN; see: netferry doctor/);

  const refused = new SysError('RTM_NEWTFILTER', EINVAL);
  const neither = explainAttach(refused, () => ({ tcx: 'no TCX', clsact: 'no clsact' }));
  assert.ok(neither instanceof SetupError);
  assert.match(neither.message, /neither by TCX nor as clsact filters/);
  assert.match(neither.hint, /\(TCX: no TCX; clsact: no clsact\)/);

  assert.equal(
    explainAttach(refused, () => ({ tcx: 'no TCX', clsact: '' })),
    refused,
  );
  const own = new SetupError('up0 is wireless');
  assert.equal(explainAttach(own, never), own);
});
