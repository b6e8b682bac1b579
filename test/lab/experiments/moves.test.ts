/** The experiments about how a page's bytes move: run whole with few samples, and judged on made-up curves. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Case, Experiment, LabRun, Point, Series } from '../../../src/lab/experiment.js';
import { curve, flipVsCopy, judge, PACKET_SIZES } from '../../../src/lab/experiments/flip_vs_copy.js';
import {
  AS_IN_2006,
  COPY_FLIP,
  guestToGuest,
  judgeForms,
  ONE_COPY,
  TWO_COPIES,
} from '../../../src/lab/experiments/guest_to_guest.js';
import { judgeMapping, mapping } from '../../../src/lab/experiments/mapping.js';
import { Machine } from '../../../src/lab/machine/machine.js';
import { placesOn } from '../../../src/lab/machine/places.js';
import { RingLoad } from '../../../src/lab/machine/ring_load.js';
import { affinity } from '../../../src/sys/sched.js';
import type { Transfer } from '../../../src/transfer/transfer.js';
import { countersOf } from '../../support/drops.js';

/** A lab that takes two samples of each case. */
function tinyLab(cpus: readonly number[] = affinity()): LabRun & { cases: Case[] } {
  const cases: Case[] = [];
  return {
    effort: 'quick',
    cpus,
    cases,
    note() {},
    signal: new AbortController().signal,
    async measure(all) {
      cases.push(...all);
      const curves = new Map<string, Point[]>();
      for (const { variant, x, sample } of all) {
        const [a, b] = [await sample(), await sample()].sort((p, q) => p - q);
        assert.ok(a > 0 && Number.isFinite(b), `${variant} at ${x}: ${a}, ${b}`);
        const point = { x, median: (a + b) / 2, low: a, high: b, samples: 2, outliers: 0, wide: false };
        curves.set(variant, [...(curves.get(variant) ?? []), point]);
      }
      return Array.from(curves, ([variant, points]) => ({ variant, points }));
    },
  };
}

const descriptors = () => readdirSync('/proc/self/fd').length;
const threads = () => readdirSync('/proc/self/task').length;

/** Runs it on these CPUs; every curve has every size, and nothing stays behind. */
async function whole(experiment: Experiment, curves: number, cpus?: readonly number[]) {
  assert.equal(await experiment.missing(), undefined);
  const [before, fds, tasks] = [affinity(), descriptors(), threads()];
  const lab = tinyLab(cpus);
  const findings = await experiment.run(lab);
  assert.deepEqual(affinity(), before, 'the thread may run where it could before');
  // Node's own epoll descriptors of a thread go with it.
  assert.ok(descriptors() <= fds + 2);
  assert.ok(threads() <= tasks + 1);
  const [chart] = findings.charts;
  assert.equal(chart?.series.length, curves);
  for (const { points } of chart?.series ?? [])
    assert.deepEqual(
      points.map((point) => point.x),
      [...PACKET_SIZES],
    );
  assert.ok(findings.verdicts.length > 0 && findings.method.length > 0);
  for (const { sentence } of findings.verdicts) assert.match(sentence, /^[A-Z].*\d.*\.$/);
  return findings;
}

describe('on this machine', () => {
  const two = affinity().length > 1;

  test('flip-vs-copy', { skip: two ? false : 'one CPU' }, async () => {
    const findings = await whole(flipVsCopy, 6);
    assert.deepEqual(findings.missing, []);
    assert.equal(findings.verdicts.length, 2);
    assert.deepEqual(
      findings.charts[0]?.marks
        ?.filter(({ label }) => label.startsWith('talk'))
        .map((mark) => mark.at)
        .sort((a, b) => a - b),
      [480, 1280],
    );
  });

  test('flip-vs-copy on one CPU runs what it can and says what is missing', async () => {
    const findings = await whole(flipVsCopy, 3, affinity().slice(0, 1));
    assert.equal(findings.verdicts.length, 1);
    assert.match(findings.missing.join('\n'), /different CPUs: this process may use one CPU only/);
  });

  test('mapping', { skip: two ? false : 'one CPU' }, async () => {
    const findings = await whole(mapping, 6);
    assert.equal(findings.tables[0]?.rows.length, 2 * PACKET_SIZES.length);
  });

  test('guest-to-guest', async () => {
    const findings = await whole(guestToGuest, 5);
    assert.equal(findings.tables[0]?.rows.length, 9);
  });

  test('an experiment that is stopped leaves nothing behind', async () => {
    for (const experiment of [flipVsCopy, mapping, guestToGuest]) {
      const before = affinity();
      const lab = { ...tinyLab(), measure: () => Promise.reject(new Error('stopped')) };
      await assert.rejects(experiment.run(lab), /stopped/);
      assert.deepEqual(affinity(), before);
    }
  });
});

