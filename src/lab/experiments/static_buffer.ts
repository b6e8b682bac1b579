/** The talk's alternative: a static buffer between the ends, with two copies on receive. What does the second cost? */
import { BURST } from '../../../assembly/layout.js';
import { PAGE_TX_FIRST } from '../../netif/netfront_memory.js';
import type { TransferName } from '../../transfer/transfer.js';
import type { Case, Experiment, Findings, LabRun, Point, Series, Verdict } from '../experiment.js';
import { BurstLoad } from '../machine/burst_load.js';
import { type Guest, Machine } from '../machine/machine.js';

const SIZES = [64, 256, 512, 1024, 1500, 2048, 4096];
/** At which the sentences are said. */
const SIZE = 1500;
const TRANSFERS: readonly TransferName[] = ['persistent', 'static', 'grant-copy'];
const ROUNDS = { quick: 150, full: 600 } as const;
const ARENA = 1 << 28;
/** Guests use their pages in turn, a ring's worth of them on either side. */
const TURNS = 256 / BURST;

const variantOf = (transfer: TransferName, copies: 1 | 2) =>
  `${transfer}, ${copies === 1 ? 'one copy' : 'two copies'}`;

export const staticBuffer: Experiment = {
  name: 'static-buffer',
  title: 'A static buffer: one copy against two',
  question: 'What does the second copy of a static buffer cost on receive?',
  talk: 'A static buffer between netfront and netback, with two copies on receive: probably simpler to implement, but with higher cost.',

  missing: () => undefined,

  async run(lab: LabRun): Promise<Findings> {
    const loads: ReceiveLoad[] = [];
    try {
      const whole: Case[] = [];
      const alone: Case[] = [];
      for (const transfer of TRANSFERS) {
        for (const copies of [1, 2] as const) {
          const load = new ReceiveLoad(transfer, copies === 2);
          loads.push(load);
          for (const x of SIZES)
            whole.push({
              variant: variantOf(transfer, copies),
              x,
              sample: () => load.sample(x, ROUNDS[lab.effort]).both,
            });
          if (copies === 2) continue;
          for (const x of SIZES)
            alone.push({ variant: transfer, x, sample: () => load.sample(x, ROUNDS[lab.effort]).backend });
        }
      }
      lab.note('frames guest to guest: the back end and the receiving guest');
      const both = await lab.measure(whole);
      lab.note('the back end alone');
      return findings(both, await lab.measure(alone));
    } finally {
      for (const load of loads) load.close();
    }
  },
};

/** Frames from one guest to another through one back end; one thread plays all three. */
class ReceiveLoad {
  readonly #machine = new Machine(ARENA);
  readonly #from: Guest;
  readonly #to: Guest;
  readonly #load: BurstLoad;
  readonly #pages = new Uint32Array(BURST);
  #turn = 0;

