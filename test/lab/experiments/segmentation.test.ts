import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { readCounters } from '../../../src/datapath/counters.js';
import { segmentation } from '../../../src/lab/experiments/segmentation.js';
import { FrameLoad } from '../../../src/lab/machine/frame_load.js';
import { Machine } from '../../../src/lab/machine/machine.js';
import { OFF, ON, offloads, offloadsMissing } from '../../../src/lab/traffic/offloads.js';
import { fakeRun } from '../fake_run.js';

test('large frames travel uncut with their segmentation request, frames of the MTU’s size without', () => {
  for (const [kind, gso] of [
    [{ length: 65_535, segment: 1460 }, true],
    [{ length: 1514, segment: 0 }, false],
    [{ length: 9014, segment: 0 }, false],
  ] as const) {
    const machine = new Machine(192 << 20);
    const load = new FrameLoad('persistent', kind, machine, 0.01);
    try {
      const { backend, copy } = load.sample();
      assert.ok(backend > 0 && copy > 0);
      const [a, b] = machine.guests;
      const from = readCounters(machine.arena, a.netback.counters).in;
      const to = readCounters(machine.arena, b.netback.counters).out;
      assert.ok(from.frames > 0);
      assert.equal(to.frames, from.frames);
      assert.deepEqual([from.gso, to.gso], gso ? [from.frames, from.frames] : [0, 0]);
    } finally {
      load.close();
    }
  }
});

test('in process and between guests; nothing is left behind', async (t) => {
  const reason = offloadsMissing();
  if (reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const before = leftovers();
  const findings = await segmentation.run(fakeRun('quick', 1));
  assert.deepEqual(findings.missing, []);
  assert.deepEqual(
    findings.charts.map((chart) => chart.series.length),
    [5, 1, 1],
  );
  for (const { series } of findings.charts) {
    for (const { points } of series) for (const p of points) assert.ok(p.median > 0, JSON.stringify(p));
  }
  assert.equal(findings.verdicts.length, 3);
  assert.deepEqual(leftovers(), before);
});

test('offloads off: the frames on the rings are cut; on: they are not', async (t) => {
  const reason = offloadsMissing();
  if (reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const stage = await offloads('persistent', new AbortController().signal);
  try {
    const gso: Record<string, number> = {};
    let seen = 0;
    for (const state of [ON, OFF] as const) {
      const { gbps, cpu } = await stage.run(state, 100e6);
      assert.ok(gbps > 0 && cpu > 0);
      const total = (await stage.vifs()).reduce((sum, vif) => sum + (vif.counters?.in.gso ?? 0), 0);
      gso[state] = total - seen;
      seen = total;
    }
    assert.ok(gso[ON] > 100, JSON.stringify(gso));
    assert.equal(gso[OFF], 0);
  } finally {
    await stage.stop();
  }
});

test('stopped in the midst: an error, and nothing is left behind', async (t) => {
  const reason = offloadsMissing();
  if (reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const before = leftovers();
  const stopper = new AbortController();
  const stage = await offloads('persistent', stopper.signal);
  t.after(() => stage.stop());
  setTimeout(() => stopper.abort(), 300);
  await assert.rejects(stage.run(ON, 100e9), { name: 'AbortError' });
  await stage.stop();
  assert.deepEqual(leftovers(), before);
});

test('stopped while daemon and guests come up: at once, and nothing is left behind', async (t) => {
  const reason = offloadsMissing();
  if (reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const before = leftovers();
  for (const ms of [50, 300, 700]) {
    const stopper = new AbortController();
    let stopped = 0;
    setTimeout(() => {
      stopped = performance.now();
      stopper.abort();
    }, ms);
    await assert.rejects(
      offloads('persistent', stopper.signal).then((stage) => stage.run(ON, 100e9)),
      { name: 'AbortError' },
    );
    assert.ok(performance.now() - stopped < 5000, `${ms} ms: ${performance.now() - stopped}`);
  }
  const deadline = Date.now() + 5000; // what was up when it was stopped goes by itself
  while (leftovers().length > before.length && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(leftovers(), before);
});

/** Directories of running netferries. */
function leftovers(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('netferry-traffic-'));
}