describe('the steps between guests', () => {
  const LENGTH = 1500;
  const HEADER = 128;
  /** Bytes copied a frame, on the sender's and on the receiver's account. */
  const copied = (options: ConstructorParameters<typeof RingLoad>[0]) => {
    const machine = new Machine(1 << 28);
    const load = new RingLoad(options, LENGTH, machine, 1);
    const counters = () => machine.guests.map(({ netback }) => countersOf(machine.arena, netback));
    load.sample();
    const [a, b] = counters();
    const frames = b.out.frames;
    assert.ok(frames > 0);
    load.close();
    return { sender: a.copies.bytes / frames, receiver: b.copies.bytes / frames };
  };
  const hidden = (inner: Transfer): Transfer => ({
    name: inner.name,
    cache: 0,
    move: (segments, n) => inner.move(segments, n),
    borrow: (list, n, bad) => inner.borrow(list, n, bad),
    tick: () => inner.tick(),
    settle: () => inner.settle(),
    close: () => inner.close(),
  });

  test('one copy is one copy beside the header, two are two', () => {
    const one = copied('persistent');
    assert.equal(one.receiver, LENGTH);
    const two = copied({
      sender: { transfer: 'persistent', wrapTransfer: hidden },
      receiver: { transfer: 'persistent', takesGrants: false },
    });
    assert.equal(two.receiver, LENGTH);
    assert.equal(two.sender, LENGTH, 'header and rest, into the back end’s memory');
    const direct = copied({ sender: { transfer: 'persistent', wrapTransfer: hidden }, receiver: {} });
    assert.equal(direct.sender, HEADER);
  });

  test('copy and flip copies once, into the pool', () => {
    const flipped = copied({ sender: { transfer: 'map' }, receiver: { transfer: 'flip' } });
    assert.equal(flipped.receiver, LENGTH);
    assert.equal(flipped.sender, HEADER);
  });
});

