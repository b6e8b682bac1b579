import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import { openXenstore } from '../../src/xen/xenstore/client.js';
import type { XenStore } from '../../src/xen/xenstore.js';

/** The tools of Debian's xenstore-utils, and libxenstore in them, against our server. */
const TOOLS = ['ls', 'read', 'write', 'rm', 'list', 'exists', 'chmod', 'watch'].map((t) => `xenstore-${t}`);
const missing = TOOLS.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
const skip = missing.length > 0 ? `missing: ${missing.join(', ')} (Debian package xenstore-utils)` : false;

let directory: string;
let socketPath: string;
let server: Xenstored;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'netferry-xenstore-'));
  socketPath = join(directory, 'socket');
  server = new Xenstored();
  await server.listen(socketPath);
});

after(async () => {
  await server.close();
  assert.equal(existsSync(socketPath), false);
  await rm(directory, { recursive: true });
});

const env = () => ({ ...process.env, XENSTORED_PATH: socketPath });

/** A tool's output; rejects on an exit code other than 0. */
function tool(name: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(`xenstore-${name}`, args, { env: env(), timeout: 10_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`xenstore-${name} ${args.join(' ')}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}

describe('Debian’s xenstore tools', { skip }, () => {
  test('write, read, exists, list', async () => {
    await tool('write', '/tool/a', 'one', '/tool/b/c', 'two words');
    assert.equal(await tool('read', '/tool/a', '/tool/b/c'), 'one\ntwo words\n');
    assert.equal(await tool('read', '-p', '/tool/a'), '/tool/a: one\n');
    await tool('exists', '/tool/b');
    await assert.rejects(tool('exists', '/tool/none'));
    await assert.rejects(tool('read', '/tool/none'), /couldn't read path \/tool\/none/);
    assert.equal(await tool('list', '/tool/b'), 'c\n');
    assert.equal(await tool('list', '-p', '/tool/b'), '/tool/b/c\n');
    await tool('write', 'rel', 'x');
    assert.equal(await tool('read', '/local/domain/0/rel'), 'x\n');
  });

  test('ls -f -p shows the tree with paths and permissions', async () => {
    await tool('write', '/vm/u/name', 'guest');
    await tool('chmod', '/vm/u', 'n5', 'r6');
    assert.equal(await tool('ls', '-f', '-p', '/vm'), '/vm/u = ""   (n5,r6)\n/vm/u/name = "guest"   (n0)\n');
    assert.match(await tool('ls'), /^ u = ""$\n^ {2}name = "guest"$/m);
  });

  test('a directory of 2,000 children (DIRECTORY_PART)', async () => {
    const store = server.connect(0);
    const names = Array.from({ length: 2000 }, (_, i) => `n${i}`);
    await Promise.all(names.map((name) => store.write(`/tool/wide/${name}`, '')));
    assert.deepEqual((await tool('list', '/tool/wide')).trim().split('\n'), names);
    await store.rm('/tool/wide');
    store.close();
  });

  test('chmod -r reaches all below, rm -t the empty parents above', async () => {
    await tool('write', '/tool/x/y/z', '1');
    await tool('chmod', '-r', '/tool/x', 'n3', 'b4');
    for (const path of ['/tool/x', '/tool/x/y', '/tool/x/y/z']) {
      const shown = await tool('ls', '-f', '-p', path === '/tool/x/y/z' ? '/tool/x/y' : '/tool');
      assert.match(shown, new RegExp(`^${path} = .* \\(n3,b4\\)$`, 'm'));
    }
    await tool('write', '/tool/keep', '');
    await tool('rm', '-t', '/tool/x/y/z');
    await assert.rejects(tool('exists', '/tool/x'));
    await tool('exists', '/tool/keep');
    await tool('rm', '/tool/keep');
    await assert.rejects(tool('rm', '/tool/not/there'));
  });

  test('watch prints each change', async () => {
    const watcher: ChildProcess = spawn('xenstore-watch', ['-n', '3', '/tool/seen'], { env: env() });
    let output = '';
    watcher.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    const exited = once(watcher, 'exit');
    while (!output.includes('\n')) await once(watcher.stdout!, 'data');
    await tool('write', '/tool/seen/a', '1');
    await tool('rm', '/tool/seen');
    assert.deepEqual((await exited)[0], 0);
    assert.equal(output, '/tool/seen\n/tool/seen/a\n/tool/seen\n');
  });

  test('many at once, in transactions (each xenstore-write is one)', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => tool('write', `/tool/p/${i % 4}/${i}`, String(i))),
    );
    const store = server.connect(0);
    const counts = await Promise.all(
      [0, 1, 2, 3].map(async (i) => (await store.directory(`/tool/p/${i}`)).length),
    );
    assert.deepEqual(counts, [5, 5, 5, 5]);
    store.close();
  });
});

describe('the socket', () => {
  const clients: XenStore[] = [];
  after(() => {
    for (const client of clients) client.close();
  });

  test('is for its owner only, and speaks to our client', async () => {
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    const client = await openXenstore(socketPath);
    clients.push(client);
    await client.write('/tool/ours', 'é');
    assert.equal(await client.read('/tool/ours'), 'é');
  });

  test('in use, stale, missing: each its own outcome', async () => {
    const second = new Xenstored();
    await assert.rejects(second.listen(socketPath), { name: 'SetupError', message: /another xenstored/ });
    await assert.rejects(second.listen(join(directory, 'no', 'socket')), { name: 'SetupError' });
    await assert.rejects(second.listen(join(directory, 'x'.repeat(200))), { name: 'SetupError' });
    const file = join(directory, 'file');
    writeFileSync(file, 'not a socket');
    await assert.rejects(second.listen(file), { name: 'SetupError' });
    assert.equal(statSync(file).size, 12);
    await assert.rejects(openXenstore(join(directory, 'none')), {
      name: 'SetupError',
      message: /cannot connect/,
    });

    // A killed process leaves its socket behind.
    const stale = join(directory, 'stale');
    const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ['-e', script]);
    assert.equal(existsSync(stale), true);
    await second.listen(stale);
    clients.push(await openXenstore(stale));
    await second.close();
  });

  for (const [what, reply] of [
    ['an absurd length', Buffer.from('0200000001000000000000000000ffff', 'hex')],
    ['an answer nobody asked for', Buffer.from('02000000ff0000000000000000000000', 'hex')],
    ['an answer of another type', Buffer.from('03000000010000000000000000000000', 'hex')],
    ['an error without a name', Buffer.from('10000000010000000000000002000000ff00', 'hex')],
    ['an event without a token', Buffer.from('0f000000000000000000000002000000ff00', 'hex')],
    ['the end in mid-header', Buffer.from('020000', 'hex')],
  ] as const) {
    test(`a server that sends ${what} fails every request, once`, async () => {
      const path = join(directory, 'broken');
      const broken = createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.end(reply));
      });
      await new Promise<void>((resolve) => broken.listen(path, resolve));
      const client = await openXenstore(path);
      const outcomes = await Promise.allSettled([
        client.read('/a'),
        client.read('/b'),
        client.directory('/c'),
      ]);
      for (const outcome of outcomes) {
        assert.equal(outcome.status, 'rejected');
        assert.match(outcome.status === 'rejected' ? outcome.reason.code : '', /^(EPROTO|ENOTCONN)$/);
      }
      await client.closed;
      await new Promise((resolve) => broken.close(resolve));
    });
  }
});
