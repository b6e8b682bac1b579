import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { profile } from '../../../src/lab/experiments/profile.js';
import { fakeRun } from '../fake_run.js';

const leftovers = () => readdirSync(tmpdir()).filter((name) => /^netferry-(traffic|perf)-/.test(name));

test('tables of netferry and of a bridge, whose stages and components are told apart', async (t) => {
  const reason = await profile.missing();
  if (reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const before = leftovers();
  const { charts, tables, verdicts, missing } = await profile.run(fakeRun('quick'));
  assert.deepEqual(leftovers(), before);
  const [ours, bridge] = tables.map(
    ({ rows }) => new Map(rows.map(([component, samples]) => [String(component), Number(samples)])),
  );
  const total = (table: Map<string, number>) =>
    [...table].reduce((sum, [name, n]) => (name === 'TOTAL' ? sum : sum + n), 0);
  assert.equal(ours.get('TOTAL'), total(ours));
  for (const component of ['copy of frames', 'push', 'FFI', 'kernel: copy', 'kernel: tap'])
    assert.ok((ours.get(component) ?? 0) > 0, `${component}: ${JSON.stringify([...ours])}`);
  assert.ok((ours.get('other') ?? 0) < 0.05 * total(ours), JSON.stringify([...ours]));
  if (missing.length > 0) return t.diagnostic(missing.join('; '));
  assert.ok((bridge.get('kernel: bridge') ?? 0) > 0 && (bridge.get('kernel: veth') ?? 0) > 0);
  assert.equal(bridge.get('kernel: end point’s TCP/IP'), undefined);
  assert.equal(bridge.get('push'), undefined);
  assert.equal(charts[0].series.length, 2);
  assert.equal(verdicts.length, 3);
});

test('stopped in the midst: an error, and nothing is left behind', async (t) => {
  const reason = await profile.missing();
  if (reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const before = leftovers();
  const stopper = new AbortController();
  setTimeout(() => stopper.abort(), 3000);
  await assert.rejects(profile.run(fakeRun('quick', 1, undefined, stopper.signal)));
  assert.deepEqual(leftovers(), before);
});