describe('verdicts on made-up curves', () => {
  const series = (variant: string, cost: (x: number) => number, slack = 1): Series => ({
    variant,
    points: PACKET_SIZES.map((x) => {
      const median = cost(x);
      return { x, median, low: median - slack, high: median + slack, samples: 9, outliers: 0, wide: false };
    }),
  });
  const { places } = placesOn([0, 1]);
  const [other, same] = places;
  const pages = (copy: (x: number) => number, slack = 1) =>
    places.flatMap((place) => [
      series(curve('flip', place), () => 2000, slack),
      series(curve('mapped', place), copy, slack),
      series(curve('pre-mapped', place), (x) => 20 + x / 40, slack),
    ]);

  test('a break-even near the talk’s agrees, elsewhere it differs', () => {
    const { verdicts, tables, charts } = judge(
      pages((x) => 1000 + x * 0.8),
      places,
    );
    assert.equal(verdicts[0]?.agrees, 'agrees');
    assert.match(
      verdicts[0]?.sentence ?? '',
      /from 1250 bytes \(between 1024 and 1280\) on; the talk: 1280 bytes/,
    );
    assert.equal(verdicts[1]?.agrees, 'differs');
    assert.deepEqual(tables[0]?.rows[0], [other.name, 'copy, mapped for each packet', '1250', 1280]);
    assert.match(String(tables[0]?.rows[3]?.[2]), /copy cheaper at every size/);
    assert.ok(charts[0]?.marks?.some((mark) => mark.at === 1250));
  });

  test('no break-even differs, and says which is cheaper', () => {
    const { verdicts } = judge(
      pages(() => 4000),
      places,
    );
    assert.deepEqual(
      verdicts.map((verdict) => verdict.agrees),
      ['differs', 'differs'],
    );
    assert.match(
      verdicts[1]?.sentence ?? '',
      /flipping is cheaper at every size .* 4000 ns copied and 2000 ns flipped/,
    );
    assert.ok(verdicts[1]?.sentence.includes(same.name));
  });

  test('overlapping intervals are unclear, whatever the medians say', () => {
    for (const copy of [() => 4000, (x: number) => 1000 + x * 0.8]) {
      const { verdicts } = judge(pages(copy, 5000), places);
      assert.deepEqual(
        verdicts.map((verdict) => verdict.agrees),
        ['unclear', 'unclear'],
      );
    }
  });

  test('curves that cross the other way round, or several times', () => {
    assert.match(
      judge(
        pages((x) => 3000 - x),
        places,
      ).verdicts[0]?.sentence ?? '',
      /the other way round/,
    );
    const wave = judge(
      pages((x) => (x > 200 && x < 1100 ? 3000 : 1000)),
      places,
    );
    assert.equal(wave.verdicts[0]?.agrees, 'unclear');
  });

  test('"copy beats flip at every size once mapping is free"', () => {
    const holds = judgeMapping(
      pages(() => 4000),
      places,
      true,
    );
    assert.deepEqual(
      holds.verdicts.map((verdict) => verdict.agrees),
      ['agrees', 'agrees'],
    );
    assert.deepEqual(holds.tables[0]?.rows[0], [other.name, 64, 4000, 22, '99 %']);
    const dear = pages(() => 4000).map((one) =>
      one.variant.startsWith('copy, pre-mapped') ? series(one.variant, (x) => x) : one,
    );
    const fails = judgeMapping(dear, places, true).verdicts[0];
    assert.equal(fails?.agrees, 'differs');
    assert.match(fails?.sentence ?? '', /at 2048, 3072 and 4096 bytes/);
    assert.equal(
      judgeMapping(
        pages(() => 4000, 3000),
        places,
        true,
      ).verdicts[0]?.agrees,
      'unclear',
    );
    const bare = pages(() => 4000).filter((one) => !one.variant.startsWith('page flip'));
    assert.equal(judgeMapping(bare, places, false).verdicts[0]?.agrees, 'not comparable');
  });

  test('"we should instead just do the copy"', () => {
    const forms = (one: number, two: number, flip: number, slack = 1) => [
      series(ONE_COPY, () => one, slack),
      series(TWO_COPIES, () => two, slack),
      series(COPY_FLIP, () => flip, slack),
      series(AS_IN_2006, () => flip * 2, slack),
    ];
    const agrees = (all: Series[], flips = true) => judgeForms(all, flips).verdicts.map((v) => v.agrees);
    assert.deepEqual(agrees(forms(100, 150, 2500)), ['agrees', 'agrees']);
    assert.deepEqual(agrees(forms(100, 150, 120)), ['agrees', 'differs']);
    assert.deepEqual(agrees(forms(100, 150, 90)), ['differs', 'differs']);
    assert.deepEqual(agrees(forms(100, 150, 2500, 5000)), ['unclear', 'unclear']);
    assert.deepEqual(agrees(forms(100, 150, 2500).slice(0, 2), false), ['agrees']);
  });
});

test('places: two CPUs, one, none', () => {
  assert.deepEqual(
    placesOn([3, 7]).places.map(({ backend, guest, nic }) => [backend, guest, nic]),
    [
      [3, 7, 7],
      [3, 3, 7],
    ],
  );
  assert.equal(placesOn([2]).missing.length, 2);
  assert.deepEqual(placesOn([]).places, []);
  assert.equal(placesOn([]).missing.length, 1);
});
