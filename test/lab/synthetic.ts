/** Results as a run might leave them, from seeded numbers: for the report, and for reading back. Nothing is measured. */
import { BOUNDS } from '../../src/lab/budget.js';
import type { Chart, Findings } from '../../src/lab/experiment.js';
import { lookAround } from '../../src/lab/machine_facts.js';
import { type ExperimentResult, FORMAT, type Results, VERSION } from '../../src/lab/results.js';
import { CONFIDENCE, FENCES, JUDGE_FROM, LEAST_SPREAD, toSeries, WIDE } from '../../src/lab/stats.js';
import { randomSource } from '../support/random.js';

type Curve = (x: number) => number;

const SIZES = [64, 128, 256, 512, 1024, 1500, 2048, 4096];
let random = randomSource(7);
const unit = () => random(1_000_000) / 1_000_000;

/** Samples with a floor and a tail, as timings have them; now and then one from far away. */
function samplesAround(value: number, noise: number): number[] {
  return Array.from({ length: 15 }, () => {
    const tail = noise * -Math.log(1 - unit());
    return value * (1 + tail + (unit() < 0.02 ? 4 : 0));
  });
}

function casesOf(xs: readonly (number | string)[], curves: Record<string, [Curve, number]>) {
  return Object.entries(curves).flatMap(([variant, [curve, noise]]) =>
    xs.map((x, i) => ({ variant, x, samples: samplesAround(curve(typeof x === 'number' ? x : i), noise) })),
  );
}

type Cases = ReturnType<typeof casesOf>;

const BYTES = { label: 'packet size', unit: 'bytes', scale: 'log' } as const;
const COST = { label: 'cost per packet', unit: 'ns', scale: 'linear' } as const;

function done(
  name: string,
  title: string,
  talk: string,
  cases: Cases,
  chart: Omit<Chart, 'series'>,
  rest: Partial<Findings> = {},
): ExperimentResult {
  return {
    name,
    title,
    question: `What does the talk’s question about ${name} come to on a machine of today?`,
    talk,
    seconds: 12.3,
    measurements: [{ cpu: 1, seed: 20060907, rounds: 15, short: false, cases }],
    outcome: 'done',
    findings: {
      charts: [{ ...chart, series: toSeries(cases) }],
      tables: [],
      verdicts: [],
      method: ['Bursts of 64 packets; pages in turn, a ring’s worth on either side.'],
      missing: [],
      ...rest,
    },
  };
}

function flipVsCopy(): ExperimentResult {
  const other = casesOf(SIZES, {
    'copy, other CPU': [(x) => 210 + x * 0.42, 0.05],
    'flip, other CPU': [() => 1350, 0.06],
  });
  const same = casesOf(SIZES, {
    'copy, same CPU': [(x) => 160 + x * 0.11, 0.04],
    'flip, same CPU': [(x) => (x === 2048 ? 900 : 1180), 0.3],
  });
  const one = done(
    'flip-vs-copy',
    'Flipping a page, or copying the packet',
    'With dom0 and domU on different CPUs the estimated break-even packet size is 1280 bytes; on the same CPU (SEDF) it is 480 bytes.\nData copy costs almost as much as a page flip, at least when dom0 runs on a separate CPU.',
    other,
    {
      title: 'Domains on different CPUs',
      x: BYTES,
      y: COST,
      marks: [
        { at: 1280, label: 'the talk: 1280 bytes' },
        { at: 2714, label: 'here: 2714 bytes' },
        { at: 1100, label: 'another mark close by' },
      ],
    },
    {
      verdicts: [
        {
          agrees: 'differs',
          sentence:
            'On different CPUs copying is cheaper up to 2714 bytes (2610 to 2830), where the talk had 1280: copies have become cheaper against page tables.',
        },
        { agrees: 'unclear', sentence: 'On the same CPU the intervals of flip are too wide to name a size.' },
      ],
      missing: ['One NUMA node only: the cost of a copy between nodes is not shown.'],
    },
  );
  if (one.outcome !== 'done') throw new Error('is done');
  const charts = [
    ...one.findings.charts,
    {
      title: 'Domains on the same CPU',
      x: BYTES,
      y: { ...COST, scale: 'log' as const },
      series: toSeries(same),
    },
  ];
  return { ...one, findings: { ...one.findings, charts } };
}

