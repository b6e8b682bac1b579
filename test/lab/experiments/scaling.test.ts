import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readCounters } from '../../../src/datapath/counters.js';
import { scaling } from '../../../src/lab/experiments/scaling.js';
import { Crowd } from '../../../src/lab/machine/crowd.js';
import { fakeRun } from '../fake_run.js';

const mappingsOfGuests = () =>
  readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes('memfd:netferry:')).length;

test('a crowd: every frame of every pair arrives, and nothing of its guests stays mapped', () => {
  const before = mappingsOfGuests();
  const crowd = new Crowd('persistent', 6, 1500);
  const out = () => crowd.pairs.map(({ b }) => frames(crowd, b.netback.counters));
  const warm = out();
  assert.ok(mappingsOfGuests() > before);
  const all = crowd.sample({ length: 64 }, 64, 3, 4);
  assert.ok(all > 0 && crowd.copy({ length: 64 }, 64, 3, 4) > 0);
  assert.deepEqual(
    out().map((n, i) => n - warm[i]),
    [512, 512, 512], // a turn through its pages that is not timed, and four rounds
  );
  crowd.sample({ length: 1500 }, 8, 1, 2);
  assert.deepEqual(
    out().map((n, i) => n - warm[i]),
    [512 + 256 + 16, 512, 512],
  );
  crowd.close();
  assert.equal(mappingsOfGuests(), before);
});

test('a crowd of few pages uses those only', () => {
  const crowd = new Crowd('persistent', 2, 1500, { pages: 64, inOrder: true });
  try {
    const [pair] = crowd.pairs;
    const { u8 } = crowd.machine.arena;
    const first = pair.b.ram + 16 * 4096;
    u8.fill(0, first, first + 512 * 4096);
    crowd.sample({ length: 1500 }, 64, 1, 12);
    crowd.copy({ length: 1500 }, 64, 1, 12); // in the same pages
    const used = Array.from({ length: 512 }, (_, i) => first + i * 4096).filter((page) => u8[page] !== 0);
    assert.equal(used.length, 64);
    assert.equal(used[0], pair.to);
  } finally {
    crowd.close();
  }
});

test('shuffled pages: each is used once a turn, and plain copies take the ways of the frames', () => {
  for (const pages of [64, 256]) {
    const crowd = new Crowd('persistent', 4, 1500, { pages });
    try {
      const { u8 } = crowd.machine.arena;
      const [pair, other] = crowd.pairs;
      const ways = Array.from({ length: pages }, (_, i) => pair.path(i));
      assert.equal(new Set(ways.map(({ from }) => from)).size, pages);
      assert.equal(new Set(ways.map(({ to }) => to)).size, pages);
      assert.ok(ways.some(({ from }, i) => i > 0 && from !== ways[i - 1].from + 4096));
      assert.notDeepEqual(
        ways.map(({ from }) => from - pair.from),
        ways.map((_, i) => other.path(i).from - other.from),
      );
      const meet = () => {
        for (const [i, { from, to }] of ways.entries()) {
          u8[from + 700] = 1 + (i % 251);
          u8[to + 700] = 0;
        }
      };
      const met = () => ways.map(({ to }) => u8[to + 700]);
      meet();
      crowd.copy({ length: 1500 }, 64, 2, pages / 64);
      assert.deepEqual(
        met(),
        ways.map((_, i) => 1 + (i % 251)),
      );
      meet();
      crowd.sample({ length: 1500 }, 64, 2, pages / 64);
      assert.ok(met().every((byte) => byte !== 0));
    } finally {
      crowd.close();
    }
  }
});

test('mixed traffic: frames of some pairs in a round, all of them received', () => {
  const crowd = new Crowd('persistent', 8, 1500);
  try {
    const out = () => crowd.pairs.map(({ b }) => frames(crowd, b.netback.counters));
    const before = out();
    assert.ok(crowd.mixed({ length: 64 }, 2000) > 0);
    const moved = out().map((n, i) => n - before[i]);
    const all = moved.reduce((sum, n) => sum + n, 0);
    assert.ok(all >= 2000 + 4 * 256, `${all} frames`);
    assert.ok(moved.every((n) => n > all / 12) && new Set(moved).size > 1, moved.join());
  } finally {
    crowd.close();
  }
});

