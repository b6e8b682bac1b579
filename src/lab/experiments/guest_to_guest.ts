/** domU to domU: the talk's two steps through dom0's memory, against the one copy that it asked for. */
import { BURST } from '../../../assembly/layout.js';
import { FLIP, type Transfer } from '../../transfer/transfer.js';
import { breakEven, bytesList, medianAt, seriesOf } from '../compare.js';
import type { Case, Experiment, Findings, LabRun, Series, Verdict } from '../experiment.js';
import type { GuestOptions } from '../machine/guest.js';
import { Machine } from '../machine/machine.js';
import { flipHere, onCpu } from '../machine/places.js';
import { RingLoad } from '../machine/ring_load.js';
import { PACKET_SIZES } from './flip_vs_copy.js';

/** Rounds of 64 packets that a sample takes, a few ms: page flips, and what is many times as fast. */
const FLIP_ROUNDS = 24;
const COPY_ROUNDS = 160;

export const ONE_COPY = 'one copy';
export const DIRECT_LANE = 'one copy, direct lane';
export const TWO_COPIES = 'two copies';
export const COPY_FLIP = 'copy and flip';
export const AS_IN_2006 = 'map, copy, unmap, and flip';

interface Form {
  readonly name: string;
  readonly sender: GuestOptions;
  readonly receiver: GuestOptions;
}

/**
 * The sender's pages stay mapped (persistent) in all but the last, and each frame has a descriptor in all but the
 * direct lane, so that only the steps differ. A sender without a
 * mapping cache of netback's own hands on what is only granted; a receiver that takes no grants gets it through the
 * back end's memory.
 */
const FORMS: readonly Form[] = [
  {
    name: ONE_COPY,
    sender: { transfer: 'persistent', direct: false },
    receiver: { transfer: 'persistent', direct: false },
  },
  { name: DIRECT_LANE, sender: { transfer: 'persistent' }, receiver: { transfer: 'persistent' } },
  {
    name: TWO_COPIES,
    sender: { transfer: 'persistent', wrapTransfer: withoutCache },
    receiver: { transfer: 'persistent', takesGrants: false },
  },
  { name: COPY_FLIP, sender: { transfer: 'persistent' }, receiver: { transfer: FLIP } },
  { name: AS_IN_2006, sender: { transfer: 'map' }, receiver: { transfer: FLIP } },
];

export const guestToGuest: Experiment = {
  name: 'guest-to-guest',
  title: 'Guest to guest',
  question: 'Does it pay to bring a packet into the back end’s memory on its way from one guest to another?',
  talk: 'Packets between guests were copied into a page of dom0 and that page was flipped with the receiver’s. The flip just adds overhead; the packet should be copied once.',

  missing() {
    return undefined; // without flips the copies are compared
  },

  async run(lab: LabRun): Promise<Findings> {
    const here = flipHere();
    const flips = here.missing === undefined;
    const forms = FORMS.filter((form) => flips || form.receiver.transfer !== FLIP);
    const cpu = lab.cpus[0] ?? 0;
    const series = await onCpu(cpu, () => measureForms(lab, forms));
    return {
      ...judgeForms(series, flips),
      method: [
        `Back end on CPU ${cpu}, both guests played by a load generator between its rounds; only the back end’s rounds of ${BURST} packets are timed, through real rings and grants.`,
        'One copy: from the sender’s page into the receiver’s, both in mapping caches. By the direct lane the same copy is made without a descriptor; the verdicts compare what differs in the steps alone.',
        'Two copies: into the back end’s memory, and from there into the receiver’s page; both mapped for good.',
        ...(flips
          ? [
              `Copy and flip: into a page of the back end’s pool, which then changes places with the receiver’s by ${here.by}; what the packet leaves of it is zeroed.`,
              'Map, copy, unmap, and flip: the same, with the sender’s page mapped for each packet, as in 2006.',
            ]
          : []),
      ],
      missing: flips ? [] : [here.missing],
    };
  },
};

