/** A command line without a terminal, and a control socket with canned answers behind it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { Io } from '../../src/cli/io.js';
import { main } from '../../src/cli/main.js';
import { CONTROL_SOCKET, type GuestInfo, type Status, type Vif } from '../../src/daemon/api.js';

export const UID = process.getuid?.() ?? 0;

class Text extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `netferry ARGS` in this process. `stopAfter`: milliseconds until it is asked to end. */
export async function netferry(
  args: readonly string[],
  stopAfter?: number,
  env: Io['env'] = {},
  uid = UID,
): Promise<Outcome> {
  const stdout = new Text();
  const stderr = new Text();
  const io: Io = {
    stdout,
    stderr,
    env,
    uid,
    onStop: (listener) => {
      const timer = stopAfter === undefined ? undefined : setTimeout(() => listener('SIGINT'), stopAfter);
      return () => clearTimeout(timer);
    },
  };
  const code = await main(args, io);
  return { code, out: stdout.text, err: stderr.text };
}

/** A private directory that goes with the test. */
export function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'netferry-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Answers by `METHOD path`; a function is asked each time. */
export type Answers = Record<string, unknown>;

/** A daemon that only talks; returns its directory and what it was asked. */
export async function fakeDaemon(
  t: TestContext,
  answers: Answers,
): Promise<{ dir: string; asked: string[] }> {
  const dir = directory(t);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const question = `${request.method} ${request.url}`;
    asked.push(question);
    const canned = answers[question];
    const answer: unknown = typeof canned === 'function' ? canned() : canned;
    if (answer === undefined)
      response.writeHead(404).end(JSON.stringify({ error: `no ${question}`, hint: 'ask better' }));
    else if (answer === null) response.writeHead(204).end();
    else response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(join(dir, CONTROL_SOCKET), resolve));
  t.after(() => server.close());
  return { dir, asked };
}

export const STATUS: Status = {
  version: '9.9.9', pid: 4711, uptime: 93784, directory: '/run/netferry', platform: 'embedded', xen: null,
  host: { name: 'nf0', mac: '02:00:00:00:00:01', addresses: ['10.1.0.1/24'], mtu: 1500 },
  uplink: null, crossing: null,
  guests: 1, vifs: 2, transfer: 'persistent', io: 'io_uring', rss: 98_500_000,
  threads: [{ ports: 3, received: 0, handedOver: 0, drops: {} }], rootless: false,
}; // biome-ignore format: one page

export const WEB: GuestInfo = {
  name: 'web', domid: 3, pid: 4712, mac: '02:00:00:00:00:02', addresses: ['10.1.0.2/24'], mtu: 1500,
  state: 'connected', transfer: 'grant-copy',
}; // biome-ignore format: one page

export function vif(frames: number, drops: Record<string, number> = {}): Vif {
  const side = { frames, bytes: frames * 1000, gso: 0, limited: 0 };
  return {
    name: 'web/0',
    kind: 'netif',
    guest: 'web',
    domid: 3,
    mac: WEB.mac,
    macs: [WEB.mac],
    addresses: WEB.addresses,
    mtu: 1500,
    state: 'connected',
    reason: null,
    carrier: true,
    transfer: 'grant-copy',
    counters: {
      in: side,
      out: { ...side, waits: 0, segmented: 0, checksums: 0 },
      copies: { count: frames, bytes: frames * 1000 },
      cache: { hits: 0, misses: 0, evictions: 0, copied: 0 },
      control: { requests: 0, refused: 0, multicast: 0 },
      hashed: 0,
      notifications: 5,
      blocked: 0,
      events: 6,
      drops,
    },
  };
}
