/** The experiment `bridge`: its arithmetic on known data, heats, and a small real run. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Case, Point, Series } from '../../../src/lab/experiment.js';
import { bridge } from '../../../src/lab/experiments/bridge.js';
import { chartsOf, tablesOf } from '../../../src/lab/experiments/bridge_charts.js';
import { goalTable, standing, verdictsOf } from '../../../src/lab/experiments/bridge_goals.js';
import { heat, IPERF, STREAM } from '../../../src/lab/experiments/bridge_heats.js';
import {
  BRIDGE,
  type Figure,
  GUESTS,
  HOOK,
  HOOKED_WIRE,
  NETFILTER,
  over,
  TO_HOST,
  TO_WIRE,
  variantOf,
  WIRE,
} from '../../../src/lab/experiments/bridge_plan.js';
import { findingsProblem } from '../../../src/lab/results.js';
import { type Hop, HopYard, type Place } from '../../../src/lab/traffic/hops.js';
import { LoadPair } from '../../../src/lab/traffic/load.js';
import { sharedSlowRun } from '../../../src/lab/turns.js';
import { SetupError } from '../../../src/sys/errors.js';
import { fakeRun } from '../fake_run.js';

const unavailable = await bridge.missing();
const skip = unavailable === undefined ? false : `SKIPPED, NOT TESTED: ${unavailable}`;

function point(x: string, low: number, median: number, high: number, samples = 11): Point {
  return { x, low, median, high, samples, outliers: 0, wide: high - low > median / 4 };
}

/** A curve over the two paths that are judged. */
function curve(what: string, figure: Figure, ends: [number, number, number]): Series {
  return { variant: variantOf(what, figure), points: [point(GUESTS, ...ends), point(TO_WIRE, ...ends)] };
}

describe('goals and verdicts', () => {
  const ratios = (b: [number, number, number], a: [number, number, number]) => [
    curve(over(HOOK, BRIDGE), 'frames', b),
    curve(over(HOOK, NETFILTER), 'frames', a),
  ];
  const results = (series: Series[], wire: Series[] = []) =>
    goalTable(series, wire).rows.map((row) => [row[1], row[2], row[5]]);

  test('met, missed, or unclear where the interval holds the bound', () => {
    assert.deepEqual(results(ratios([1.16, 1.2, 1.25], [1.2, 1.45, 1.5])), [
      [BRIDGE, GUESTS, 'met'],
      [NETFILTER, GUESTS, 'unclear'],
      [BRIDGE, TO_WIRE, 'met'],
      [NETFILTER, TO_WIRE, 'unclear'],
    ]);
    assert.deepEqual(
      results(ratios([1.0, 1.1, 1.14], [1.5, 1.8, 2.4])).map((row) => row[2]),
      ['missed', 'met', 'missed', 'met'],
    );
  });

  test('frames for a CPU second are the CPU of a frame turned over', () => {
    const cpu = [curve(over(HOOK, NETFILTER), 'senderCpu', [0.625, 0.64, 0.8])];
    const [row] = goalTable(cpu, []).rows;
    assert.deepEqual([row[4], row[5]], ['1.56 (1.25 … 1.60)', 'unclear']);
    const better = [curve(over(HOOK, NETFILTER), 'senderCpu', [0.625, 0.64, 0.7])];
    assert.equal(goalTable(better, []).rows[0][5], 'met');
  });

  test('what should be lower is met below its bound; three rounds tell nothing', () => {
    const ratio = (low: number, high: number, samples = 11) => ({
      ...{ low, value: (low + high) / 2, high },
      ...{ wide: false, samples },
    });
    assert.equal(standing(ratio(0.6, 0.9), 1, 'below'), 'met');
    assert.equal(standing(ratio(1.1, 1.2), 1, 'below'), 'missed');
    assert.equal(standing(ratio(0.9, 1.1), 1, 'below'), 'unclear');
    assert.equal(standing(ratio(0.6, 0.9, 3), 1, 'below'), 'unclear');
  });

  test('the host’s own stream has a row for each tool, with both rates', () => {
    const iperf = [
      { variant: variantOf(over(HOOKED_WIRE, WIRE), 'tcp'), points: [point(IPERF, 0.9, 0.92, 0.95)] },
    ];
    const wire = [
      { variant: variantOf(HOOKED_WIRE, 'tcp'), points: [point(STREAM, 60, 61, 62)] },
      { variant: variantOf(WIRE, 'tcp'), points: [point(STREAM, 61, 62, 63)] },
      { variant: variantOf(over(HOOKED_WIRE, WIRE), 'tcp'), points: [point(STREAM, 0.975, 0.99, 1.01)] },
    ];
    const [row, byIperf] = goalTable([], [...wire, ...iperf]).rows;
    assert.deepEqual([byIperf[4], byIperf[5]], ['0.920 (0.900 … 0.950)', 'missed']);
    assert.match(String(row[2]), /61\.0 and 62\.0 Gb\/s/);
    assert.deepEqual([row[4], row[5]], ['0.990 (0.975 … 1.01)', 'met']);
  });

  test('verdicts: the worst of both paths; nothing measured is nothing to compare', () => {
    const judged = (series: Series[]) => verdictsOf(series).map(({ agrees }) => agrees);
    assert.deepEqual(judged(ratios([1.05, 1.1, 1.15], [1.35, 1.4, 1.45])), ['agrees', 'agrees']);
    assert.deepEqual(judged(ratios([0.9, 0.92, 0.95], [0.98, 1.0, 1.02])), ['unclear', 'differs']);
    const cpu = curve(over(HOOK, BRIDGE), 'senderCpu', [0.8, 0.85, 0.9]);
    assert.deepEqual(judged([cpu]), ['not comparable', 'agrees']);
    const [first] = verdictsOf([cpu]).slice(1);
    assert.match(first.sentence, /guest → wire 0\.850 \(0\.800 … 0\.900\)/);
    assert.deepEqual(judged([]), ['not comparable', 'not comparable']);
  });

  test('tables and charts: a row a contestant, ratios are no curves, macvlan cannot reach the host', () => {
    const series: Series[] = [
      { variant: variantOf(BRIDGE, 'frames'), points: [point(TO_HOST, 0.2, 0.21, 0.22)] },
      { variant: variantOf('macvlan', 'frames'), points: [point(GUESTS, 0.3, 0.31, 0.32)] },
      ...ratios([1, 1, 1], [1, 1, 1]),
    ];
    const charts = chartsOf(series);
    assert.deepEqual(
      charts.map((chart) => chart.series.map(({ variant }) => variant)),
      [[BRIDGE, 'macvlan']],
    );
    const host = tablesOf(series).find(({ title }) => title === TO_HOST);
    assert.deepEqual(host?.rows, [
      [BRIDGE, '0.210 (0.200 … 0.220)'],
      ['macvlan', 'cannot'],
    ]);
  });
});

