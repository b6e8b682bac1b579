/** The control socket and clients that do not keep to HTTP, or to manners: the daemon goes on, and answers others. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestInfo } from '../../src/daemon/api.js';
import { CONNECTIONS_MAX, type Controlled, ControlServer } from '../../src/daemon/control_server.js';
import { UnknownPort } from '../../src/daemon/kernel_port.js';
import { until } from '../e2e/support/place.js';

/** ms for who does not read. */
const ANSWER_MOST = 500;
/** More than a socket holds. */
const many = Array.from({ length: 100_000 }, (_, i) => ({ name: `g${i}`, pid: i }) as GuestInfo);
const GET = 'GET /v1/vifs HTTP/1.1\r\nHost: x\r\n\r\n';

describe('the control socket', () => {
  let directory: string;
  let path: string;
  let server: ControlServer;
  let looks = 0;
  const clients: Socket[] = [];
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'netferry-control-'));
    path = join(directory, 'control.sock');
    const never = () => assert.fail('nobody asked for that');
    const daemon: Controlled = {
      status: never,
      vifs: () => {
        looks++;
        return [];
      },
      guests: () => many,
      removeGuest: never,
      setLink: never,
      attachPort: never,
      detachPort: async (name) => {
        throw new UnknownPort(`${name} is not attached`);
      },
      down: never,
    };
    server = new ControlServer(daemon, ANSWER_MOST);
    await server.listen(path);
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await server.close();
    rmSync(directory, { recursive: true });
  });

  function client(): Socket {
    const one = connect(path);
    one.on('error', () => {});
    clients.push(one);
    return one;
  }

  /** What comes back until the server closes, or for a while. */
  async function say(text: string, wait = 2000): Promise<string> {
    const one = client();
    let answer = '';
    one.setEncoding('latin1').on('data', (data: string) => {
      answer += data;
    });
    const closed = new Promise((resolve) => one.once('close', resolve));
    one.write(text, 'latin1');
    await Promise.race([closed, sleep(wait)]);
    one.destroy();
    return answer;
  }

  const answers = async () => assert.match(await say(GET), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\[\]\n/);

  test('what is no request, or names nothing, is refused', async () => {
    const head = (line: string) => `${line}\r\nHost: x\r\n\r\n`;
    for (const [text, status] of [
      ['\x00\xff\x16\x03\x01\r\n\r\n', 400],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
      [head('GET // HTTP/1.1'), 404],
      [head('GET http://[::1 HTTP/1.1'), 404],
      [head('OPTIONS * HTTP/1.1'), 404],
      [head('DELETE /v1/ports/%E0%A4%A HTTP/1.1'), 404],
      [head(`GET /${'x'.repeat(100_000)} HTTP/1.1`), 431],
      [`POST /v1/down HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnull`, 400],
      [`POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${'['.repeat(100_000)}`, 400],
    ] as const) {
      assert.match(await say(text), new RegExp(`^HTTP/1\\.1 ${status} `), text.slice(0, 40));
    }
    await answers();
  });

  test('many questions in a row by one who reads no answer', async () => {
    const before = looks;
    const rude = Array.from({ length: 20 }, () => client().pause());
    for (const one of rude) one.write(GET.repeat(2000));
    await until('each had its first', () => looks === before + rude.length);
    await answers();
    assert.equal(looks, before + rude.length + 1, 'and no more than that');
    for (const one of rude) one.destroy();
  });

  test('more connections than anybody needs: those that say nothing are closed, and there is room again', async () => {
    const silent = Array.from({ length: 2 * CONNECTIONS_MAX }, () => client().resume());
    const open = () => silent.filter(({ destroyed }) => !destroyed).length;
    await until('half of them are refused', () => open() <= CONNECTIONS_MAX);
    await until('all are closed', () => open() === 0, 10_000);
    await answers();
  });

  test('a long answer goes to who reads it, and is not kept for who does not', async () => {
    const whole = await say(GET.replace('vifs', 'guests'), 10_000);
    assert.match(whole.slice(-40), /"pid":99999\}\]\n\r\n0\r\n\r\n$/, 'all of it');
    const rude = client().pause();
    let got = 0;
    rude.on('data', (data) => {
      got += data.length;
    });
    rude.pause();
    rude.write(GET.replace('vifs', 'guests'));
    await sleep(4 * ANSWER_MOST);
    const ended = new Promise((resolve) => rude.once('close', resolve));
    rude.resume();
    await ended;
    assert.ok(got < whole.length, `${got} of ${whole.length} bytes`);
    await answers();
  });

  test('one who stops in the middle of a request', async () => {
    assert.match(await say('GET /v1/vifs HTTP/1.1\r\nHost:', 8000), /^HTTP\/1\.1 408 /);
    const one = client();
    one.write('POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"dev');
    await sleep(50);
    one.destroy();
    await answers();
  });
});
