/** What the demo says: step by step, while bytes flow, and at the end. */
import { SingleBar } from 'cli-progress';
import type { PingReport, TransferReport } from './demo_traffic.js';
import { type Io, painter } from './io.js';
import { bitRate, bytes, dropsText, human, table } from './text.js';

export interface DemoReport {
  readonly ok: boolean;
  readonly network: readonly string[];
  readonly rootless: boolean;
  readonly transfer: string;
  readonly io: string;
  readonly pings: readonly PingReport[];
  readonly transfers: readonly TransferReport[];
  /** What the demo made and could not take away. */
  readonly left: readonly string[];
}

const LABEL_WIDTH = 16;
const label = (from: string, to: string) => `${from} → ${to}`.padEnd(LABEL_WIDTH);

/** Talks to people; says nothing when the answer is to be JSON. */
export class Narrator {
  readonly #io: Io;
  readonly #silent: boolean;
  readonly #paint: ReturnType<typeof painter>;

  constructor(io: Io, silent: boolean) {
    this.#io = io;
    this.#silent = silent;
    this.#paint = painter(io, io.stdout);
  }

  title(text: string): void {
    this.#say(`\n${this.#paint('bold', text)}`);
  }

  done(text: string): void {
    this.#say(`  ${this.#paint('green', '✓')} ${text}`);
  }

  failed(text: string): void {
    this.#say(`  ${this.#paint('red', '✗')} ${text}`);
  }

  ping({ from, to, address, sent, received, minimum, average }: PingReport): void {
    const times =
      minimum === null || average === null
        ? ''
        : `, ${minimum.toFixed(2)} ms at best, ${average.toFixed(2)} on average`;
    const text = `${label(from, to)} ${address.padEnd(20)} ${received} of ${sent} answered${times}`;
    if (received === sent) this.done(text);
    else this.failed(text);
  }

  /** A bar on a terminal, a line elsewhere. */
  startTransfer(
    from: string,
    to: string,
    seconds: number,
  ): { progress(bytes: number): void; end(report?: TransferReport): void } {
    const start = performance.now();
    const terminal = this.#io.stderr.isTTY === true && !this.#silent;
    const bar = terminal
      ? new SingleBar({
          format: `    ${label(from, to)} {bar} {amount}`,
          barCompleteChar: '█',
          barIncompleteChar: '░',
          barsize: 30,
          hideCursor: true,
          clearOnComplete: true,
          stream: this.#io.stderr as unknown as NodeJS.WritableStream,
          linewrap: null,
        })
      : undefined;
    bar?.start(seconds * 1000, 0, { amount: '' });
    return {
      progress: (amount) => {
        const elapsed = performance.now() - start;
        bar?.update(Math.min(elapsed, seconds * 1000), {
          amount: `${bytes(amount)}, ${bitRate((amount * 1000) / elapsed)}`,
        });
      },
      end: (report) => {
        bar?.stop();
        if (!report) return;
        const text = `${label(from, to)} ${bytes(report.bytes)} in ${report.seconds.toFixed(1)} s, ${bitRate(report.bytesPerSecond)}`;
        if (report.verified) this.done(`${text}, every byte as sent`);
        else this.failed(`${text}: not what was sent`);
      },
    };
  }

  transfers(reports: readonly TransferReport[]): void {
    const head = [
      'DIRECTION',
      'THROUGHPUT',
      'FRAMES',
      'AVG FRAME',
      'COPIES',
      'NOTIFICATIONS',
      'BACK-END CPU',
      'DROPS',
    ];
    const rows = reports.map((report) => [
      `${report.from} → ${report.to}`,
      bitRate(report.bytesPerSecond),
      human(report.frames),
      bytes(Math.round(report.averageFrame)),
      human(report.copies),
      human(report.notifications),
      `${report.cpuSecondsPerGb.toFixed(2)} s/GB`,
      dropsText(report.drops),
    ]);
    this.#say(
      `\n${table(
        head.map((name) => this.#paint('dim', name)),
        rows,
        [1, 2, 3, 4, 5, 6],
      )}`.trimEnd(),
    );
  }

  #say(text: string): void {
    if (!this.#silent) this.#io.stdout.write(`${text}\n`);
  }
}