describe('heats', () => {
  test('a run a round, however often a case is asked while it warms up', async () => {
    let runs = 0;
    const of = sharedSlowRun(async () => {
      runs++;
      return new Map([
        ['a', runs],
        ['b', -runs],
      ]);
    });
    const [a, b] = [of('a'), of('b')];
    assert.deepEqual([await a(), await a(), await a(), await b()], [1, 1, 1, -1]);
    assert.deepEqual([await b(), await a(), await a(), await b()], [-2, 2, 3, -3]);
    assert.equal(runs, 3);
  });

  test('all contestants have a turn each time, in changing order; ratios are of the same heat', async () => {
    const order: Hop[] = [];
    let heats = 0;
    const speed: Partial<Record<Hop, number>> = { [NETFILTER]: 1, [BRIDGE]: 2, [HOOK]: 3 };
    const contestants = ([NETFILTER, BRIDGE, HOOK] as const).map((hop) => ({
      hop,
      turn: async () => {
        if (order.length % 3 === 0) heats++;
        order.push(hop);
        return { frames: speed[hop]! * heats }; // a machine that changes from heat to heat
      },
    }));
    const cases = heat(contestants, ['frames'], GUESTS);
    const ask = (variant: string) => cases.find((one: Case) => one.variant === variant)!.sample();
    for (let round = 1; round <= 6; round++) {
      assert.equal(await ask(variantOf(HOOK, 'frames')), 3 * round);
      assert.equal(await ask(variantOf(over(HOOK, BRIDGE), 'frames')), 1.5);
      assert.equal(await ask(variantOf(over(HOOK, NETFILTER), 'frames')), 3);
      for (const rest of [NETFILTER, BRIDGE]) await ask(variantOf(rest, 'frames'));
    }
    const rounds = Array.from({ length: 6 }, (_, i) => order.slice(i * 3, i * 3 + 3).join());
    assert.equal(new Set(rounds).size, 6);
  });
});

