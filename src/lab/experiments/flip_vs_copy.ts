/** The talk's first question about grants: is exchanging a page cheaper than copying the packet, and from what size on? */
import { type BreakEven, breakEven, bytesList, type Crossing, medianAt, seriesOf } from '../compare.js';
import type { Case, Chart, Experiment, Findings, LabRun, Series, Table, Verdict } from '../experiment.js';
import { PageLoad, type Way } from '../machine/page_load.js';
import { flipHere, onCpu, type Place, placesOn } from '../machine/places.js';

export const PACKET_SIZES = [64, 128, 256, 480, 512, 1024, 1280, 1500, 2048, 3072, 4096] as const;

const WAYS: Readonly<Record<Way, string>> = {
  flip: 'page flip',
  mapped: 'copy, mapped for each packet',
  'pre-mapped': 'copy, pre-mapped',
};
const ALL: readonly Way[] = ['flip', 'mapped', 'pre-mapped'];

/** What the talk estimated, by place. */
const TALK: Readonly<Record<string, number>> = { 'other CPU': 1280, 'same CPU': 480 };
/** A break-even this many times as large or as small still agrees: machines differ. */
const NEAR = 2;

export const curve = (way: Way, place: Place) => `${WAYS[way]}, ${place.name}`;

/** One case a way, place and size: a sample of each moves 512 packets, or 2048 that stay mapped. */
export function pageCases(load: PageLoad, ways: readonly Way[], places: readonly Place[]): Case[] {
  return places.flatMap((place) =>
    ways.flatMap((way) =>
      PACKET_SIZES.map((x) => ({
        variant: curve(way, place),
        x,
        sample: () => load.sample(way, x, place),
      })),
    ),
  );
}

export function pageMethod(places: readonly Place[], by: string | undefined): string[] {
  return [
    `Back end on CPU ${places[0]?.backend}; the guest is a thread on ${places.map((p) => `CPU ${p.guest} (${p.name})`).join(' and ')} that reads each packet and writes to every cache line of it between bursts. (Whether two CPUs of a virtual machine are two cores is its hypervisor’s to say.)`,
    `A packet lies where a NIC’s DMA would have put it: in a page of the pool for a flip, in a buffer of the back end for a copy. A thread on CPU ${places[0]?.nic} writes it there, which is not timed.`,
    'Only the moves are timed, in bursts of 64, as the back end makes them: grant check and mark, the move, the mark taken away.',
    ...(by === undefined
      ? []
      : [
          `A flip is two page moves by ${by}: the guest’s page into the pool, the pool’s page to the guest. What the packet leaves of the page is zeroed: it was another guest’s.`,
        ]),
    'Mapped for each packet: mmap of the guest’s page, copy, and for the whole burst one mmap of zero pages over it.',
    'Pre-mapped: the mapping cache (transfer persistent), every page in it.',
  ];
}

export const flipVsCopy: Experiment = {
  name: 'flip-vs-copy',
  title: 'Page flip against copy',
  question: 'From what packet size on is exchanging pages cheaper than copying the packet?',
  talk: 'Copying costs almost the same as flipping: the break-even packet size was 1280 bytes with dom0 and the guest on different CPUs, and 480 bytes on the same CPU.',

  missing() {
    return flipHere().missing;
  },

  async run(lab: LabRun): Promise<Findings> {
    const here = flipHere();
    const { places, missing } = placesOn(lab.cpus);
    const series = await measurePages(lab, ALL, places);
    return {
      ...judge(series, places),
      method: pageMethod(places, here.missing === undefined ? here.by : undefined),
      missing,
    };
  },
};

/** Measures all sizes of these ways and leaves no thread behind. */
export async function measurePages(
  lab: LabRun,
  ways: readonly Way[],
  places: readonly Place[],
): Promise<Series[]> {
  const [first] = places;
  if (!first) return [];
  return onCpu(first.backend, async () => {
    const load = new PageLoad(ways);
    try {
      await load.ready();
      return await lab.measure(pageCases(load, ways, places));
    } finally {
      await load.close();
    }
  });
}

