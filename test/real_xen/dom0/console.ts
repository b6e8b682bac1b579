/**
 * Commands to a guest over its console: xenconsoled publishes it as a pty, and init/guest.sh reads a line
 * `NUMBER SECONDS COMMAND` and answers `@@begin NUMBER`, what the command says, `@@end NUMBER CODE`.
 *
 * The guest ends a command that takes too long itself, so its loop stays at work.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReadStream } from 'node:tty';
import { type Result, until, within } from './place.js';

/** Characters of the console that are kept: an answer must fit. */
const KEPT = 256 << 10;
/** Bytes of a line that a tty's line discipline takes (N_TTY_BUF_SIZE). */
const LINE_MAX = 4000;
/** Seconds that a command has beyond its own limit, before the guest is taken for dead. */
const GRACE = 20;
/** Milliseconds between two attempts to be heard by a guest that starts. */
const KNOCK = 500;

export class Console {
  readonly #what: string;
  readonly #fd: number;
  readonly #input: ReadStream;
  #text = '';
  #number = 0;
  #last: Promise<unknown> = Promise.resolve();
  #grown: () => void = () => {};
  #closed = false;
  readonly #gone: Promise<never>;
  #leave: (error: Error) => void = () => {};

  /** `tty` is the pty's path, from xenstore. */
  constructor(what: string, tty: string) {
    this.#what = what;
    this.#fd = openSync(tty, constants.O_RDWR | constants.O_NOCTTY);
    this.#input = new ReadStream(this.#fd);
    this.#input.setRawMode(true);
    this.#input.setEncoding('utf8');
    this.#input.on('data', (chunk: string) => {
      this.#text = (this.#text + chunk.replaceAll('\r', '')).slice(-KEPT);
      this.#grown();
    });
    this.#gone = new Promise((_, reject) => {
      this.#leave = reject;
    });
    this.#gone.catch(() => {});
    // The guest is gone, and the pty with it.
    for (const event of ['error', 'end']) this.#input.on(event, () => this.close());
  }

  /** Resolves once the guest's loop answers. */
  async ready(seconds: number): Promise<void> {
    let heard = false;
    const knock = async () => {
      while (!heard && !this.#closed) {
        this.#send(++this.#number, 5, 'true');
        await sleep(KNOCK);
      }
    };
    const answer = until('', () => /^@@end \d+ 0$/m.test(this.#text), seconds).catch(() => {
      throw this.#error(`did not answer within ${seconds} s of its start`);
    });
    await Promise.race([knock(), answer, this.#gone]);
    heard = true;
    await answer;
  }

  /** One at a time; later ones wait. */
  run(command: string, seconds: number): Promise<Result> {
    const answer = this.#last.then(() => this.#exchange(command, seconds));
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** The last lines, for an error's message. */
  tail(): string {
    return this.#text.slice(-1500);
  }

  /** Whoever waits for an answer gets an error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#input.destroy();
    this.#leave(this.#error('is gone'));
  }

  async #exchange(command: string, seconds: number): Promise<Result> {
    // The descriptor's number may be another file's by now.
    if (this.#closed) throw this.#error(`is gone: ${command}`);
    const number = ++this.#number;
    const end = new RegExp(`^@@begin ${number}\\n([^]*?)\\n?@@end ${number} (\\d+)$`, 'm');
    const answered = new Promise<Result>((resolve) => {
      this.#grown = () => {
        const found = this.#text.match(end);
        if (found) resolve({ code: Number(found[2]), stdout: found[1], stderr: '' });
      };
    });
    this.#send(number, seconds, command);
    try {
      const result = await within(seconds + GRACE, command, Promise.race([answered, this.#gone]));
      if (result.code === 143) throw this.#error(`${command}\nwas not done after ${seconds} s`);
      return result;
    } catch (error) {
      throw error instanceof Error && error.message.startsWith(this.#what)
        ? error
        : this.#error(`${command}\ngot no answer within ${seconds + GRACE} s`);
    } finally {
      this.#grown = () => {};
    }
  }

  #send(number: number, seconds: number, command: string): void {
    const line = `${number} ${seconds} ${command}\n`;
    if (command.includes('\n') || line.length > LINE_MAX) throw new Error(`not one short line: ${command}`);
    try {
      writeSync(this.#fd, line);
    } catch (error) {
      // Full while the guest does not read: the knock is repeated, a command fails by its time limit.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.close();
    }
  }

  #error(message: string): Error {
    return new Error(`${this.#what}: ${message}\nits console ends with:\n${this.tail()}`);
  }
}
