import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as xs from '../../src/abi/xs_wire.js';
import { streamPair } from '../../src/xen/embedded/xenstored/pair.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import { encodeMessage, type Message, MessageDecoder } from '../../src/xen/wire/message.js';
import { Random } from './xenstore_random.js';

const settle = async (turns = 20) => {
  for (let i = 0; i < turns; i++) await turn();
};

/** A domain that speaks bytes; what the server says is decoded as it comes. */
function raw(server: Xenstored, domid: number) {
  const [ours, theirs] = streamPair();
  const messages: Message[] = [];
  const decoder = new MessageDecoder();
  ours.on('error', () => {});
  ours.on('data', (chunk) => {
    decoder.push(chunk);
    for (let m = decoder.next(); m; m = decoder.next()) messages.push(m);
  });
  server.attach(domid, theirs);
  const ask = async (type: number, payload: string, txId = 0) => {
    const from = messages.length;
    ours.write(encodeMessage(type, 77, txId, Buffer.from(payload, 'latin1')));
    await settle();
    const answer = messages.slice(from).find((m) => m.type !== xs.XS_WATCH_EVENT);
    return answer && `${answer.type === xs.XS_ERROR ? 'ERROR ' : ''}${answer.payload.toString('latin1')}`;
  };
  return { stream: ours, messages, ask };
}

