/** Experiments that behave as real ones may. The first really measures something. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Case, Experiment, Findings } from '../../src/lab/experiment.js';

export const NOTHING: Findings = { charts: [], tables: [], verdicts: [], method: [], missing: [] };

export function fake(name: string, run: Experiment['run'], rest: Partial<Experiment> = {}): Experiment {
  return {
    name,
    title: `Title of ${name}`,
    question: `What about ${name}?`,
    talk: 'The talk said so.',
    missing: () => undefined,
    run,
    ...rest,
  };
}

const ROUNDS = 2000;

/** ns per copy of `length` bytes. */
function copyCase(length: number): Case {
  const [from, to] = [new Uint8Array(length).fill(1), new Uint8Array(length)];
  return {
    variant: 'TypedArray.set',
    x: length,
    sample() {
      const start = process.hrtime.bigint();
      for (let i = 0; i < ROUNDS; i++) to.set(from);
      return Number(process.hrtime.bigint() - start) / ROUNDS;
    },
  };
}

/** A yardstick: what copying costs, by size. */
export const yardstick = fake(
  'yardstick',
  async (lab) => {
    lab.note('copying');
    const series = await lab.measure([64, 1024, 16384].map(copyCase));
    const [small, , large] = series[0].points;
    return {
      ...NOTHING,
      charts: [
        {
          title: 'Copying within the cache',
          x: { label: 'size', unit: 'bytes', scale: 'log' },
          y: { label: 'cost', unit: 'ns', scale: 'linear' },
          series,
        },
      ],
      verdicts: [
        {
          agrees: large.low > small.high ? 'agrees' : 'unclear',
          sentence: `${large.median.toFixed()} ns for 16 KiB, ${small.median.toFixed()} ns for 64 bytes.`,
        },
      ],
      method: ['Two typed arrays.'],
    };
  },
  { measurements: 1 },
);

export const failing = fake('failing', () => Promise.reject(new Error('the tap went away')));

export const lacking = fake('lacking', () => Promise.resolve(NOTHING), {
  missing: () => Promise.resolve('this kernel has no userfaultfd'),
});

/** Measures until it is stopped, and cleans up behind itself. */
export function endless(onCleanUp: () => void = () => {}): Experiment {
  return fake('endless', async (lab) => {
    const one: Case = { variant: 'a', x: 1, sample: () => sleep(5, 5) };
    try {
      for (;;) await lab.measure([one, { ...one, x: 2 }], 1000);
    } finally {
      await sleep(20);
      onCleanUp();
    }
  });
}
