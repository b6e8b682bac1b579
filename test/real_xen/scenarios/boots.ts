import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'Xen and its devices are there, and the kernel’s own netback is not',
  seconds: 60,
  async run({ dom0 }) {
    const info = await dom0.ok('xl info');
    assert.match(info, /^xen_version\s+: 4\.\d+/m);
    for (const name of ['evtchn', 'gntdev', 'gntalloc', 'privcmd', 'xenbus']) {
      assert.ok(existsSync(`/dev/xen/${name}`), `/dev/xen/${name}`);
    }
    assert.match(readFileSync('/proc/xen/capabilities', 'utf8'), /control_d/);
    assert.doesNotMatch(await dom0.ok('lsmod'), /xen_netback/);
    assert.equal((await dom0.ok('xenstore-read /local/domain/0/domid')).trim(), '0');
    assert.match(await dom0.ok('node /netferry/bin/netferry.js --version'), /^\d+\.\d+\.\d+/);
  },
};
