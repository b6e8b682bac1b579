import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ferry, type Guest, holdings } from './support/ferry.js';
import { type Background, lacking, sleep, until } from './support/place.js';

const PROGRAM = fileURLToPath(new URL('./support/hostile_guest.js', import.meta.url));

describe('a hostile domain', { skip: lacking('ping', 'xenstore-read', 'unshare', 'nsenter', 'ip') }, () => {
  let ferry: Ferry;
  let a: Guest;
  let b: Guest;
  let watch: Background;
  before(async () => {
    ferry = await Ferry.start();
    a = await ferry.guest('a');
    b = await ferry.guest('b');
    await a.run(['ping', '-c', '1', '-W', '2', b.v4]);
  });
  after(() => ferry?.stop());
  beforeEach(() => {
    watch = a.start(['ping', '-n', '-i', '0.05', '-W', '2', b.v4]);
  });
  afterEach(async () => {
    const { stdout } = await watch.stop('SIGINT');
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
    // The last one may be on its way when ping is told to stop.
    assert.ok(Number(received) >= Number(sent) - 1, `the others lost frames: ${received} of ${sent}`);
    assert.ok((await a.run(['ping', '-c', '1', '-W', '2', b.v4])).length > 0);
  });

  const hypervisor = () => join(ferry.directory, 'hypervisor.sock');

  /** The daemon has ended the connection, or the domain and all it had is released. */
  async function bare(speak: (socket: Socket) => void): Promise<Socket> {
    const socket = connect(hypervisor());
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    speak(socket);
    return socket;
  }

  function misbehave(way: string): Background {
    return ferry.host.start([
      'unshare',
      '--net',
      '--pid',
      '--fork',
      '--kill-child=KILL',
      '--',
      process.execPath,
      PROGRAM,
      hypervisor(),
      'hostile',
      way,
    ]);
  }

  async function gone(hostile: Background): Promise<void> {
    await hostile.stop('SIGKILL');
    await until(
      'the domain is released',
      async () => !(await ferry.client.guests()).some((guest) => guest.name === 'hostile'),
    );
  }

  test('garbage lines are refused one by one', async () => {
    const answers: string[] = [];
    const socket = await bare((one) =>
      one.write('\0\xff\n{}\n[]\nnull\n{"op":"event-channel"}\n{"name":"../x"}\n{"name":7}\n'),
    );
    socket.on('data', (text) => answers.push(...String(text).trim().split('\n')));
    await until('seven refusals', () => answers.length === 7);
    for (const answer of answers) assert.match(answer, /^\{"error":".+/);
    socket.destroy();
  });

  test('a megabyte without a line end: cut off', async () => {
    const socket = await bare((one) => one.write('x'.repeat(1 << 20)));
    await until('it is closed', () => socket.destroyed || socket.readableEnded || socket.closed);
    socket.destroy();
  });

  test('half a request, silence, and many who never speak', async () => {
    const before = holdings(ferry.daemon.pid).fds;
    const silent: Socket[] = [];
    for (let i = 0; i < 50; i++) silent.push(await bare((one) => i % 2 && one.write('{"name":"ha')));
    assert.equal((await ferry.client.guests()).length, 2);
    const other = await ferry.guest('other');
    await other.run(['ping', '-c', '1', '-W', '2', a.v4]);
    await ferry.cli('guest', 'rm', 'other');
    for (const one of silent) one.destroy();
    await until('their descriptors are closed', () => holdings(ferry.daemon.pid).fds <= before);
  });

  test('asks without end and never reads: the connection ends', async () => {
    const before = holdings(ferry.daemon.pid).fds;
    const socket = await bare((one) => one.pause());
    socket.write('{"name":"hostile"}\n');
    for (let i = 0; i < 10_000 && !socket.destroyed; i++) socket.write('{"op":"event-channel"}\n');
    await sleep(500);
    assert.equal((await ferry.client.status()).guests <= 3, true);
    socket.destroy();
    await until('all of it is released', () => holdings(ferry.daemon.pid).fds <= before);
  });

  test('ten thousand event channels: no more than its share', async () => {
    const hostile = misbehave('many-channels');
    await until('it is refused', () => /refused after \d+/.test(hostile.text()));
    assert.match(hostile.text(), /refused after 64: .*no more than 64 event channels/);
    await gone(hostile);
  });

  const fenced: [string, RegExp][] = [
    ['no-queues', /multi-queue-num-queues/],
    ['negative-queues', /multi-queue-num-queues/],
    ['many-queues', /multi-queue-num-queues/],
    ['ring-ref-out-of-range', /grant|4294967295/],
    ['ring-ref-no-grant', /grant/],
    ['ring-ref-text', /tx-ring-ref/],
    ['no-event-channel', /event-channel/],
    ['event-channel-unbound', /event channel 60000/],
    ['event-channel-text', /event-channel/],
    ['page-flipping', /request-rx-copy/],
    ['control-ring-no-grant', /grant 1 of domain/],
    ['control-ring-no-channel', /event-channel-ctrl is missing/],
    ['control-ring-garbage', /fenced: more requests than the ring holds/],
    ['ring-garbage', /fenced: /],
  ];
  for (const [way, error] of fenced) {
    test(`${way}: its vif closes with an error node`, async () => {
      const hostile = misbehave(way);
      let errors = '';
      try {
        await until('it has misbehaved', () => hostile.text().includes('done'));
        const { domid } = (await ferry.client.guests()).find((guest) => guest.name === 'hostile')!;
        errors = `/local/domain/0/error/backend/vif/${domid}`;
        const node = `${errors}/0/error`;
        await until('the error node', () => ferry.xenstore('exists', node).code === 0);
        assert.match(ferry.xenstore('read', node).stdout, error);
        const state = ferry.xenstore('read', `/local/domain/0/backend/vif/${domid}/0/state`).stdout.trim();
        assert.ok(state === '5' || state === '6', `the back end's state is ${state}`);
      } finally {
        await gone(hostile);
      }
      assert.notEqual(ferry.xenstore('exists', errors).code, 0);
    });
  }

  test('nodes of the back end, of the tools and of other guests: not its to write', async () => {
    const hostile = misbehave('foreign-nodes');
    try {
      await until('it has tried', () => hostile.text().includes('done'));
      const outcomes = hostile.text().trim().split('\n').slice(0, -1);
      assert.equal(outcomes.length, 5);
      for (const outcome of outcomes) assert.match(outcome, /EACCES/);
    } finally {
      await gone(hostile);
    }
  });

  test('event counters that block their writer: the others go on', async () => {
    const hostile = misbehave('block-signals');
    await until('it has begun', () => hostile.text().includes('done'));
    await sleep(2000);
    const start = (await ferry.vif(a)).counters.in.frames;
    await until(
      'frames of the others still move',
      async () => (await ferry.vif(a)).counters.in.frames > start + 5,
    );
    await gone(hostile);
  });

  test('event counters that block their writer briefly, each time: not again and again', async () => {
    const hostile = misbehave('block-signals-briefly');
    const blocked = async () => {
      const vif = (await ferry.client.vifs()).find((one) => one.guest === 'hostile');
      return vif?.counters?.blocked ?? 0;
    };
    await until('it was noticed', async () => (await blocked()) > 0);
    const { stdout } = await a.start(['ping', '-n', '-c', '60', '-i', '0.02', '-W', '2', b.v4]).ended;
    const waited = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
    assert.equal(waited.length, 60);
    // Each of its signals would hold up the others for 80 of 100 ms.
    const held = waited.filter((ms) => ms > 30).length;
    assert.ok(held < 10, `${held} of 60 pings waited: ${waited.join(', ')}`);
    assert.equal(await blocked(), 1);
    await gone(hostile);
  });
});
