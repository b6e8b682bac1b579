/** Tests of a file that run once more in a network namespace of their own, where they may do as they like. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lacking } from '../e2e/support/place.js';

const INSIDE = 'NETFERRY_TEST_NETNS';

/**
 * `url`: the file's own; `inside` declares its tests. `tools`: what they need; unshare and ip are of them. `anyUser`: a
 * user who is not root is root in a user namespace, and that is enough.
 */
export function inOwnNamespace(
  url: string,
  tools: readonly string[],
  inside: () => void,
  { anyUser = false } = {},
): void {
  if (process.env[INSIDE]) {
    inside();
    return;
  }
  const asUser = anyUser && process.getuid?.() !== 0;
  const how = asUser ? '-rn' : '-n';
  const skip = asUser ? refused(['unshare', how, 'ip', '-V']) : lacking('ip', 'unshare', ...tools);
  test('in a fresh network namespace', { skip }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; // or the inner runner would report to the outer's pipe
    const run = spawnSync('unshare', [how, process.execPath, fileURLToPath(url)], {
      encoding: 'utf8',
      env: { ...env, [INSIDE]: '1' },
    });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /# pass [1-9]|pass [1-9]/);
  });
}

/** Why a command cannot be run; false: it can. */
function refused([file, ...args]: string[]): string | false {
  const run = spawnSync(file, args, { encoding: 'utf8' });
  return run.status !== 0 && (run.error?.message ?? run.stderr.trim());
}

/** A shell command that must succeed; what it prints. */
export function sh(command: string): string {
  const run = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  assert.equal(run.status, 0, `${command}: ${run.stderr}`);
  return run.stdout;
}
