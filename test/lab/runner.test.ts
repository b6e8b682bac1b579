import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BOUNDS, shareOf } from '../../src/lab/budget.js';
import type { Case, Experiment, Findings } from '../../src/lab/experiment.js';
import { measure, prepare } from '../../src/lab/measure.js';
import { parseResults, type Results } from '../../src/lab/results.js';
import { type LabOptions, runLab } from '../../src/lab/runner.js';
import { SetupError } from '../../src/sys/errors.js';
import { affinity, pinTo } from '../../src/sys/sched.js';
import { endless, failing, fake, lacking, NOTHING, yardstick } from './fakes.js';

const FAST = { seconds: 0.5, least: 7, most: 12 };

function run(experiments: readonly Experiment[], rest: Partial<LabOptions> = {}): Promise<Results> {
  const signal = new AbortController().signal;
  return runLab({ experiments, effort: 'quick', version: '1.2.3', signal, bounds: FAST, ...rest });
}

function cases(names: string[], sample: (name: string) => number | Promise<number>): Case[] {
  return names.map((variant) => ({ variant, x: 1, sample: () => sample(variant) }));
}

test('one that fails and one that lacks something do not stop the others', async () => {
  const seen: string[] = [];
  const saved: Results[] = [];
  const results = await run([failing, lacking, yardstick], {
    save: (found) => saved.push(structuredClone(found)),
    progress: {
      begin: (one, index, count) => seen.push(`begin ${one.name} ${index}/${count}`),
      tick: (done, left) => assert.ok(done >= 0 && done <= 1 && left >= 0, `${done} ${left}`),
      note: (text) => seen.push(text),
      end: (result) => seen.push(`end ${result.outcome}`),
    },
  });
  assert.deepEqual(seen, [
    'begin failing 0/3', 'end failed', 'begin lacking 1/3', 'end missing', 'begin yardstick 2/3', 'copying', 'end done',
  ]); // biome-ignore format: one row
  const [first, second, third] = results.experiments;
  assert.equal(first.outcome === 'failed' && first.reason, 'Error: the tap went away');
  assert.equal(second.outcome === 'missing' && second.reason, 'this kernel has no userfaultfd');
  assert.ok(third.outcome === 'done');
  const [copy] = third.findings.charts[0].series;
  assert.ok(copy.points.every((point) => point.samples + point.outliers >= FAST.least && point.median > 0));
  assert.ok(copy.points[2].median > copy.points[0].median, '16 KiB take longer than 64 bytes');
  assert.equal(results.partial, false);
  assert.deepEqual(
    saved.map((found) => [found.experiments.length, found.partial]),
    [
      [1, true],
      [2, true],
      [3, false],
    ],
  );
  assert.deepEqual(parseResults(JSON.stringify(results), 'x'), results, 'they survive being written');
});

test('what throws a SetupError is told with its hint; missing() may throw, too', async () => {
  const refuse = () => Promise.reject(new SetupError('no perf', 'apt-get install linux-perf'));
  const results = await run([fake('a', refuse), fake('b', async () => NOTHING, { missing: refuse })]);
  for (const one of results.experiments) {
    assert.equal(one.outcome === 'failed' && one.reason, 'no perf (apt-get install linux-perf)');
  }
});

test('findings that are not sound are a failure that names the key', async () => {
  const verdicts = [{ agrees: 'unclear' as const, sentence: 'x' }];
  const tables = [{ title: 't', columns: ['a'], rows: [[Number.NaN]] }];
  const results = await run([fake('nan', async () => ({ ...NOTHING, verdicts, tables }))]);
  const [one] = results.experiments;
  assert.ok(one.outcome === 'failed');
  assert.match(one.reason, /^its findings are not sound: tables\[0\]\.rows\[0\]\[0\]: /);
});

test('a noisy case is called too wide, a steady one is not', async () => {
  let i = 0;
  const noise = [100, 180, 60, 140, 90, 200, 70];
  let findings: Findings | undefined;
  const noisy = fake('noisy', async (lab) => {
    const series = await lab.measure(
      cases(['wide', 'steady'], (name) => (name === 'wide' ? noise[i++ % noise.length] : 100)),
    );
    assert.deepEqual(
      series.map(({ variant, points }) => [variant, points[0].wide]),
      [
        ['wide', true],
        ['steady', false],
      ],
    );
    findings = NOTHING;
    return findings;
  });
  const results = await run([noisy]);
  assert.equal(results.experiments[0].outcome, 'done');
  assert.ok(findings);
});

test('a stop: the running one ends and cleans up, what it had measured is kept, the next does not begin', async () => {
  const stop = new AbortController();
  let clean = false;
  setTimeout(() => stop.abort(), 300);
  const results = await run([yardstick, endless(() => (clean = true)), failing], {
    signal: stop.signal,
    bounds: { seconds: 0.1, least: 7, most: 12 },
  });
  assert.equal(clean, true);
  assert.deepEqual(
    results.experiments.map((one) => one.outcome),
    ['done', 'stopped', 'stopped'],
  );
  assert.equal(results.partial, true);
  const [, stopped, after] = results.experiments;
  assert.ok(stopped.measurements.some(({ cases }) => cases.some(({ samples }) => samples.length > 0)));
  assert.equal('reason' in after && after.reason, 'the lab was stopped before it began');
  assert.deepEqual(parseResults(JSON.stringify(results), 'x'), results);
});

