/** Tests of a file that run once more in a network namespace of their own, where they may do as they like. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lacking } from '../e2e/support/place.js';

const INSIDE = 'NETFERRY_TEST_NETNS';

/** `url`: the file's own; `inside` declares its tests. `tools`: what they need; unshare and ip are of them. */
export function inOwnNamespace(url: string, tools: readonly string[], inside: () => void): void {
  if (process.env[INSIDE]) {
    inside();
    return;
  }
  test('in a fresh network namespace', { skip: lacking('ip', 'unshare', ...tools) }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; // or the inner runner would report to the outer's pipe
    const run = spawnSync('unshare', ['-n', process.execPath, fileURLToPath(url)], {
      encoding: 'utf8',
      env: { ...env, [INSIDE]: '1' },
    });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /# pass [1-9]|pass [1-9]/);
  });
}

/** A shell command that must succeed; what it prints. */
export function sh(command: string): string {
  const run = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  assert.equal(run.status, 0, `${command}: ${run.stderr}`);
  return run.stdout;
}