describe('traffic through hops', { skip }, () => {
  test('frames, streams and round trips arrive by each hop; a bridge’s netfilter sees them, another’s does not', async () => {
    const before = leftovers();
    const nothing = new AbortController();
    const yard = await HopYard.open();
    const load = LoadPair.start([0, 1], nothing.signal);
    try {
      const filtered = await yard.build(NETFILTER).catch(() => undefined);
      const hops: Hop[] = [BRIDGE, 'macvlan', HOOK, 'hook, clsact', 'direct'];
      const places = await Promise.all(hops.map((hop) => yard.build(hop)));
      // The same rule on the bridge that is not to meet any.
      if (filtered) {
        const chain = 'add chain ip filter forward { type filter hook forward priority 0; }';
        const rule = 'add rule ip filter forward counter accept';
        await places[0].host!.ns.exec(['nft', `add table ip filter; ${chain}; ${rule}`]);
      }
      for (const place of filtered ? [filtered, ...places] : places) await tryAll(load, place);
      if (filtered) {
        assert.ok((await ruleHits(filtered)) > 100);
        assert.equal(await ruleHits(places[0]), 0);
      }
      assert.deepEqual(
        [places[1].host, places[4].host, places[2].host?.address],
        [undefined, undefined, '10.209.0.1'],
      );
    } finally {
      await load.close();
      await yard.close();
    }
    assert.deepEqual(await settled(before), before);
  });

  test('a route that leads nowhere is an error that says so', async () => {
    const yard = await HopYard.open();
    const load = LoadPair.start([0, 1], new AbortController().signal);
    try {
      const { a, b, host } = await yard.build(BRIDGE);
      assert.ok(a && b && host);
      await host.ns.ip('link set pb nomaster');
      await assert.rejects(load.frames({ from: a, to: b }, 5), /udp: nothing arrives from 10\.209\.0\.11/);
      await assert.rejects(load.streams({ from: a, to: b }, 5, 1), /near end: connect 10\.209\.0\.12:9000/);
    } finally {
      await load.close();
      await yard.close();
    }
  });

  test('a quick run in few rounds: sound findings, and nothing of the host’s is changed', async () => {
    const [before, sysctl] = [leftovers(), bridgeSettings()];
    const lab = fakeRun('quick', 1);
    const findings = await bridge.run(lab);
    assert.equal(findingsProblem(findings), undefined);
    assert.equal(findings.charts.length, 8);
    assert.deepEqual(
      findings.tables.map(({ title }) => title),
      ['Goals', GUESTS, TO_WIRE, TO_HOST],
    );
    for (const { series } of findings.charts)
      for (const { points } of series) for (const { median } of points) assert.ok(median > 0);
    assert.ok(findings.tables[0].rows.length >= 16 || findings.missing.length > 0);
    assert.deepEqual([await settled(before), bridgeSettings()], [before, sysctl]);
  });

  test('what a contestant lacks is a line of the report; the others are measured', async (t) => {
    const build = HopYard.prototype.build;
    t.mock.method(HopYard.prototype, 'build', function (this: HopYard, hop: Hop) {
      if (hop === NETFILTER) return Promise.reject(new SetupError('no br_netfilter'));
      return build.call(this, hop);
    });
    const findings = await bridge.run(fakeRun('quick', 1));
    assert.deepEqual(findings.missing, [`${NETFILTER}: no br_netfilter`]);
    assert.deepEqual(findings.verdicts[0].agrees, 'not comparable');
    assert.ok(findings.tables[0].rows.every((row) => row[1] !== NETFILTER));
    assert.ok(findings.tables[0].rows.some((row) => row[1] === BRIDGE));
  });

  test('stopped in the midst: an error at once, and nothing is left behind', async () => {
    const before = leftovers();
    for (const ms of [100, 2500]) {
      const stopper = new AbortController();
      let stopped = 0;
      setTimeout(() => {
        stopped = performance.now();
        stopper.abort();
      }, ms);
      await assert.rejects(bridge.run(fakeRun('quick', 1, undefined, stopper.signal)));
      assert.ok(performance.now() - stopped < 8000);
      assert.deepEqual(await settled(before), before);
    }
  });
});

/** ms counted: long enough that a receiver gets its turn on a busy machine. */
const WINDOW = 80;

async function tryAll(load: LoadPair, { a, b, remote, host }: Place): Promise<void> {
  assert.ok(a && b);
  for (const to of [b, remote, ...(host ? [host] : [])]) {
    const frames = await load.frames({ from: a, to }, WINDOW);
    assert.ok(frames.rate > 1000 && frames.cpu > 0 && frames.senderCpu > 0, JSON.stringify(frames));
    const streams = await load.streams({ from: a, to }, WINDOW, 8);
    assert.ok(streams.bitsPerSecond > 1e8 && streams.cpu > 0, JSON.stringify(streams));
    const { p50, p99 } = await load.roundTrips({ from: to, to: a }, WINDOW);
    assert.ok(p50 > 1 && p99 >= p50, `${p50} ${p99}`);
  }
}

/** Packets that met the one rule. */
async function ruleHits({ host }: Place): Promise<number> {
  const { stdout } = await host!.ns.exec(['nft', 'list', 'ruleset']);
  return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
}

/** Interfaces of ours, and network namespaces that our processes live in. */
function leftovers(): string[] {
  const mine = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return (
        Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1]) === process.pid
      );
    } catch {
      return false; // it has just ended
    }
  });
  const links = readFileSync('/proc/net/dev', 'latin1').match(/^ *(?:up0|pa|pb|br0|mv0):/gm) ?? [];
  return [...links, ...mine.map((pid) => namespaceOf(pid))];
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return 'ended';
  }
}

/** Leftovers after what was killed has gone. */
async function settled(wanted: string[]): Promise<string[]> {
  for (let i = 0; i < 40 && leftovers().join() !== wanted.join(); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return leftovers();
}

function bridgeSettings(): string[] {
  const folder = '/proc/sys/net/bridge';
  try {
    return readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, 'latin1'));
  } catch {
    return []; // without br_netfilter
  }
}
