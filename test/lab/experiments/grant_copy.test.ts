import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Case } from '../../../src/lab/experiment.js';
import { grantCopy } from '../../../src/lab/experiments/grant_copy.js';
import { DomainWithPages, PAGES } from '../../../src/lab/machine/granted_pages.js';
import { fakeRun } from '../fake_run.js';

test('a chart a size, a point a batch and mechanism, and verdicts; nothing stays mapped', async () => {
  assert.equal(await grantCopy.missing(), undefined);
  const findings = await grantCopy.run(fakeRun('quick', 1));
  assert.equal(findings.charts.length, 3);
  for (const { series } of findings.charts) {
    assert.equal(series.length, 5);
    for (const { points } of series) {
      assert.deepEqual(
        points.map((p) => p.x),
        [1, 2, 4, 8, 16, 32, 64, 128, 256],
      );
      for (const p of points) assert.ok(p.median > 0 && Number.isFinite(p.median), JSON.stringify(p));
    }
  }
  assert.equal(findings.tables[0].rows.length, 15);
  assert.equal(findings.verdicts.length, 2);
});

test('every way copies every page, and check() notices what was not copied', () => {
  for (const [way, view] of [
    ['copyGrant', false],
    ['copyGrant', true],
    ['accessGrant', false],
    ['mapped', false],
  ] as const) {
    const world = new DomainWithPages(view);
    try {
      assert.throws(() => world.check(), /was not copied/);
      assert.ok(world[way](64, 16, PAGES) > 0);
      world.check();
    } finally {
      world.close();
    }
  }
});

test('verdicts on known data: cheaper, dearer, and neither for sure', async () => {
  const verdict = async (copy: [number, number, number], access: [number, number, number]) => {
    const replace = ({ variant }: Case) => {
      const [low, median, high] = variant.startsWith('copy grant, one') ? copy : access;
      return { low, median, high };
    };
    const { verdicts } = await grantCopy.run(fakeRun('quick', 1, replaced(replace)));
    return verdicts[0];
  };
  assert.equal((await verdict([90, 100, 110], [190, 200, 210])).agrees, 'agrees');
  assert.equal((await verdict([190, 200, 210], [90, 100, 110])).agrees, 'differs');
  const unclear = await verdict([90, 100, 150], [110, 120, 130]);
  assert.equal(unclear.agrees, 'unclear');
  assert.match(unclear.sentence, /overlap or are too wide: .*0\.83 \(0\.69 … 1\.4\)/);
});

/** Each case is sampled once all the same, so that the pages are copied and the check at the end has its say. */
function replaced(by: (c: Case) => { low: number; median: number; high: number }) {
  return (c: Case) => {
    c.sample();
    return by(c);
  };
}
