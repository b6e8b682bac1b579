/** Expediting the kernel's grace periods: for as long as it is needed, and not a moment longer, however it ends. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Hurry, MANY } from '../../src/daemon/hurry.js';
import { until } from '../e2e/support/place.js';

let directory: string;
/** In place of the kernel's. */
let rcu: string;
let mark: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'netferry-hurry-'));
  [rcu, mark] = [join(directory, 'rcu_expedited'), join(directory, 'hurry')];
  writeFileSync(rcu, '0\n');
});
afterEach(() => rmSync(directory, { recursive: true }));

const now = () => readFileSync(rcu, 'latin1').trim();

test('while many are at work, and no longer', () => {
  const hurry = new Hurry(mark, rcu);
  const during = hurry.during(MANY, () => [now(), existsSync(mark)]);
  assert.deepEqual(during, ['1', true]);
  assert.deepEqual([now(), existsSync(mark)], ['0', false]);
  assert.throws(
    () =>
      hurry.during(MANY, () => {
        throw new Error('one of them failed');
      }),
    /one of them failed/,
  );
  assert.deepEqual([now(), existsSync(mark)], ['0', false]);
});

test('not for a few', () => {
  const hurry = new Hurry(mark, rcu);
  assert.equal(
    hurry.during(MANY - 1, () => now()),
    '0',
  );
});

test('what somebody else has set is left alone', () => {
  writeFileSync(rcu, '1\n');
  const hurry = new Hurry(mark, rcu);
  assert.deepEqual(
    hurry.during(MANY, () => [now(), existsSync(mark)]),
    ['1', false],
  );
  assert.equal(now(), '1');
});

test('where it cannot be had, the work is done all the same', () => {
  assert.equal(
    new Hurry(mark, '/proc/nosuch').during(MANY, () => 7),
    7,
  );
  assert.equal(existsSync(mark), false);
  assert.equal(
    new Hurry('/proc/nosuch/hurry', rcu).during(MANY, () => now()),
    '0',
  );
});

test('killed in between: the reaper takes it back; else the next daemon in that directory', async () => {
  const moduleAt = (name: string) => JSON.stringify(new URL(`../../src/daemon/${name}.js`, import.meta.url));
  const die = (reaper: boolean) => `
    const { Hurry } = await import(${moduleAt('hurry')});
    const { startReaper } = await import(${moduleAt('reaper')});
    const [mark, rcu] = ${JSON.stringify([mark, rcu])};
    if (${reaper}) startReaper([${JSON.stringify(join(directory, 'sock'))}], 0, mark, rcu);
    new Hurry(mark, rcu).during(100, () => process.kill(process.pid, 'SIGKILL'));`;
  const run = (reaper: boolean) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', die(reaper)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  assert.equal(run(true).signal, 'SIGKILL');
  await until('it is taken back', () => now() === '0' && !existsSync(mark));
  assert.equal(run(false).signal, 'SIGKILL');
  assert.deepEqual([now(), existsSync(mark)], ['1', true]);
  new Hurry(mark, rcu);
  assert.deepEqual([now(), existsSync(mark)], ['0', false]);
});
