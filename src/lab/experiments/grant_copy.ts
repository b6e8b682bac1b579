/**
 * The talk's next step: "Evaluate cost of new 'copy' grant mechanism. Only one hypercall does everything (map page,
 * copy, un-map page), less expensive than 'access' grant." Both move a page's bytes from a guest to the back end.
 */

import type { Case, Chart, Experiment, Findings, LabRun, Series, Table, Verdict } from '../experiment.js';
import { judge, pointOf, ratioOf, shown, together, withInterval } from '../intervals.js';
import { DomainWithPages, PAGES } from '../machine/granted_pages.js';

const LENGTHS = [64, 1500, 4096] as const;
const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;

const COPY = 'copy grant, one system call a batch';
const VIEW = 'copy grant, in the hypervisor’s view';
const ACCESS = 'access grant, page by page';
const ACCESS_BATCH = 'access grant, a batch mapped side by side';
const MAPPED = 'mapped already';

export const grantCopy: Experiment = {
  name: 'grant-copy',
  title: 'Copy grant against access grant',
  question: 'What does a page’s copy cost when one call does everything, and how much does a batch save?',
  talk: 'Only one hypercall does everything (map page, copy, un-map page): less expensive than “access” grant. The talk gives no figure; it is a next step.',
  measurements: LENGTHS.length,
  missing: () => undefined,
  run,
};

async function run(lab: LabRun): Promise<Findings> {
  const world = new DomainWithPages(false);
  const viewed = new DomainWithPages(true);
  try {
    const copies = lab.effort === 'quick' ? 256 : 1024;
    const charts: Chart[] = [];
    for (const length of LENGTHS) {
      lab.note(`copies of ${length} bytes`);
      const series = await lab.measure(casesOf(world, viewed, length, copies));
      charts.push({
        title: `${length} bytes: cost of one copy, by copies a call`,
        x: { label: 'copies in a batch', unit: '', scale: 'log' },
        y: { label: 'cost', unit: 'ns per copy', scale: 'log' },
        series,
      });
    }
    world.check();
    viewed.check();
    return {
      charts,
      tables: [tableOf(charts)],
      verdicts: [cheaper(charts), batching(charts)],
      method: METHOD,
      missing: [],
    };
  } finally {
    world.close();
    viewed.close();
  }
}

function casesOf(world: DomainWithPages, viewed: DomainWithPages, length: number, copies: number): Case[] {
  const access = Math.max(PAGES, copies / 4); // dearer by much: fewer of them take as long
  return BATCHES.flatMap((batch): Case[] => [
    { variant: COPY, x: batch, sample: () => world.copyGrant(length, batch, copies) },
    { variant: VIEW, x: batch, sample: () => viewed.copyGrant(length, batch, 4 * copies) },
    { variant: ACCESS, x: batch, sample: () => world.accessGrant(length, 1, access) },
    { variant: ACCESS_BATCH, x: batch, sample: () => world.accessGrant(length, batch, access) },
    { variant: MAPPED, x: batch, sample: () => world.mapped(length, batch, 4 * copies) },
  ]);
}

function tableOf(charts: readonly Chart[]): Table {
  return {
    title: 'ns per copy, alone and in batches of 64',
    columns: ['bytes', 'mechanism', 'alone', 'in batches of 64'],
    rows: charts.flatMap((chart, i) =>
      chart.series.map((s) => [
        LENGTHS[i],
        s.variant,
        ...[1, 64].map((batch) => Math.round(pointOf(chart.series, s.variant, batch).median)),
      ]),
    ),
  };
}

function cheaper(charts: readonly Chart[]): Verdict {
  const ratios = charts.flatMap(({ series }) => [1, 64].map((batch) => ratioAt(series, batch)));
  const parts = ratios.map((ratio) => {
    const side = judge(ratio, 1);
    return side === 'below' ? 'agrees' : side === 'above' ? 'differs' : 'unclear';
  });
  const agrees = together(parts);
  const single = ratioAt(charts[1].series, 1);
  const many = ratioAt(charts[1].series, 64);
  const figures = `at 1500 bytes a copy grant costs ${withInterval(single)} of an access grant when alone, ${withInterval(many)} in batches of 64`;
  if (agrees === 'unclear')
    return { agrees, sentence: `Somewhere intervals overlap or are too wide: ${figures}.` };
  const head =
    agrees === 'agrees'
      ? 'The copy grant is the cheaper one at every size, alone and in batches of 64'
      : 'The copy grant is not always the cheaper one';
  return { agrees, sentence: `${head}: ${figures}.` };
}

/** Copy grant ÷ access grant (the cheaper of its two forms). */
function ratioAt(series: readonly Series[], batch: number) {
  const [a, b] = [ACCESS, ACCESS_BATCH].map((variant) => pointOf(series, variant, batch));
  return ratioOf(pointOf(series, COPY, batch), a.median < b.median ? a : b);
}

function batching(charts: readonly Chart[]): Verdict {
  const { series } = charts[1];
  const alone = pointOf(series, COPY, 1);
  const batch = pointOf(series, COPY, 64);
  const saved = ratioOf(batch, alone);
  const floor = pointOf(series, MAPPED, 64);
  const view = pointOf(series, VIEW, 64);
  const bare = `between pages that are mapped already it takes ${shown(floor.median)} ns`;
  const rest = `in the hypervisor’s own view, which needs no call, a copy takes ${shown(view.median)} ns; ${bare}`;
  return {
    agrees: 'not comparable',
    sentence:
      judge(saved, 1) === 'unclear'
        ? `Whether batches help cannot be said: 64 a call cost ${withInterval(saved)} of one a call.`
        : `A call shared by 64 copies of 1500 bytes brings each from ${shown(alone.median)} to ${shown(batch.median)} ns; ${rest}. The talk did not batch.`,
  };
}

const METHOD = [
  'One embedded domain of this process, 256 granted pages used in turn; the back end copies from them into pages of its own, on one thread.',
  'Copy grant, one system call a batch: the transfer grant-copy where the hypervisor has no view of the domain’s RAM. Entries are checked and marked in WebAssembly, one process_vm_readv(2) copies the batch, the marks are taken off. It stands for GNTTABOP_copy, one hypercall for everything; verdicts are about it.',
  'Copy grant, in the hypervisor’s view: the same, but the RAM is mapped for the hypervisor once and for all and the copy needs no system call; the grants are checked and marked for every copy as before. It is what serves guests by grant-copy here, since the embedded hypervisor is a part of the daemon.',
  'Access grant: the grant is checked and marked, mmap(2) puts the page of the domain’s memory file into the back end’s address space, the bytes are copied, mmap(2) puts a zero page in its place, the mark is taken off. It stands for GNTTABOP_map_grant_ref and GNTTABOP_unmap_grant_ref; the page fault of the first access stands for what the hypervisor’s page table update costs.',
  'Page by page does that for each copy. Side by side maps a batch first, copies all of it and unmaps all with one call.',
  'Mapped already: the same copy loop where no grant is needed any more, the floor under both.',
];
