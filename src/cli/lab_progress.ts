/** What a person sees of the lab while it runs: a bar on a terminal, plain lines elsewhere, both on stderr. */
import { SingleBar } from 'cli-progress';
import type { LabProgress } from '../lab/runner.js';
import { type Io, painter } from './io.js';
import { clock } from './text.js';

const DRAW_MS = 100;
/** Elsewhere than on a terminal, a line as often as this says how far it is. */
const LINE_MS = 15_000;

const OUTCOMES = {
  done: ['green', '✓'],
  missing: ['yellow', '○'],
  failed: ['red', '✗'],
  stopped: ['yellow', '◦'],
} as const;

export interface LabScreen extends LabProgress {
  /** Takes the bar away. */
  close(): void;
}

export function labScreen(io: Io): LabScreen {
  const paint = painter(io, io.stderr);
  const bar = io.stderr.isTTY === true ? new Bar(io) : undefined;
  let name = '';
  let drawn = performance.now();
  const say = (text: string) => {
    bar?.hide();
    io.stderr.write(`${text}\n`);
    bar?.show();
  };
  return {
    begin(experiment, index, count) {
      name = experiment.name;
      if (bar) bar.step(`${index + 1}/${count} ${name}`);
      else say(`${index + 1}/${count} ${name}: ${experiment.title}`);
    },
    tick(done, secondsLeft) {
      const now = performance.now();
      if (now - drawn < (bar ? DRAW_MS : LINE_MS)) return;
      drawn = now;
      const left = `about ${clock(secondsLeft)} left`;
      if (bar) bar.move(done, left);
      else say(`  ${name}: ${Math.floor(done * 100)} % of all, ${left}`);
    },
    note(text) {
      if (bar) bar.note(text);
      else say(`  ${name}: ${text}`);
    },
    end(result) {
      const [colour, sign] = OUTCOMES[result.outcome];
      const what = result.outcome === 'done' ? `${result.seconds.toFixed(1)} s` : result.reason;
      say(`  ${paint(colour, sign)} ${result.name.padEnd(16)} ${what}`);
    },
    close: () => bar?.close(),
  };
}

/** One bar over the whole run, and what goes on beside it. Gone while lines are written above it. */
class Bar {
  readonly #bar: SingleBar;
  #step = '';
  #note = '';
  #left = '';
  #done = 0;

  constructor(io: Io) {
    this.#bar = new SingleBar({
      format: '  {bar} {percentage} %  {left}  {step}{note}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      gracefulExit: false, // the command ends by itself, and the terminal is its own
      stream: io.stderr as unknown as NodeJS.WritableStream,
    });
    this.show();
  }

  step(text: string): void {
    this.#step = text;
    this.#note = '';
    this.#draw();
  }

  note(text: string): void {
    this.#note = text === '' ? '' : `: ${text}`;
    this.#draw();
  }

  move(done: number, left: string): void {
    this.#done = done;
    this.#left = left;
    this.#draw();
  }

  show(): void {
    this.#bar.start(1000, this.#done * 1000, this.#payload());
  }

  hide(): void {
    this.#bar.stop();
  }

  close(): void {
    this.#bar.stop();
  }

  #draw(): void {
    this.#bar.update(Math.round(this.#done * 1000), this.#payload());
  }

  #payload() {
    return { step: this.#step, note: this.#note, left: this.#left };
  }
}
