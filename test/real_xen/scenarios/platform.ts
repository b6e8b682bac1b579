import assert from 'node:assert/strict';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'grants and event channels over /dev/xen pass the suites that the embedded platform passes',
  seconds: 180,
  async run({ dom0 }) {
    const { code, stdout } = await dom0.run(
      'node --test-reporter=spec --test /netferry/dist/test/xen/native_platform.test.js',
    );
    assert.equal(code, 0, stdout);
    assert.match(stdout, /skipped 0/, stdout);
  },
};