test('an experiment that is over listens to no stop any more', async () => {
  const stop = new AbortController();
  const hurry = new AbortController();
  await run([failing, fake('nothing', async () => NOTHING)], { signal: stop.signal, hurry: hurry.signal });
  for (const { signal } of [stop, hurry]) assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('a stop is heard between samples that never let go of the thread', async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 100);
  const spin = () => {
    for (const until = performance.now() + 2; performance.now() < until; );
    return 1;
  };
  const busy = fake('busy', async (lab) => {
    await lab.measure(cases(['a', 'b'], spin), 1_000_000);
    return NOTHING;
  });
  const start = performance.now();
  const results = await run([busy], { signal: stop.signal, bounds: { seconds: 60, least: 7, most: 12 } });
  assert.ok(performance.now() - start < 2000);
  assert.equal(results.experiments[0].outcome, 'stopped');
});

test('a stop, and an experiment that does not heed it: in a hurry it is left', async () => {
  const stop = new AbortController();
  const hurry = new AbortController();
  setTimeout(() => stop.abort(), 30);
  setTimeout(() => hurry.abort(), 60);
  const deaf = fake('deaf', async () => {
    await sleep(2000, undefined, { ref: false });
    return NOTHING;
  });
  const start = performance.now();
  const results = await run([deaf], { signal: stop.signal, hurry: hurry.signal });
  assert.ok(performance.now() - start < 1500);
  const [one] = results.experiments;
  assert.match('reason' in one ? one.reason : '', /had not cleaned up/);
});

test('pinning: one CPU while it measures, all of them before and after, none of it when asked not to', async () => {
  const all = affinity();
  const looked: number[][] = [];
  const look = (rest: Partial<Experiment>) =>
    fake(
      'look',
      async (lab) => {
        assert.deepEqual(lab.cpus, all);
        assert.deepEqual(affinity(), all);
        await lab.measure(
          cases(['a'], () => looked.push(affinity())),
          1,
        );
        assert.deepEqual(affinity(), all);
        pinTo([all[0]]); // whatever an experiment leaves
        return NOTHING;
      },
      rest,
    );
  const results = await run([look({}), look({ pinned: false })]);
  assert.deepEqual(affinity(), all);
  assert.deepEqual(
    results.experiments.map((one) => one.outcome),
    ['done', 'done'],
  );
  assert.deepEqual(
    results.experiments.map((one) => one.measurements[0].cpu),
    [all.at(-1), null],
  );
  assert.deepEqual(looked[0], [all.at(-1)]);
  assert.deepEqual(looked.at(-1), all);
});

const plan = (milliseconds: number, limit: number, rest: object = {}) => ({
  least: 7,
  most: 20,
  until: performance.now() + milliseconds,
  limit: performance.now() + limit,
  seed: 1,
  signal: new AbortController().signal,
  ...rest,
});

test('measuring: warm-up samples do not count, each round has every case once, `most` is the end of it', async () => {
  const order: string[] = [];
  const all = cases(['a', 'b', 'c'], (name) => order.push(name));
  const measurement = prepare(all);
  await measure(all, measurement, plan(10_000, 10_000));
  assert.equal(measurement.rounds, 20);
  assert.ok(measurement.cases.every(({ samples }) => samples.length === 20));
  const measured = order.slice(-60);
  assert.ok(order.length > 60, 'warmed up');
  for (let i = 0; i < 60; i += 3) assert.equal(new Set(measured.slice(i, i + 3)).size, 3);
});

test('measuring: slow cases get fewer rounds, and it is said', async () => {
  const all = cases(['a', 'b'], () => sleep(20, 1));
  const enough = prepare(all);
  await measure(all, enough, plan(50, 5000));
  assert.deepEqual([enough.rounds, enough.short], [7, false], 'the least is made although the time is over');
  const short = prepare(all);
  await measure(all, short, plan(50, 100));
  assert.deepEqual([short.rounds, short.short], [3, true], 'but not whatever it takes');
});

test('measuring: the expected end comes nearer as rounds go by', async () => {
  const all = cases(['a'], () => sleep(10, 1));
  const ends: number[] = [];
  const start = performance.now();
  await measure(all, prepare(all), plan(60_000, 90_000), (end) => ends.push(end - start));
  assert.ok(ends[0] > 50_000, `${ends[0]}`);
  assert.ok((ends.at(-1) ?? 0) < 1000, `20 rounds of 10 ms, not a minute: ${ends.at(-1)}`);
});

test('measuring: a sample that is no number, and two cases alike, are errors that name them', async () => {
  const bad = cases(['worse'], () => Number.NaN);
  await assert.rejects(measure(bad, prepare(bad), plan(10, 10)), /a sample of worse at 1 is NaN/);
  assert.throws(() => prepare([...bad, ...bad]), /two cases are both worse at 1/);
});

test('the budget: all of ten stay below 3 and 20 minutes, whatever was left or overdrawn before', () => {
  for (const [effort, limit] of [
    ['quick', 180],
    ['full', 1200],
  ] as const) {
    const bounds = BOUNDS[effort];
    for (const use of [0.1, 1, 1.5]) {
      let left = 10 * bounds.seconds;
      let spent = 0;
      for (let count = 10; count > 0; count--) {
        const share = shareOf(left, count, bounds);
        assert.ok(share <= 2 * bounds.seconds && share >= bounds.seconds / 3);
        left -= share * use;
        spent += share * use;
      }
      assert.ok(spent < limit, `${effort}: ${spent} s when each takes ${use} of its share`);
    }
  }
  assert.equal(shareOf(15, 1, BOUNDS.quick), 15, 'one alone does not take the time of all');
});
