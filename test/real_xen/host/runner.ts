/** Scenarios over boots: those with equal needs share one, until one of them leaves it unusable. Boots may run side by side. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Boot, Plan, Report } from '../protocol.js';
import type { Scenario } from '../scenario.js';
import type { Images } from './images.js';
import { Machine } from './machine.js';
import { writeGuestImage, writeOverlay } from './overlay.js';
import type { Results } from './results.js';

/** Seconds from power-on until the agent reports; a loaded machine takes several times what a quiet one does. */
const BOOT_LIMIT = 300;
/** Seconds of silence from dom0 beyond a scenario's own limit. */
const SILENCE = 120;
/** Seconds here that one second of counted time may take. */
const COUNTED = 6;

/** Scenarios that are worth a boot of their own where there is a job for it. */
const DEALT = 3;

export interface Wanted {
  readonly name: string;
  readonly scenario: Scenario;
}

export class Runner {
  readonly #images: Images;
  readonly #results: Results;
  readonly #machines = new Set<Machine>();
  #boots = 0;
  #stopped = '';

  readonly #conditions: Omit<Plan, 'scenarios'>;

  constructor(images: Images, results: Results, conditions: Omit<Plan, 'scenarios'>) {
    this.#conditions = conditions;
    this.#images = images;
    this.#results = results;
  }

  /** `jobs` boots at a time at most. */
  async run(wanted: readonly Wanted[], jobs: number): Promise<void> {
    writeGuestImage(this.#guestImage(), this.#images);
    const queue = share(wanted, jobs);
    const worker = async () => {
      for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
        for (let left = group; left.length > 0 && this.#stopped === ''; ) {
          await this.#boot(left[0].scenario.boot ?? {}, left);
          left = left.filter(({ name }) => !this.#results.has(name));
        }
      }
    };
    await Promise.all(Array.from({ length: jobs }, worker));
    for (const { name } of wanted) {
      if (!this.#results.has(name)) this.#fail(name, this.#stopped);
    }
  }

  /** Ends the running boots at once; the scenarios that have not ended fail by `reason`. */
  async stop(reason: string): Promise<void> {
    this.#stopped = reason;
    await Promise.all([...this.#machines].map((machine) => machine.kill()));
  }

  /** One boot for as many of these as it carries; at least the first has a result afterwards. */
  async #boot(boot: Boot, wanted: readonly Wanted[]): Promise<void> {
    const number = ++this.#boots;
    const folder = this.#results.bootFolder(number);
    const overlay = join(this.#results.folder, `.overlay-${number}.cpio`);
    const plan = { scenarios: wanted.map(({ name }) => name), ...this.#conditions };
    writeOverlay(overlay, this.#guestImage(), boot, plan);
    this.#results.say(`boot ${number}${describe(boot)}: ${wanted.map(({ name }) => name).join(' ')}`);

    const begin = performance.now();
    let running: string | undefined;
    const slowness = boot.counted === false ? 1 : COUNTED;
    let deadline = begin + BOOT_LIMIT * 1000 * slowness;
    let finished = false;
    let since = begin;
    const hear = (report: Report) => {
      switch (report.type) {
        case 'up': {
          const took = ((performance.now() - begin) / 1000).toFixed(0);
          this.#results.say(
            `  boot ${number}: Xen ${report.xen}, Linux ${report.kernel}: up after ${took} s`,
          );
          break;
        }
        case 'begin': {
          running = report.scenario;
          since = performance.now();
          const { scenario } = wanted.find(({ name }) => name === running)!;
          deadline = performance.now() + (scenario.seconds + SILENCE) * 1000 * slowness;
          break;
        }
        case 'step':
          this.#results.say(`  ${report.scenario}: ${report.text}`);
          break;
        case 'figures':
          this.#results.figures(report.name, report.value);
          break;
        case 'log':
          this.#results.log(folder, report.file, report.text);
          break;
        case 'end':
          running = undefined;
          deadline = performance.now() + SILENCE * 1000 * slowness;
          this.#results.add({ ...report, here: (performance.now() - since) / 1000 });
          break;
        case 'done':
          finished = true;
          if (report.tainted !== '') this.#results.say(`  a fresh boot follows: ${report.tainted}`);
      }
    };
    const machine = await Machine.boot(this.#images, overlay, boot, folder, hear);
    rmSync(overlay);
    this.#machines.add(machine);
    if (this.#stopped !== '') await machine.kill();
    let ended: string | undefined;
    void machine.ended.then((how) => {
      ended = how;
    });
    while (ended === undefined && !finished && performance.now() < deadline) await sleep(100);
    await machine.kill();
    this.#machines.delete(machine);
    if (finished || this.#stopped !== '') return;
    const how = ended === undefined ? 'dom0 is silent' : `the machine ended (${ended || 'power-off'})`;
    const victim = running ?? wanted.find(({ name }) => !this.#results.has(name))?.name;
    if (victim !== undefined) this.#fail(victim, `${how}; see ${folder}`);
  }

  #guestImage(): string {
    return join(this.#results.folder, '.guest.cpio');
  }

  #fail(scenario: string, message: string): void {
    this.#results.add({ scenario, outcome: 'failed', seconds: 0, here: 0, message });
  }
}

/** Groups with equal needs, the longest first; with several jobs a long one is dealt out to as many boots. */
function share(wanted: readonly Wanted[], jobs: number): Wanted[][] {
  const groups = new Map<string, Wanted[]>();
  for (const one of wanted) {
    const key = JSON.stringify(one.scenario.boot ?? {});
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const parts = [...groups.values()].flatMap((group) => {
    const hands: Wanted[][] = Array.from(
      { length: Math.min(jobs, Math.ceil(group.length / DEALT)) },
      () => [],
    );
    for (const one of group.toSorted((a, b) => b.scenario.seconds - a.scenario.seconds)) {
      hands.toSorted((a, b) => seconds(a) - seconds(b))[0].push(one);
    }
    return hands;
  });
  return parts.toSorted((a, b) => seconds(b) - seconds(a));
}

function seconds(group: readonly Wanted[]): number {
  return group.reduce((sum, { scenario }) => sum + scenario.seconds, 0);
}

function describe(boot: Boot): string {
  const needs = Object.entries(boot).map(([key, value]) => `${key} ${value}`);
  return needs.length > 0 ? ` (${needs.join(', ')})` : '';
}