test('two guests with the pages of many use each of them in its turn', () => {
  for (const transfer of ['persistent', 'grant-copy'] as const) {
    const crowd = new Crowd(transfer, 2, 1500, { pages: 1024, inOrder: true });
    try {
      const [pair] = crowd.pairs;
      const { u8 } = crowd.machine.arena;
      const at = (i: number) => pair.to + i * 4096 + 700;
      for (let i = 0; i < 1024; i++) {
        u8[pair.from + i * 4096 + 700] = 1 + (i % 251);
        u8[at(i)] = 0;
      }
      const turn = crowd.sample({ length: 1500 }, 64, 1, 16);
      assert.ok(turn > 0);
      const seen = Array.from({ length: 1024 }, (_, i) => u8[at(i)]);
      assert.ok(seen.every((byte) => byte !== 0));
      // In order, and each page of the sender's once.
      assert.deepEqual(new Set(seen.slice(0, 251)), new Set(Array.from({ length: 251 }, (_, i) => i + 1)));
    } finally {
      crowd.close();
    }
  }
});

function frames(crowd: Crowd, counters: number): number {
  return readCounters(crowd.machine.arena, counters).out.frames;
}

test('128 guests in one arena, its upper half included: mapped pages and grant copies', () => {
  for (const transfer of ['persistent', 'grant-copy'] as const) {
    const crowd = new Crowd(transfer, 128, 1500);
    try {
      const last = crowd.pairs[63];
      // Windows and all, the last guest lies where addresses have their highest bit set.
      if (transfer === 'persistent') assert.ok(last.to > 2 ** 31);
      const { u8 } = crowd.machine.arena;
      u8.fill(0x5a, last.from + 20, last.from + 1500);
      crowd.sample({ length: 1500 }, 64, 64, 4);
      const pages = Array.from({ length: 512 }, (_, i) => u8[last.to + i * 4096 + 700]);
      assert.ok(pages.includes(0x5a), transfer);
    } finally {
      crowd.close();
    }
  }
});

test('curves for each transfer, verdicts against the goal, unclear when the interval holds it', async () => {
  const costs: Record<string, number> = { '2': 100, '8': 100, '32': 110, '128': 120 };
  const flat = await scaling.run(
    fakeRun('quick', 1, ({ x }) => ({ low: costs[x], median: costs[x], high: costs[x] })),
  );
  assert.deepEqual(flat.missing, []);
  assert.deepEqual(
    flat.charts.map((chart) => chart.series.length),
    [13, 13],
  );
  assert.equal(flat.verdicts.length, 24);
  const alone = flat.verdicts.filter((v) => /by their number alone/.test(v.sentence));
  assert.equal(alone.length, 8);
  assert.ok(alone.every((v) => v.agrees === 'agrees' && /1\.0 \(1\.0 … 1\.0\)/.test(v.sentence)));
  const grown = flat.verdicts.filter((v) => !alone.includes(v));
  assert.ok(grown.every((v) => v.agrees === 'agrees' && /1\.2 \(1\.2 … 1\.2\)/.test(v.sentence)));
  const noisy = await scaling.run(
    fakeRun('quick', 1, ({ x }) => ({ low: costs[x] - 20, median: costs[x], high: costs[x] + 20 })),
  );
  assert.ok(
    noisy.verdicts.every((v) => v.agrees === 'unclear' && /holds the goal of 1\.25/.test(v.sentence)),
  );
  const steep = await scaling.run(
    fakeRun('quick', 1, ({ x }) => ({ low: Number(x), median: Number(x), high: Number(x) })),
  );
  assert.ok(
    steep.verdicts.every((v) => (v.agrees === 'agrees') === /by their number alone/.test(v.sentence)),
  );
  assert.deepEqual(steep.tables[0].rows[0].slice(-2), ['64.0', 'missed']);
  assert.deepEqual(flat.tables[0].rows[0].slice(-2), ['1.2', 'met']);
});
