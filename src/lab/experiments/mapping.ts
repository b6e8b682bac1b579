/** The talk's second question: what does mapping the guest's page cost, and does copying win once that is free? */
import { breakEven, bytesList, medianAt, seriesOf } from '../compare.js';
import type { Experiment, Findings, LabRun, Point, Series, Table, Verdict } from '../experiment.js';
import type { Way } from '../machine/page_load.js';
import { flipHere, type Place, placesOn } from '../machine/places.js';
import { curve, measurePages, PACKET_SIZES, pageMethod } from './flip_vs_copy.js';

export const mapping: Experiment = {
  name: 'mapping',
  title: 'The cost of mapping a guest’s page',
  question:
    'What does it cost to map and unmap the guest’s page for each packet, and does copying beat flipping at every size without that?',
  talk: 'If the cost of mapping and unmapping the guest’s page is eliminated, copying is cheaper than page flipping in all cases.',

  missing() {
    return undefined; // without flips the two ways of copying are compared
  },

  async run(lab: LabRun): Promise<Findings> {
    const here = flipHere();
    const { places, missing } = placesOn(lab.cpus);
    const ways: Way[] = ['mapped', 'pre-mapped'];
    if (here.missing === undefined) ways.push('flip');
    const series = await measurePages(lab, ways, places);
    return {
      ...judgeMapping(series, places, here.missing === undefined),
      method: pageMethod(places, here.missing === undefined ? here.by : undefined),
      missing: here.missing === undefined ? missing : [...missing, here.missing],
    };
  },
};

/** Chart, table and verdicts of measured curves. `flips`: whether page flips are among them. */
export function judgeMapping(
  series: readonly Series[],
  places: readonly Place[],
  flips: boolean,
): Pick<Findings, 'charts' | 'tables' | 'verdicts'> {
  const rows: (string | number)[][] = [];
  const verdicts: Verdict[] = [];
  for (const place of places) {
    const mapped = seriesOf(series, curve('mapped', place));
    const free = seriesOf(series, curve('pre-mapped', place));
    for (const x of PACKET_SIZES) {
      const [a, b] = [pointAt(mapped, x), pointAt(free, x)];
      if (!a || !b) continue;
      const share = Math.round((100 * (a.median - b.median)) / a.median);
      rows.push([place.name, x, Math.round(a.median), Math.round(b.median), `${share} %`]);
    }
    verdicts.push(
      flips
        ? withoutMapping(free, seriesOf(series, curve('flip', place)), place)
        : noFlips(mapped, free, place),
    );
  }
  const table: Table = {
    title: 'What mapping and unmapping takes of a copied packet’s cost',
    columns: ['guest on', 'bytes', 'mapped for each packet (ns)', 'pre-mapped (ns)', 'mapping’s share'],
    rows,
  };
  return {
    charts: [
      {
        title: 'Cost of a packet by its size: mapped, pre-mapped, flipped',
        x: { label: 'packet size', unit: 'bytes', scale: 'log' },
        y: { label: 'back end’s time', unit: 'ns per packet', scale: 'log' },
        series,
      },
    ],
    tables: [table],
    verdicts,
  };
}

function pointAt(series: Series, x: number): Point | undefined {
  return series.points.find((point) => point.x === x);
}

/** "Copy becomes more efficient than page flipping in all cases." */
function withoutMapping(copy: Series, flip: Series, place: Place): Verdict {
  const even = breakEven(copy, flip);
  const on = `With the guest on the ${place.name}`;
  if (even.second.length > 0)
    return {
      agrees: 'differs',
      sentence: `${on}, a page flip is cheaper than a copy into a page that stays mapped at ${bytesList(even.second)}.`,
    };
  if (even.doubtful.length > 0 || even.first.length === 0)
    return {
      agrees: 'unclear',
      sentence: `${on}, the intervals of flip and pre-mapped copy do not tell them apart at ${bytesList(even.doubtful)}.`,
    };
  const largest = even.first.at(-1) ?? 0;
  return {
    agrees: 'agrees',
    sentence: `${on}, a copy into a page that stays mapped is cheaper than a flip at every size: ${medianAt(copy, largest)} ns against ${medianAt(flip, largest)} ns at ${largest} bytes.`,
  };
}

function noFlips(mapped: Series, free: Series, place: Place): Verdict {
  return {
    agrees: 'not comparable',
    sentence: `With the guest on the ${place.name}, a 1500-byte packet costs ${medianAt(mapped, 1500)} ns mapped for it and ${medianAt(free, 1500)} ns pre-mapped; this kernel flips no pages to compare with.`,
  };
}
