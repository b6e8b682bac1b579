/** Transmit: the guest's page mapped for each packet, copied by grant, found in a table of mappings, or static. */
import { BURST } from '../../../assembly/layout.js';
import { CACHE_PAGES } from '../../transfer/persistent.js';
import { TRANSFER_NAMES, type TransferName } from '../../transfer/transfer.js';
import type { Case, Experiment, Findings, LabRun, Series, Table, Verdict } from '../experiment.js';
import { type Granting, TransmitLoad } from '../machine/transmit_load.js';
import { isLower, nanoseconds, pointOf } from './static_buffer.js';

const SIZES = [64, 256, 512, 1024, 1500, 2048, 4096];
const SIZE = 1500;
/** Percent of packets whose page was not used lately. */
const FRESH = [0, 1, 5, 20, 50, 100];
/** The share at which the cache is judged: few allocations of a busy sender miss its CPU's own list. */
const LIKELY = 5;
const ROUNDS = { quick: 60, full: 300 } as const;
const GRANTINGS: readonly Granting[] = ['kept', 'anew'];

/** Mapping for each packet, where this build has it. */
const MAP = TRANSFER_NAMES.find((name: string) => name === 'map');
const TRANSFERS = TRANSFER_NAMES.filter((name: string) =>
  ['map', 'grant-copy', 'persistent', 'static'].includes(name),
);

const cached = (granting: Granting) => `persistent, references ${granting}`;

/** Share of look-ups that found the page mapped, by way of granting and percent of fresh pages. */
type HitRates = Map<string, number>;

export const transmit: Experiment = {
  name: 'transmit',
  title: 'Transmit: what mapping the guest’s page for each packet costs',
  question:
    'What does a transmitted packet cost when its page is mapped for it, copied by grant, found among mapped ones, or static; and how often is it found?',
  talk: 'Removing page mapping and unmapping for each packet should always help; there is no copy cost on the transmit path. A table of current mappings will likely be hit, because guests re-use their pages.',

  missing: () => undefined,

  async run(lab: LabRun): Promise<Findings> {
    const rounds = ROUNDS[lab.effort];
    const loads: TransmitLoad[] = [];
    const open = (transfer: TransferName, granting: Granting) => {
      const load = new TransmitLoad(transfer, granting, randomSource(loads.length + 1));
      loads.push(load);
      return load;
    };
    try {
      lab.note('packets by their size');
      const sizes: Case[] = [];
      const others = new Map<TransferName, TransmitLoad>();
      for (const transfer of TRANSFERS) {
        const load = open(transfer, 'kept');
        if (transfer !== 'persistent') others.set(transfer, load);
        for (const x of SIZES) sizes.push({ variant: transfer, x, sample: () => load.sample(x, rounds) });
      }
      const bySize = await lab.measure(sizes);

      lab.note('packets by how the guest uses its pages');
      const shares: Case[] = [];
      const rates: HitRates = new Map();
      for (const x of FRESH) {
        for (const granting of GRANTINGS) {
          const load = open('persistent', granting);
          load.allocate(x / 100);
          shares.push({
            variant: cached(granting),
            x,
            sample: () => watched(load, rounds, granting, x, rates),
          });
        }
        for (const [transfer, load] of others)
          shares.push({
            variant: transfer,
            x,
            sample: () => {
              load.allocate(x / 100);
              return load.sample(SIZE, rounds);
            },
          });
      }
      return findings(bySize, await lab.measure(shares), rates);
    } finally {
      for (const load of loads) load.close();
    }
  },
};

/** A sample of a cache, whose hit rate in it is kept; the last one's is the steady state. */
function watched(load: TransmitLoad, rounds: number, granting: Granting, x: number, rates: HitRates): number {
  const before = load.counters.cache;
  const time = load.sample(SIZE, rounds);
  const { hits, misses } = load.counters.cache;
  const looked = hits - before.hits + misses - before.misses;
  rates.set(`${granting} ${x}`, looked === 0 ? 0 : (hits - before.hits) / looked);
  return time;
}