/** Chart, table and verdicts of measured curves. */
export function judge(
  series: readonly Series[],
  places: readonly Place[],
): Pick<Findings, 'charts' | 'tables' | 'verdicts'> {
  const rows: (string | number)[][] = [];
  const verdicts: Verdict[] = [];
  const marks: { at: number; label: string }[] = [];
  for (const place of places) {
    const flip = seriesOf(series, curve('flip', place));
    const talk = TALK[place.name] ?? 0;
    marks.push({ at: talk, label: `talk’s break-even, ${place.name}` });
    const mapped = seriesOf(series, curve('mapped', place));
    const even = breakEven(mapped, flip);
    rows.push([place.name, WAYS.mapped, sizesOf(even), talk]);
    const free = breakEven(seriesOf(series, curve('pre-mapped', place)), flip);
    rows.push([place.name, WAYS['pre-mapped'], sizesOf(free), 'none: copy always cheaper']);
    verdicts.push(verdictOf(even, mapped, flip, place, talk));
    for (const one of even.crossings.filter(confirmed))
      marks.push({ at: Math.round(one.at), label: `here, ${place.name}` });
  }
  const chart: Chart = {
    title: 'Cost of a packet by its size',
    x: { label: 'packet size', unit: 'bytes', scale: 'log' },
    y: { label: 'back end’s time', unit: 'ns per packet', scale: 'log' },
    series,
    marks,
  };
  const table: Table = {
    title: 'Size from which the flip is cheaper',
    columns: ['guest on', 'against', 'here (bytes)', 'talk (bytes)'],
    rows,
  };
  return { charts: [chart], tables: [table], verdicts };
}

/** The order is beyond doubt on either side. */
const confirmed = (one: Crossing) => one.from !== undefined && one.to !== undefined;

/** For the table: `first` is the copy. */
function sizesOf(even: BreakEven): string {
  if (even.kind === 'none') return 'not measured';
  if (even.kind === 'first') return 'none: copy cheaper at every size';
  if (even.kind === 'second') return 'none: flip cheaper at every size';
  if (!even.crossings.every(confirmed)) return 'unclear';
  return even.crossings
    .map((one) => `${Math.round(one.at)}${one.above === 'first' ? ' (copy cheaper above)' : ''}`)
    .join(', ');
}

function verdictOf(even: BreakEven, copy: Series, flip: Series, place: Place, talk: number): Verdict {
  const on = `guest on the ${place.name}`;
  const sample = `a 1500-byte packet costs ${medianAt(copy, 1500)} ns copied and ${medianAt(flip, 1500)} ns flipped`;
  const [only] = even.crossings;
  if (even.kind === 'none')
    return { agrees: 'not comparable', sentence: `With the ${on}, nothing was measured.` };
  if (even.kind !== 'crossings') {
    const cheaper = even.kind === 'first' ? 'copying' : 'flipping';
    if (even.doubtful.length > 0)
      return {
        agrees: 'unclear',
        sentence: `With the ${on}, ${cheaper} looks cheaper at every size, but the intervals at ${bytesList(even.doubtful)} do not tell them apart.`,
      };
    return {
      agrees: 'differs',
      sentence: `With the ${on}, ${cheaper} is cheaper at every size measured when the page is mapped for each packet, so there is no break-even where the talk had ${talk} bytes: ${sample}.`,
    };
  }
  if (even.crossings.length > 1 || only === undefined || only.from === undefined || only.to === undefined)
    return {
      agrees: 'unclear',
      sentence: `With the ${on}, the curves cross at ${bytesList(even.crossings.map((one) => Math.round(one.at)))}, and the intervals do not say on which side each is cheaper.`,
    };
  const where = `${Math.round(only.at)} bytes (between ${only.from} and ${only.to})`;
  if (only.above === 'first')
    return {
      agrees: 'differs',
      sentence: `With the ${on}, flipping is cheaper below ${where} and copying above, the other way round than in the talk: ${sample}.`,
    };
  const near = only.at <= talk * NEAR && only.at >= talk / NEAR;
  return {
    agrees: near ? 'agrees' : 'differs',
    sentence: `With the ${on}, flipping is cheaper than a copy with map and unmap from ${where} on; the talk: ${talk} bytes.`,
  };
}
