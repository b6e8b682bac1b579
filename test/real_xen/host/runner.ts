/** Scenarios over boots: those with equal needs share one, until one of them leaves it unusable. */
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

export interface Wanted {
  readonly name: string;
  readonly scenario: Scenario;
}

export class Runner {
  readonly #images: Images;
  readonly #results: Results;
  #machine: Machine | undefined;
  #boots = 0;
  #stopped = '';

  readonly #backend: Plan['backend'];

  constructor(images: Images, results: Results, backend: Plan['backend']) {
    this.#backend = backend;
    this.#images = images;
    this.#results = results;
  }

  async run(wanted: readonly Wanted[]): Promise<void> {
    const groups = new Map<string, Wanted[]>();
    for (const one of wanted) {
      const key = JSON.stringify(one.scenario.boot ?? {});
      groups.set(key, [...(groups.get(key) ?? []), one]);
    }
    writeGuestImage(this.#guestImage(), this.#images);
    for (const group of groups.values()) {
      for (let left = group; left.length > 0 && this.#stopped === ''; ) {
        await this.#boot(left[0].scenario.boot ?? {}, left);
        left = left.filter(({ name }) => !this.#results.has(name));
      }
    }
    for (const { name } of wanted) {
      if (!this.#results.has(name)) this.#fail(name, this.#stopped);
    }
  }

  /** Ends the running boot at once; the scenarios that have not ended fail by `reason`. */
  async stop(reason: string): Promise<void> {
    this.#stopped = reason;
    await this.#machine?.kill();
  }

  /** One boot for as many of these as it carries; at least the first has a result afterwards. */
  async #boot(boot: Boot, wanted: readonly Wanted[]): Promise<void> {
    const number = ++this.#boots;
    const folder = this.#results.bootFolder(number);
    const overlay = join(this.#results.folder, '.overlay.cpio');
    const plan = { scenarios: wanted.map(({ name }) => name), backend: this.#backend };
    writeOverlay(overlay, this.#guestImage(), boot, plan);
    this.#results.say(`boot ${number}${describe(boot)}: ${wanted.map(({ name }) => name).join(' ')}`);

    const begin = performance.now();
    let running: string | undefined;
    let deadline = begin + BOOT_LIMIT * 1000;
    let finished = false;
    const hear = (report: Report) => {
      switch (report.type) {
        case 'up': {
          const took = ((performance.now() - begin) / 1000).toFixed(0);
          this.#results.say(`  Xen ${report.xen}, Linux ${report.kernel}: up after ${took} s`);
          break;
        }
        case 'begin': {
          running = report.scenario;
          const { scenario } = wanted.find(({ name }) => name === running)!;
          deadline = performance.now() + (scenario.seconds + SILENCE) * 1000;
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
          deadline = performance.now() + SILENCE * 1000;
          this.#results.add(report);
          break;
        case 'done':
          finished = true;
          if (report.tainted !== '') this.#results.say(`  a fresh boot follows: ${report.tainted}`);
      }
    };
    const machine = await Machine.boot(this.#images, overlay, boot, folder, hear);
    this.#machine = machine;
    let ended: string | undefined;
    void machine.ended.then((how) => {
      ended = how;
    });
    while (ended === undefined && !finished && performance.now() < deadline) await sleep(100);
    await machine.kill();
    this.#machine = undefined;
    if (finished || this.#stopped !== '') return;
    const how = ended === undefined ? 'dom0 is silent' : `the machine ended (${ended || 'power-off'})`;
    const victim = running ?? wanted.find(({ name }) => !this.#results.has(name))?.name;
    if (victim !== undefined) this.#fail(victim, `${how}; see ${folder}`);
  }

  #guestImage(): string {
    return join(this.#results.folder, '.guest.cpio');
  }

  #fail(scenario: string, message: string): void {
    this.#results.add({ scenario, outcome: 'failed', seconds: 0, message });
  }
}

function describe(boot: Boot): string {
  const needs = Object.entries(boot).map(([key, value]) => `${key} ${value}`);
  return needs.length > 0 ? ` (${needs.join(', ')})` : '';
}