function findings(bySize: readonly Series[], byShare: readonly Series[], rates: HitRates): Findings {
  const time = { label: 'back end’s time', unit: 'ns per packet', scale: 'log' } as const;
  return {
    charts: [
      {
        title: 'A transmitted packet by its size, pages used again at once',
        x: { label: 'packet size', unit: 'bytes', scale: 'log' },
        y: time,
        series: bySize,
      },
      {
        title: `A transmitted packet of ${SIZE} bytes by how the guest uses its pages`,
        x: { label: 'packets whose page was not used lately', unit: '%', scale: 'linear' },
        y: time,
        series: byShare,
      },
    ],
    tables: [hitTable(byShare, rates)],
    verdicts: [alwaysHelps(bySize), likelyHit(byShare, rates)],
    method: [
      'The back end alone, timed: its rounds pull a burst out of a real ring and give it to a port that takes addresses without reading the bytes, as a card does by DMA. The first 128 bytes of each packet are always copied, because they are looked at.',
      `Bursts of ${BURST} packets of one page each; all of a burst are answered before the next is sent.`,
      'map: each packet’s page is mapped for it and unmapped. grant-copy: a burst is brought into the back end’s memory by one call. persistent: pages stay mapped, a table says where. static: pages were announced once.',
      'Pages come from an allocator like a Linux kernel’s: a list of the CPU’s own (512 pages, last in, first out; 63 go back at a time) over a pool of 5120 pages, first in, first out. The share of fresh pages is that of allocations served by the pool.',
      `The table of mappings holds ${CACHE_PAGES} pages, least recently used out. References kept: each page has one for good. Granted anew: each packet takes a reference from a free list (last in, first out) and gives it back, as Linux netfront does.`,
    ],
    missing: MAP ? [] : ['Mapping for each packet: this build has no transfer of that name.'],
  };
}

function hitTable(byShare: readonly Series[], rates: HitRates): Table {
  const rows = FRESH.flatMap((x) =>
    GRANTINGS.map((granting) => {
      const rate = rates.get(`${granting} ${x}`);
      const point = pointOf(byShare, cached(granting), x);
      return [`${x} %`, granting, percent(rate), point ? Math.round(point.median) : '-'];
    }),
  );
  return {
    title: 'How often the page is found mapped',
    columns: ['fresh pages', 'references', 'hit rate', 'ns per packet'],
    rows,
  };
}

function alwaysHelps(bySize: readonly Series[]): Verdict {
  if (!MAP)
    return {
      agrees: 'not comparable',
      sentence:
        'Mapping for each packet was not measured, so there is nothing to compare the table of mappings with.',
    };
  const better: number[] = [];
  const worse: number[] = [];
  for (const x of SIZES) {
    const [map, table] = [pointOf(bySize, MAP, x), pointOf(bySize, 'persistent', x)];
    if (!map || !table || map.wide || table.wide) continue;
    if (isLower(table, map)) better.push(x);
    if (isLower(map, table)) worse.push(x);
  }
  const [map, table] = [pointOf(bySize, MAP, SIZE), pointOf(bySize, 'persistent', SIZE)];
  const figures =
    map && table ? `${nanoseconds(map)} mapped for it, ${nanoseconds(table)} found mapped` : 'not measured';
  if (worse.length > 0)
    return {
      agrees: 'differs',
      sentence: `Mapping for each packet is cheaper at ${worse.join(', ')} bytes (at ${SIZE} bytes: ${figures}).`,
    };
  if (better.length < SIZES.length)
    return {
      agrees: 'unclear',
      sentence: `The intervals tell mapped packets and found ones apart at ${better.join(', ') || 'no'} bytes only.`,
    };
  return {
    agrees: 'agrees',
    sentence: `Not mapping for each packet helps at every size; a packet of ${SIZE} bytes costs ${figures}.`,
  };
}

function likelyHit(byShare: readonly Series[], rates: HitRates): Verdict {
  const rate = rates.get(`kept ${LIKELY}`);
  const anew = rates.get(`anew ${LIKELY}`);
  const table = pointOf(byShare, cached('kept'), LIKELY);
  const other = pointOf(byShare, MAP ?? 'grant-copy', LIKELY);
  if (rate === undefined || !table || !other)
    return { agrees: 'unclear', sentence: 'How often a page is found mapped was not measured.' };
  // The rates are counts of look-ups, not estimates; only the times have intervals.
  const found = `With ${LIKELY} % of packets in pages not used lately, the page is found mapped ${percent(rate)} of the time (${percent(anew)} when it is granted anew for each packet)`;
  const wide = table.wide || other.wide ? ', by intervals too wide for a comparison' : '';
  const costs = `${nanoseconds(table)} a packet, against ${nanoseconds(other)} with ${MAP ? 'a mapping for each' : 'grant copies'}${wide}`;
  return { agrees: rate >= 0.5 ? 'agrees' : 'differs', sentence: `${found}: ${costs}.` };
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : `${(share * 100).toFixed(1)} %`;
}

/** Seeded (mulberry32), so that every run allocates alike. */
function randomSource(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
