/** The control API's client: HTTP over the daemon's Unix socket (the contract is in api.ts). */
import { request } from 'node:http';
import { join } from 'node:path';
import { SetupError } from '../sys/errors.js';
import {
  type AttachRequest,
  CONTROL_SOCKET,
  type DownRequest,
  type GuestInfo,
  type LinkRequest,
  type Refusal,
  type Status,
  type Vif,
} from './api.js';
import { checkDirectory } from './directory.js';

/** Milliseconds the daemon has for an answer. */
const ANSWER_TIMEOUT = 10_000;
/** Bytes: more than any answer needs, and far less than would hurt us. */
const ANSWER_MAX = 16 << 20;

export interface ControlClientOptions {
  readonly directory: string;
  /** Whose directory it must be. */
  readonly uid: number;
  readonly timeout?: number;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Every method throws SetupError: the daemon's own refusal, or why it could not be asked. */
export class ControlClient {
  readonly #directory: string;
  readonly #uid: number;
  readonly #timeout: number;

  constructor(options: ControlClientOptions) {
    this.#directory = options.directory;
    this.#uid = options.uid;
    this.#timeout = options.timeout ?? ANSWER_TIMEOUT;
  }

  status(): Promise<Status> {
    return this.#json<Status>('GET', '/v1/status');
  }

  vifs(): Promise<Vif[]> {
    return this.#json<Vif[]>('GET', '/v1/vifs');
  }

  guests(): Promise<GuestInfo[]> {
    return this.#json<GuestInfo[]>('GET', '/v1/guests');
  }

  /** The guest called `name`; when there is none, the error lists those there are. */
  async guest(name: string): Promise<GuestInfo> {
    const [guest] = await this.named([name]);
    return guest;
  }

  /** The guests of these names, in this order, or an error about the first that is unknown. */
  async named(names: readonly string[]): Promise<GuestInfo[]> {
    const guests = await this.guests();
    const found = names.map((name) => guests.find((known) => known.name === name));
    const unknown = names.find((_, i) => found[i] === undefined);
    if (unknown === undefined) return found as GuestInfo[];
    const known = guests.map((one) => one.name).sort();
    throw new SetupError(
      `no guest is called ${JSON.stringify(unknown)}`,
      known.length > 0 ? `known: ${known.join(', ')}` : await this.#whereGuestsComeFrom(unknown),
    );
  }

  async #whereGuestsComeFrom(name: string): Promise<string> {
    const status = await this.status().catch(() => undefined);
    if (status?.platform === 'native') return 'the guests of a Xen host are its toolstack’s: xl list';
    return `there are none; start it: netferry guest run ${name}`;
  }

  /** Resolves once the guest is gone. */
  async removeGuest(name: string): Promise<void> {
    await this.#ask('DELETE', `/v1/guests/${encodeURIComponent(name)}`);
  }

  /** Makes an interface of the daemon's namespace a port. */
  attachPort(port: AttachRequest): Promise<Vif> {
    return this.#json<Vif>('POST', '/v1/ports', JSON.stringify(port));
  }

  /** By the port's name or its device's. */
  async detachPort(name: string): Promise<void> {
    await this.#ask('DELETE', `/v1/ports/${encodeURIComponent(name)}`);
  }

  /** Pulls the cable of a guest's vif, or puts it in again. */
  async setLink(name: string, request: LinkRequest): Promise<void> {
    await this.#ask('PUT', `/v1/vifs/${encodeURIComponent(name)}/link`, JSON.stringify(request));
  }

  /** Asks the daemon to end; resolves once it has said that it will. */
  async down(request: DownRequest): Promise<void> {
    await this.#ask('POST', '/v1/down', JSON.stringify(request));
  }

  // The daemon is of our own user and version; what it says is taken at its word once it is JSON.
  async #json<T>(method: string, path: string, content = ''): Promise<T> {
    const { body } = await this.#ask(method, path, content);
    const value = parse(body);
    if (value === null || typeof value !== 'object') throw this.#strange();
    return value as T;
  }

  async #ask(method: string, path: string, content = ''): Promise<Answer> {
    if (!checkDirectory(this.#directory, this.#uid)) throw this.#notRunning();
    const answer = await this.#exchange(method, path, content);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const refusal = parse(answer.body) as Partial<Refusal> | null;
    if (typeof refusal?.error !== 'string') throw this.#strange();
    throw new SetupError(refusal.error, typeof refusal.hint === 'string' ? refusal.hint : '');
  }

  #exchange(method: string, path: string, content: string): Promise<Answer> {
    const socketPath = join(this.#directory, CONTROL_SOCKET);
    return new Promise((resolve, reject) => {
      const question = request({ socketPath, method, path, agent: false, timeout: this.#timeout });
      question.on('timeout', () => {
        const seconds = this.#timeout / 1000;
        question.destroy(
          new SetupError(
            `the daemon in ${this.#directory} did not answer within ${seconds} s`,
            'is it stopped?',
          ),
        );
      });
      question.on('error', (cause) => reject(this.#explain(cause)));
      question.on('response', (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('error', (cause) => reject(this.#explain(cause)));
        response.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > ANSWER_MAX) question.destroy(this.#strange());
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      question.end(content);
    });
  }

  #explain(cause: Error): Error {
    if (cause instanceof SetupError) return cause;
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return this.#notRunning();
    if (code === 'EACCES' || code === 'EPERM') {
      return new SetupError(
        `you may not talk to the daemon in ${this.#directory}`,
        'it is another user’s: use sudo',
      );
    }
    if (code === 'ECONNRESET' || code === 'EPIPE') {
      return new SetupError(
        `the daemon in ${this.#directory} ended before it answered`,
        'start it: netferry up',
      );
    }
    return this.#strange(cause);
  }

  #notRunning(): SetupError {
    return new SetupError(`the daemon is not running in ${this.#directory}`, 'start it: netferry up');
  }

  #strange(cause?: Error): SetupError {
    return new SetupError(
      `what answers in ${this.#directory} does not speak this version's protocol`,
      'is it a netferry daemon of another version? restart it',
      cause && { cause },
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
