/** A stranger's program beside ours, in a process of its own (`foreign_main.ts`). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Mode } from '../../../src/hook/attachment.js';
import type { Side } from '../../../src/sys/traffic_control.js';
import type { Place } from '../../e2e/support/place.js';

const MAIN = fileURLToPath(new URL('./foreign_main.js', import.meta.url));

export class Foreign {
  /** The program's. */
  readonly id: number;
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  private constructor(child: ChildProcess, lines: Interface, id: number) {
    this.#child = child;
    this.#lines = lines;
    this.id = id;
  }

  static async start(place: Place, link: string, mode: Mode, side: Side = 'ingress'): Promise<Foreign> {
    const enter = ['--target', `${place.pid}`, '--net', '--', 'setpriv', '--pdeathsig', 'KILL', '--'];
    const child = spawn('nsenter', [...enter, process.execPath, MAIN, link, mode, side], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    return new Foreign(child, lines, Number(line.split(' ')[1]));
  }

  /** Frames it has seen. */
  async count(): Promise<number> {
    const answer = once(this.#lines, 'line');
    this.#child.stdin!.write('\n');
    const [line] = (await answer) as [string];
    return Number(line.split(' ')[1]);
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await gone;
  }
}