  constructor(transfer: TransferName, copyOut: boolean) {
    this.#from = this.#machine.addGuest('sender', { transfer });
    this.#to = this.#machine.addGuest('receiver', { transfer });
    this.#load = new BurstLoad(this.#machine, copyOut);
    const { u8 } = this.#machine.arena;
    for (let i = 0; i < TURNS * BURST; i++) {
      const page = this.#from.ram + (PAGE_TX_FIRST + i) * 4096;
      u8.fill(i, page, page + 4096);
      u8.set(this.#to.mac, page);
      u8.set(this.#from.mac, page + 6);
    }
  }

  /** ns a frame: the back end's round, and that with what the receiving guest does. */
  sample(length: number, rounds: number): { backend: number; both: number } {
    let backend = 0;
    let guest = 0;
    for (let round = 0; round < rounds; round++) {
      const first = this.#from.ram + (PAGE_TX_FIRST + (this.#turn++ % TURNS) * BURST) * 4096;
      for (let i = 0; i < BURST; i++) this.#pages[i] = first + i * 4096;
      this.#load.send(this.#from, length, this.#pages);
      const t0 = performance.now();
      this.#machine.engine.round(1);
      const t1 = performance.now();
      this.#load.receive(this.#to, length);
      guest += performance.now() - t1;
      backend += t1 - t0;
    }
    const scale = 1e6 / (rounds * BURST);
    return { backend: backend * scale, both: (backend + guest) * scale };
  }

  close(): void {
    this.#machine.close();
  }
}

function findings(both: readonly Series[], alone: readonly Series[]): Findings {
  const bytes = { label: 'packet size', unit: 'bytes', scale: 'log' } as const;
  return {
    charts: [
      {
        title: 'Receiving a packet: back end and guest together',
        x: bytes,
        y: { label: 'time of both', unit: 'ns per packet', scale: 'linear' },
        series: both,
      },
      {
        title: 'The back end’s part of it',
        x: bytes,
        y: { label: 'back end’s time', unit: 'ns per packet', scale: 'linear' },
        series: alone,
      },
    ],
    tables: [
      {
        title: 'What the second copy adds',
        columns: ['transfer', 'bytes', 'one copy (ns)', 'two copies (ns)', 'more'],
        rows: TRANSFERS.flatMap((transfer) => SIZES.map((size) => row(both, transfer, size))),
      },
    ],
    verdicts: [secondCopy(both), simplerLookUp(alone)],
    method: [
      'Two guests and the back end in one process and on one thread: real rings, grants and copies; frames are queued untimed, the back end’s round and the receiving guest’s are timed.',
      `Bursts of ${BURST} frames out of ${TURNS * BURST} pages in turn.`,
      'One copy: the back end’s, into the page that the guest posted, which the guest hands on as it is and posts again later. Two copies: the guest copies the bytes out at once and posts the page again.',
      'static: pages are announced over netif’s control ring, mapped and pinned; no grant is looked at for a packet. persistent: the mapping cache compares the grant on each use. In an embedded guest the second copy is the kernel’s, when the tap is written.',
    ],
    missing: [],
  };
}

function row(both: readonly Series[], transfer: TransferName, size: number): (string | number)[] {
  const one = pointOf(both, variantOf(transfer, 1), size);
  const two = pointOf(both, variantOf(transfer, 2), size);
  if (!one || !two) return [transfer, size, '-', '-', '-'];
  return [transfer, size, Math.round(one.median), Math.round(two.median), moreBy(one, two)];
}

function secondCopy(both: readonly Series[]): Verdict {
  const one = pointOf(both, variantOf('persistent', 1), SIZE);
  const two = pointOf(both, variantOf('static', 2), SIZE);
  if (!one || !two || one.wide || two.wide || !(isLower(one, two) || isLower(two, one)))
    return {
      agrees: 'unclear',
      sentence: `At ${SIZE} bytes the intervals of a static buffer with two copies and of one copy into a mapped page do not tell them apart.`,
    };
  const figures = `${nanoseconds(two)} with two copies through a static buffer, ${nanoseconds(one)} with one copy into a page that stays mapped (${moreBy(one, two)})`;
  return isLower(one, two)
    ? { agrees: 'agrees', sentence: `The second copy costs: at ${SIZE} bytes ${figures}.` }
    : { agrees: 'differs', sentence: `The second copy does not show: at ${SIZE} bytes ${figures}.` };
}

/** What the talk hoped of it: simpler. What is saved is the look at the grant. */
function simplerLookUp(alone: readonly Series[]): Verdict {
  const cached = pointOf(alone, 'persistent', 64);
  const fixed = pointOf(alone, 'static', 64);
  if (!cached || !fixed || cached.wide || fixed.wide)
    return { agrees: 'unclear', sentence: 'The intervals at 64 bytes are too wide to compare the look-ups.' };
  const apart = isLower(fixed, cached) ? 'less' : isLower(cached, fixed) ? 'more' : 'no different';
  return {
    agrees: 'not comparable',
    sentence: `In the back end alone, a 64-byte packet through announced pages costs ${nanoseconds(fixed)} and through the mapping cache ${nanoseconds(cached)}: ${apart === 'no different' ? 'the look at the grant does not show' : `${apart}, for not looking at the grant`}.`,
  };
}

/** A measured point; undefined when there is none. */
export function pointOf(all: readonly Series[], variant: string, x: number | string): Point | undefined {
  return all.find((series) => series.variant === variant)?.points.find((point) => point.x === x);
}

/** Beyond doubt: the intervals do not touch. */
export function isLower(a: Point, b: Point): boolean {
  return a.high < b.low;
}

/** `+23 %`. */
export function moreBy(from: Point, to: Point): string {
  const percent = Math.round((100 * (to.median - from.median)) / from.median);
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent)} %`;
}

export function nanoseconds(point: Point): string {
  return `${point.median < 100 ? point.median.toFixed(1) : Math.round(point.median)} ns`;
}
