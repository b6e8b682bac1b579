/** What passes between host and dom0: a plan in a file of the image, and lines of JSON on a serial port. */

/** What a scenario needs of the machine. Scenarios with equal needs share a boot. */
export interface Boot {
  /** Default: xenstored. */
  readonly xenstored?: 'xenstored' | 'oxenstored';
  /** The machine's CPUs, all of them dom0's. Default: 1. */
  readonly cpus?: number;
  /** MiB of the machine and of dom0. Defaults: 3072 and 1280. */
  readonly memory?: number;
  readonly dom0Memory?: number;
  /** With AMD's SVM, emulated: HVM and PVH guests can be made. Default: no. */
  readonly hvm?: boolean;
  /**
   * Time is a count of instructions: however busy this machine is, no time limit in dom0 or a guest sees it, and
   * figures are the same each time. Default: yes.
   */
  readonly counted?: boolean;
  /** Any word: scenarios that change the machine for good get a boot of their own by it. */
  readonly alone?: string;
}

/** `/lab/plan.json` in dom0. */
export interface Plan {
  readonly scenarios: readonly string[];
  /** What carries guests where a scenario leaves it open. */
  readonly backend: 'netferry' | 'kernel';
  /** What a scenario can be told (`--set NAME=VALUE`): `lab.setting`. */
  readonly settings: Readonly<Record<string, string>>;
}

export type Outcome = 'passed' | 'failed' | 'skipped';

/** From dom0, one a line. */
export type Report =
  /** The agent runs; versions as `xl info` and `uname` have them. */
  | { readonly type: 'up'; readonly uptime: number; readonly xen: string; readonly kernel: string }
  | { readonly type: 'begin'; readonly scenario: string }
  | { readonly type: 'step'; readonly scenario: string; readonly text: string }
  | {
      readonly type: 'end';
      readonly scenario: string;
      readonly outcome: Outcome;
      readonly seconds: number;
      /** Why, unless passed. */
      readonly message: string;
    }
  /** Figures that a scenario hands out, kept as NAME.json. */
  | { readonly type: 'figures'; readonly scenario: string; readonly name: string; readonly value: unknown }
  /** What a log file has grown by. */
  | { readonly type: 'log'; readonly file: string; readonly text: string }
  /** No more scenarios of this boot: all done, or `tainted` says why a fresh boot is wanted. */
  | { readonly type: 'done'; readonly tainted: string };

/** A line of the serial port, or undefined when it is none of ours. */
export function parseReport(line: string): Report | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' && 'type' in value ? (value as Report) : undefined;
  } catch {
    return undefined;
  }
}