/** A domain that never reads: its stream takes `room` bytes and then is full for ever. */
class Deaf extends Duplex {
  taken = 0;
  readonly #room: number;
  constructor(room: number) {
    super();
    this.#room = room;
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.taken += chunk.length;
    if (this.taken < this.#room) callback();
  }
}

describe('requests of a guest', () => {
  test('error names are the C daemon’s', async () => {
    const server = new Xenstored();
    server.introduce(5);
    const guest = raw(server, 5);
    for (const [type, payload, answer] of [
      [xs.XS_READ, '/none\0', 'ERROR EACCES\0'],
      [xs.XS_READ, '/none', 'ERROR EINVAL\0'],
      [xs.XS_READ, '', 'ERROR EINVAL\0'],
      [xs.XS_READ, 'a\0b\0', 'ERROR EINVAL\0'],
      [xs.XS_READ, '/\xff\0', 'ERROR EINVAL\0'],
      [xs.XS_WRITE, 'no nul', 'ERROR EINVAL\0'],
      [xs.XS_WATCH, '/only-path\0', 'ERROR EINVAL\0'],
      [xs.XS_WATCH, 'w\0\xfftoken\0', 'OK\0'],
      [xs.XS_WATCH, 'w\0\xfftoken\0', 'ERROR EEXIST\0'],
      [xs.XS_UNWATCH, 'w\0other\0', 'ERROR ENOENT\0'],
      [xs.XS_SET_PERMS, '/\0', 'ERROR EINVAL\0'],
      [xs.XS_SET_PERMS, '/\0q1\0', 'ERROR EINVAL\0'],
      [xs.XS_SET_PERMS, '/\0b5\0', 'ERROR EACCES\0'],
      [xs.XS_DIRECTORY_PART, '/\0x\0', 'ERROR EINVAL\0'],
      [xs.XS_TRANSACTION_END, 'T\0', 'ERROR ENOENT\0'],
      [xs.XS_TRANSACTION_END, 'X\0', 'ERROR EINVAL\0'],
      [xs.XS_TRANSACTION_START, '\0', '1\0'],
      [xs.XS_GET_DOMAIN_PATH, '6\0', '/local/domain/6\0'],
      [xs.XS_GET_DOMAIN_PATH, '70000\0', 'ERROR EINVAL\0'],
      [xs.XS_RESET_WATCHES, '\0', 'OK\0'],
      [xs.XS_TRANSACTION_START, '\0', '2\0'],
      [xs.XS_WATCH_EVENT, '', 'ERROR ENOSYS\0'],
      [xs.XS_ERROR, '', 'ERROR ENOSYS\0'],
      [20, '', 'ERROR ENOSYS\0'],
      [0xffffffff, '', 'ERROR ENOSYS\0'],
    ] as const) {
      assert.equal(await guest.ask(type, payload), answer, `type ${type} ${JSON.stringify(payload)}`);
    }
    for (const type of [xs.XS_CONTROL, xs.XS_INTRODUCE, xs.XS_RELEASE, xs.XS_RESUME, xs.XS_SET_TARGET, 17]) {
      assert.equal(await guest.ask(type, '5\x001\x001\0'), 'ERROR EACCES\0', `type ${type}`);
    }
    assert.equal(await guest.ask(xs.XS_READ, 'x\0', 99), 'ERROR ENOENT\0');
    assert.equal(await guest.ask(xs.XS_TRANSACTION_START, '\0', 2), 'ERROR EBUSY\0');
    // Tokens are bytes, not text: they come back as they were.
    assert.equal(
      guest.messages.find((m) => m.type === xs.XS_WATCH_EVENT)?.payload.toString('latin1'),
      'w\0\xfftoken\0',
    );
    await server.close();
  });

  test('domain 0’s: control, introduce, release, target', async () => {
    const log: string[] = [];
    const server = new Xenstored({}, { log: (message) => log.push(message) });
    const dom0 = raw(server, 0);
    for (const [type, payload, answer] of [
      [xs.XS_CONTROL, '', 'ERROR EINVAL\0'],
      [xs.XS_CONTROL, 'explode\0', 'ERROR EINVAL\0'],
      [xs.XS_CONTROL, 'log\0on\0', 'OK\0'],
      [xs.XS_CONTROL, 'print\0hello\0', 'OK\0'],
      [xs.XS_IS_DOMAIN_INTRODUCED, '9\0', 'F\0'],
      [xs.XS_INTRODUCE, '9\x00123\x000\0', 'ERROR EINVAL\0'],
      [xs.XS_INTRODUCE, '9\x00123\x001\0', 'OK\0'],
      [xs.XS_IS_DOMAIN_INTRODUCED, '9\0', 'T\0'],
      [xs.XS_SET_TARGET, '9\x008\0', 'ERROR ENOENT\0'],
      [xs.XS_INTRODUCE, '8\x00123\x001\0', 'OK\0'],
      [xs.XS_WRITE, '/tool/8\0secret', 'OK\0'],
      [xs.XS_SET_PERMS, '/tool/8\0n8\0', 'OK\0'],
      [xs.XS_RESUME, '9\0', 'OK\0'],
      [xs.XS_SET_TARGET, '9\x008\0', 'OK\0'],
    ] as const) {
      assert.equal(await dom0.ask(type, payload), answer, `type ${type} ${JSON.stringify(payload)}`);
    }
    assert.deepEqual(log, ['print: hello']);
    assert.match((await dom0.ask(xs.XS_CONTROL, 'help\0')) ?? '', /^help\nlog.*\nprint/);
    assert.equal(await server.connect(9).read('/tool/8'), 'secret');
    assert.equal(await dom0.ask(xs.XS_RELEASE, '9\0'), 'OK\0');
    assert.equal(await dom0.ask(xs.XS_RELEASE, '9\0'), 'ERROR ENOENT\0');
    assert.equal(await dom0.ask(xs.XS_RELEASE, '0\0'), 'ERROR EINVAL\0');
    await server.close();
  });

  test('an absurd length ends that connection, and no other', async () => {
    const log: string[] = [];
    const server = new Xenstored({}, { log: (message) => log.push(message) });
    server.introduce(5);
    const [bad, good] = [raw(server, 5), raw(server, 5)];
    await bad.ask(xs.XS_WATCH, 'w\0t\0');
    const header = Buffer.alloc(xs.XSD_SOCKMSG_SIZE);
    header.writeUInt32LE(4097, xs.XSD_SOCKMSG_LEN);
    bad.stream.write(header);
    await settle();
    assert.equal(bad.stream.destroyed, true);
    assert.equal(server.stats().watches, 0);
    assert.match(log.join(), /domain 5 disconnected: .*4097/);
    assert.equal(await good.ask(xs.XS_GET_DOMAIN_PATH, '5\0'), '/local/domain/5\0');
    await server.close();
  });

  test('the end in mid-header and mid-payload', async () => {
    const server = new Xenstored();
    server.introduce(5);
    const whole = encodeMessage(xs.XS_WRITE, 1, 0, Buffer.from('x\0value'));
    for (let cut = 1; cut < whole.length; cut++) {
      const guest = raw(server, 5);
      guest.stream.end(whole.subarray(0, cut));
      await settle(8);
      assert.equal(guest.messages.length, 0);
    }
    assert.deepEqual(server.stats().connections, []);
    assert.equal(server.stats().nodes, 8);
    await server.close();
  });
});

test('2,000 streams of seeded garbage: the server goes on, its books balance', async () => {
  const server = new Xenstored();
  const dom0 = server.connect(0);
  const domids = [1, 2, 3];
  for (const domid of domids) {
    server.introduce(domid);
    await dom0.mkdir(`/local/domain/${domid}`);
    await dom0.setPermissions(`/local/domain/${domid}`, [{ access: 'b', domid }]);
  }
  await dom0.setPermissions('/tool', [{ access: 'b', domid: 0 }]);
  const words = [
    '/',
    'a',
    '/tool',
    '/tool/x',
    'a/b',
    '/local/domain/1',
    '@releaseDomain',
    'T',
    'F',
    '1',
    'b1',
    'n2',
    '',
  ];
  const seed = 20_261_122;
  const random = new Random(seed);
  for (let i = 0; i < 2000; i++) {
    const guest = raw(server, random.pick(domids));
    for (let m = 0; m < 12; m++) {
      const payload = random.below(4)
        ? Buffer.from(Array.from({ length: random.below(5) }, () => `${random.pick(words)}\0`).join(''))
        : random.bytes(random.below(64));
      const bytes = encodeMessage(random.below(24), random.u32(), random.below(3), payload);
      // One in eight is broken somewhere, header or payload.
      if (random.below(8) === 0) bytes[random.below(bytes.length)] = random.below(256);
      if (!guest.stream.writable) break;
      guest.stream.write(random.below(16) ? bytes : random.bytes(random.below(40)));
    }
    if (i % 5) await turn();
    if (random.below(3)) guest.stream.destroy();
    else guest.stream.end();
    if (i % 100 === 0) await dom0.write('/tool/alive', String(i));
  }
  await settle(100);
  const note = `seed ${seed}`;
  assert.equal(server.stats().connections.length, 1, note);
  assert.equal(server.stats().watches, 0, note);
  const count = async (path: string): Promise<number> => {
    const names = await dom0.directory(path);
    const below = await Promise.all(
      names.map((name) => count(path === '/' ? `/${name}` : `${path}/${name}`)),
    );
    return below.reduce((a, b) => a + b, 1);
  };
  assert.equal(server.stats().nodes, (await count('/')) + 2, note);
  for (const domid of domids) server.release(domid);
  assert.equal(await dom0.tryRead('/local/domain/1'), undefined, note);
  // Nothing of the domains' quotas was lost on the way: a successor has all of them.
  server.introduce(1);
  const successor = server.connect(1);
  await dom0.mkdir('/local/domain/1');
  await dom0.setPermissions('/local/domain/1', [{ access: 'n', domid: 1 }]);
  for (let i = 0; i < 999; i++) await successor.mkdir(`n${i}`);
  await assert.rejects(successor.mkdir('one-too-many'), { code: 'ENOSPC' });
  await server.close();
});

describe('a client that does not read', () => {
  test('XSA-349: a flood of equal events is one event', async () => {
    const server = new Xenstored();
    server.introduce(5);
    const dom0 = server.connect(0);
    await dom0.setPermissions('/tool', [{ access: 'r', domid: 0 }]);
    const deaf = new Deaf(1);
    server.attach(5, deaf);
    deaf.push(encodeMessage(xs.XS_WATCH, 1, 0, Buffer.from('/tool\0t\0')));
    await settle();
    for (let i = 0; i < 20_000; i++) await dom0.write('/tool/state', String(i));
    const stats = server.stats().connections.find((c) => c.domid === 5);
    assert.equal(stats?.queuedMessages, 1);
    assert.ok(stats.queuedBytes < 100, `${stats.queuedBytes}`);
    assert.ok(stats.streamBytes < 20_000 && deaf.taken < 20_000);
    await server.close();
  });

  test('XSA-349: a flood of different events ends it at its quota, and nobody else', async () => {
    const log: string[] = [];
    const server = new Xenstored({ queuedBytes: 50_000 }, { log: (message) => log.push(message) });
    server.introduce(5);
    server.introduce(6);
    const dom0 = server.connect(0);
    await dom0.setPermissions('/tool', [{ access: 'r', domid: 0 }]);
    const deaf = new Deaf(1);
    server.attach(5, deaf);
    deaf.push(encodeMessage(xs.XS_WATCH, 1, 0, Buffer.from('/tool\0t\0')));
    let heard = 0;
    await server.connect(6).watch('/tool', undefined, () => heard++);
    await settle();
    let most = 0;
    for (let i = 0; i < 3000; i++) {
      await dom0.write(`/tool/node-${i}`, '');
      const stats = server.stats().connections.find((c) => c.domid === 5);
      most = Math.max(most, (stats?.queuedBytes ?? 0) + (stats?.streamBytes ?? 0));
    }
    await settle();
    assert.ok(most > 40_000 && most < 80_000, `${most} bytes`);
    assert.equal(deaf.destroyed, true);
    assert.equal(
      server.stats().connections.some((c) => c.domid === 5),
      false,
    );
    assert.match(log.join(), /domain 5 disconnected: it does not read/);
    assert.equal(heard, 3001);
    await server.close();
  });

  test('its requests are not read while its answers wait', async () => {
    const server = new Xenstored();
    server.introduce(5);
    const deaf = new Deaf(1);
    server.attach(5, deaf);
    const request = encodeMessage(xs.XS_DIRECTORY, 1, 0, Buffer.from('/none\0'));
    const many = Buffer.concat(Array.from({ length: 1000 }, () => request));
    let pushed = 0;
    for (; pushed < 200 && deaf.push(many); pushed++) await settle(2);
    await settle();
    const [stats] = server.stats().connections;
    assert.ok(stats.queuedBytes + stats.streamBytes < 128 * 1024, JSON.stringify(stats));
    assert.ok(pushed < 200, 'the stream’s own buffer pushed back');
    await server.close();
  });

  test('one that floods requests leaves others their turn', async () => {
    const server = new Xenstored();
    server.introduce(5);
    const flood = raw(server, 5);
    const request = encodeMessage(xs.XS_GET_DOMAIN_PATH, 1, 0, Buffer.from('5\0'));
    flood.stream.write(Buffer.concat(Array.from({ length: 20_000 }, () => request)));
    const dom0 = server.connect(0);
    await dom0.write('/tool/x', '1');
    assert.ok(flood.messages.length < 20_000, `${flood.messages.length} answers came first`);
    while (flood.messages.length < 20_000) await settle();
    await server.close();
  });
});