function guestToGuest(): ExperimentResult {
  const names = ['64 bytes', '1500 bytes', 'a 64 KiB frame, segmented on its way by the receiver’s vif'];
  const cases = casesOf(names, {
    'copy into dom0, then flip': [(i) => [1420, 1610, 9800][i], 0.05],
    'two copies': [(i) => [310, 720, 12400][i], 0.05],
    'one direct copy': [(i) => [140, 380, 6100][i], 0.3],
  });
  return done(
    'guest-to-guest',
    'From guest to guest',
    'First the page is copied from the transmitting guest to dom0, then the dom0 page is flipped with the receiving guest’s page. The page flip just adds overhead: instead just do the copy.',
    cases,
    {
      title: 'Cost of a packet from guest to guest',
      x: { label: 'packet', unit: '', scale: 'names' },
      y: COST,
    },
    {
      verdicts: [
        {
          agrees: 'agrees',
          sentence: 'One direct copy takes 0.10 of copy and flip at 64 bytes, 0.24 at 1500.',
        },
      ],
      tables: [
        {
          title: 'What moves, in one second',
          columns: ['way', 'packets', 'bytes copied', 'remark'],
          rows: [
            ['copy and flip', 704225, 1056337500, 'one page exchanged a packet'],
            ['two copies', 1388888, 4166664000, ''],
            ['one copy', 2631578, 3947367000, 'least of all'],
          ],
        },
      ],
    },
  );
}

function scaling(): ExperimentResult {
  const cases = casesOf([2, 8, 32, 128], { persistent: [(x) => 61 + x * 0.03, 0.02] });
  return done(
    'scaling',
    'Many vifs',
    'The talk had one.',
    cases,
    { title: 'Cost per frame', x: { label: 'vifs', unit: '', scale: 'log' }, y: COST },
    {
      verdicts: [
        { agrees: 'not comparable', sentence: 'At 128 vifs a frame costs 1.06 of what it costs at 2.' },
      ],
    },
  );
}

const ABOUT = { question: 'A question?', talk: 'What the talk said.', seconds: 0.2, measurements: [] };

/** Always the same. Three that are done (with four charts), one missing something, one failed, one stopped. */
export function syntheticResults(): Results {
  random = randomSource(7);
  const stopped = casesOf([64, 1500], { persistent: [(x) => 50 + x * 0.1, 0.05] });
  return {
    format: FORMAT,
    version: VERSION,
    effort: 'full',
    partial: true,
    seconds: 318,
    machine: lookAround('9.9.9'),
    statistics: {
      confidence: CONFIDENCE,
      wide: WIDE,
      fences: FENCES,
      judgeFrom: JUDGE_FROM,
      leastSpread: LEAST_SPREAD,
      least: BOUNDS.full.least,
      most: BOUNDS.full.most,
    },
    experiments: [
      flipVsCopy(),
      {
        ...ABOUT,
        name: 'mapping',
        title: 'Mapping the I/O page',
        outcome: 'missing',
        reason: 'this kernel has no userfaultfd (CONFIG_USERFAULTFD)',
      },
      guestToGuest(),
      {
        ...ABOUT,
        name: 'profile',
        title: 'Where the CPU goes',
        outcome: 'failed',
        reason: 'perf record: EACCES (sysctl kernel.perf_event_paranoid)',
      },
      scaling(),
      {
        ...ABOUT,
        name: 'grant-copy',
        title: 'One call for many grants',
        outcome: 'stopped',
        reason: 'the lab was stopped while it ran',
        measurements: [{ cpu: null, seed: 1, rounds: 15, short: true, cases: stopped }],
      },
    ],
  };
}