async function measureForms(lab: LabRun, forms: readonly Form[]): Promise<Series[]> {
  const loads: { name: string; load: RingLoad }[] = [];
  try {
    for (const { name, sender, receiver } of forms) {
      const machine = new Machine(1 << 28);
      const rounds = receiver.transfer === FLIP ? FLIP_ROUNDS : COPY_ROUNDS;
      loads.push({ name, load: new RingLoad({ sender, receiver }, 4096, machine, rounds) });
    }
    const cases = loads.flatMap(({ name, load }) =>
      PACKET_SIZES.map(
        (x): Case => ({
          variant: name,
          x,
          sample: () => {
            load.length = x;
            return load.sample().backend;
          },
        }),
      ),
    );
    return await lab.measure(cases);
  } finally {
    for (const { load } of loads) load.close();
  }
}

/** Chart and verdicts of measured curves. `flips`: whether page flips are among them. */
export function judgeForms(
  series: readonly Series[],
  flips: boolean,
): Pick<Findings, 'charts' | 'tables' | 'verdicts'> {
  const one = seriesOf(series, ONE_COPY);
  const others = flips ? [COPY_FLIP, AS_IN_2006, TWO_COPIES] : [TWO_COPIES];
  const rows = others.flatMap((name) =>
    [64, 1500, 4096].map((x) => [name, x, medianAt(seriesOf(series, name), x), medianAt(one, x)]),
  );
  const verdicts = [against(one, seriesOf(series, flips ? COPY_FLIP : TWO_COPIES))];
  if (flips) verdicts.push(flipAgainstCopy(seriesOf(series, TWO_COPIES), seriesOf(series, COPY_FLIP)));
  return {
    charts: [
      {
        title: 'Cost of a packet from guest to guest',
        x: { label: 'packet size', unit: 'bytes', scale: 'log' },
        y: { label: 'back end’s time', unit: 'ns per packet', scale: 'log' },
        series,
      },
    ],
    tables: [
      {
        title: 'In steps, and at once',
        columns: ['steps', 'bytes', 'in steps (ns)', 'one copy (ns)'],
        rows,
      },
    ],
    verdicts,
  };
}

/** "We should instead just do the copy." */
function against(one: Series, other: Series): Verdict {
  const even = breakEven(one, other);
  if (even.second.length > 0)
    return {
      agrees: 'differs',
      sentence: `${capital(other.variant)} is cheaper than one copy at ${bytesList(even.second)}.`,
    };
  if (even.doubtful.length > 0 || even.first.length === 0)
    return {
      agrees: 'unclear',
      sentence: `One copy and ${other.variant} cannot be told apart at ${bytesList(even.doubtful)}: their intervals overlap.`,
    };
  return {
    agrees: 'agrees',
    sentence: `One copy is cheaper than ${other.variant} at every size: ${medianAt(one, 1500)} ns against ${medianAt(other, 1500)} ns at 1500 bytes.`,
  };
}

/** "Page flip just adds overhead": beside copying once more. */
function flipAgainstCopy(two: Series, flip: Series): Verdict {
  const even = breakEven(two, flip);
  if (even.second.length > 0)
    return {
      agrees: 'differs',
      sentence: `As the second step a flip is cheaper than a second copy at ${bytesList(even.second)}.`,
    };
  if (even.doubtful.length > 0 || even.first.length === 0)
    return {
      agrees: 'unclear',
      sentence: `As the second step, flip and copy cannot be told apart at ${bytesList(even.doubtful)}: their intervals overlap.`,
    };
  return {
    agrees: 'agrees',
    sentence: `As the second step, too, a copy is cheaper than a flip at every size: ${medianAt(two, 1500)} ns against ${medianAt(flip, 1500)} ns for both steps at 1500 bytes.`,
  };
}

const capital = (text: string) => `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;

/** The mapping cache as a transfer only: netback's own loops do not see it, and hand on grants. */
function withoutCache(inner: Transfer): Transfer {
  return {
    name: inner.name,
    cache: 0,
    move: (segments, n) => inner.move(segments, n),
    borrow: (list, n, bad) => inner.borrow(list, n, bad),
    tick: () => inner.tick(),
    settle: () => inner.settle(),
    close: () => inner.close(),
  };
}
