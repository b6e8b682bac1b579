/** What the benchmark prints: a line of a table for people, or with --json one object a line for programs. */
import { cpus, release } from 'node:os';
import { styleText } from 'node:util';

/** Where and how a figure was measured. Without it no figure means anything. */
export interface Conditions {
  node: string;
  kernel: string;
  cpu: string;
  cores: number;
  /** Repetitions whose median the value is; 1 for a single measurement. */
  repetitions: number;
  notes: string[];
}

/** One measured number. */
export interface Figure {
  name: string;
  /** In `unit`. null: not measured, and `skipped` says why. */
  value: number | null;
  unit: string;
  /** `≤ 100`, `≥ 0.6`; words may follow the number. */
  goal: string | undefined;
  /** Whether the goal was met; undefined without a goal, or not measured. */
  ok: boolean | undefined;
  skipped: string | undefined;
  conditions: Conditions;
}

/** What a caller of the reporter gives; the rest is filled in. */
export interface Measured {
  name: string;
  value: number;
  unit: string;
  goal?: string;
  repetitions?: number;
  notes?: string[];
}

/** Whether `value` meets `goal`. Throws RangeError on a goal that does not begin `≤ 1`, `<= 1`, `< 1` (or ≥ …). */
export function meets(goal: string, value: number): boolean {
  const parts = goal.match(/^(≤|<=|<|≥|>=|>)\s*(-?[\d.]+)/);
  const bound = Number(parts?.[2]);
  if (!parts || Number.isNaN(bound)) throw new RangeError(`a goal begins with ≤ or ≥ and a number: ${goal}`);
  switch (parts[1]) {
    case '≤':
    case '<=':
      return value <= bound;
    case '<':
      return value < bound;
    case '≥':
    case '>=':
      return value >= bound;
    default:
      return value > bound;
  }
}

/** This machine, now. */
export function conditions(repetitions = 1, notes: string[] = []): Conditions {
  const cores = cpus();
  return {
    node: process.version,
    kernel: release(),
    cpu: cores[0]?.model.trim() || 'unknown',
    cores: cores.length,
    repetitions,
    notes,
  };
}

/** Where lines go: a stream, or a test's array. */
export type Sink = (line: string) => void;

export interface ReporterOptions {
  /** One JSON object a line and no headings. */
  json?: boolean;
  /** Default: only when stdout is a terminal and NO_COLOR is unset. Never in JSON. */
  colour?: boolean;
  write?: Sink;
}

/** Takes figures as they come and prints each at once; remembers them for the exit code. */
export class Reporter {
  readonly figures: Figure[] = [];
  readonly #json: boolean;
  readonly #colour: boolean;
  readonly #write: Sink;
  #begun = false;

  constructor(options: ReporterOptions = {}) {
    this.#json = options.json ?? false;
    this.#colour = options.colour ?? (process.stdout.isTTY === true && !process.env.NO_COLOR);
    this.#write = options.write ?? ((line) => process.stdout.write(`${line}\n`));
  }

  /** Figures whose goal was missed. The benchmark's exit code is 1 if there are any. */
  get missed(): Figure[] {
    return this.figures.filter((f) => f.ok === false);
  }

  /** A heading over the figures that follow. */
  group(title: string): void {
    if (this.#json) return;
    if (!this.#begun) {
      const c = conditions();
      this.#write(this.#paint('dim', `${c.cpu}, ${c.cores} cores · Linux ${c.kernel} · Node ${c.node}`));
      this.#begun = true;
    }
    this.#write('');
    this.#write(this.#paint('bold', title));
  }

  /** A measured figure. Returns it completed, `ok` judged by its goal. */
  figure(m: Measured): Figure {
    return this.#add({
      name: m.name,
      value: m.value,
      unit: m.unit,
      goal: m.goal,
      ok: m.goal === undefined ? undefined : meets(m.goal, m.value),
      skipped: undefined,
      conditions: conditions(m.repetitions, m.notes),
    });
  }

  /** A figure that could not be measured here, and why. It neither meets nor misses its goal. */
  skip(name: string, unit: string, reason: string, goal?: string): Figure {
    return this.#add({
      name,
      value: null,
      unit,
      goal,
      ok: undefined,
      skipped: reason,
      conditions: conditions(),
    });
  }

  #add(figure: Figure): Figure {
    this.figures.push(figure);
    this.#write(this.#json ? jsonLine(figure) : this.#tableLine(figure));
    return figure;
  }

  #tableLine(f: Figure): string {
    const name = f.name.padEnd(NAME_WIDTH);
    if (f.value === null)
      return `  ${name} ${this.#paint('yellow', `skipped: ${f.skipped ?? 'no reason given'}`)}`;
    const value = `${formatValue(f.value).padStart(VALUE_WIDTH)} ${f.unit.padEnd(UNIT_WIDTH)}`;
    const goal = f.goal === undefined ? '' : ` goal ${f.goal}  ${this.#verdict(f.ok)}`;
    const reps = f.conditions.repetitions > 1 ? `median of ${f.conditions.repetitions}` : '';
    const notes = [reps, ...f.conditions.notes].filter((n) => n !== '').join('; ');
    return `  ${name} ${value}${goal}${notes ? `  ${this.#paint('dim', notes)}` : ''}`.trimEnd();
  }

  #verdict(ok: boolean | undefined): string {
    return ok ? this.#paint('green', 'ok') : this.#paint('red', 'MISSED');
  }

  #paint(style: 'bold' | 'dim' | 'green' | 'red' | 'yellow', text: string): string {
    return this.#colour ? styleText(style, text, { validateStream: false }) : text;
  }
}

const NAME_WIDTH = 46;
const VALUE_WIDTH = 9;
const UNIT_WIDTH = 9;

/** Every field on every line, null where there is nothing to say: a reader need not know which are optional. */
function jsonLine(f: Figure): string {
  const { name, value, unit, goal, ok, skipped } = f;
  return JSON.stringify({
    name,
    value,
    unit,
    goal: goal ?? null,
    ok: ok ?? null,
    skipped: skipped ?? null,
    conditions: f.conditions,
  });
}

/** Three significant digits or so, thousands grouped: `0.034`, `7.81`, `183`, `12,400`. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return Math.round(value).toLocaleString('en-US');
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return value.toPrecision(3).replace(/0+$/, '').replace(/\.$/, '');
}
