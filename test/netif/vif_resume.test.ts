/** Vifs that were there before us: after a restart of the daemon, from kernel netback, and while xenstored is away. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Ends, type Move, nextMove } from '../../src/netif/handshake.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import { openXenstore } from '../../src/xen/xenstore/client.js';
import { type LastingXenstore, openLastingXenstore } from '../../src/xen/xenstore/lasting.js';
import { RINGS, VifWorld } from '../support/vif_world.js';

test('the table of moves, whatever both ends say', () => {
  const usual = { removing: false, first: false, connected: false };
  const rows: [own: number, peer: string, more: Partial<Ends>, move: Move][] = [
    // Our own first steps.
    [1, '0', {}, 'offer'],
    [1, '1', {}, 'offer'],
    [2, '1', {}, 'offer'],
    [2, '4', {}, 'connect'],
    [2, '3', {}, 'connect'],
    [4, '4', { connected: true }, 'follow'],
    [4, '7', { connected: true }, 'reconfigure'],
    [8, '4', { connected: true }, 'follow'],
    // Its end.
    [4, '5', { connected: true }, 'closing'],
    [5, '5', {}, 'closing'],
    [6, '5', {}, 'wait'],
    [5, '6', {}, 'closed'],
    [4, '0', { connected: true }, 'closed'],
    [4, '4', { removing: true, connected: true }, 'closed'],
    [6, '1', {}, 'offer'],
    [4, '1', { connected: true }, 'offer'],
    // Cut off: it must begin anew.
    [5, '4', {}, 'wait'],
    [6, '4', {}, 'wait'],
    // Met in mid-life.
    [4, '4', { first: true }, 'resume'],
    [8, '4', { first: true }, 'resume'],
    [2, '4', { first: true }, 'resume'],
    [1, '4', { first: true }, 'resume'],
    [6, '4', { first: true }, 'resume'],
    [5, '4', { first: true }, 'wait'],
    [4, '1', { first: true }, 'offer'],
    [4, '5', { first: true }, 'closing'],
    [4, '6', { first: true }, 'closed'],
    [4, '0', { first: true }, 'closed'],
    [4, '4', {}, 'wait'],
    // No states.
    [4, 'x', { connected: true }, 'nonsense'],
    [2, '-1', {}, 'nonsense'],
    [2, '10', {}, 'nonsense'],
    [5, 'x', {}, 'wait'],
  ];
  for (const [own, peer, more, move] of rows) {
    assert.equal(
      nextMove({ ...usual, own, peer, ...more }),
      move,
      `own ${own}, peer ${peer} ${JSON.stringify(more)}`,
    );
  }
});

describe('a daemon that starts under live guests', () => {
  let world: VifWorld;
  beforeEach(() => {
    world = new VifWorld();
  });
  afterEach(() => world.close());

  async function live(own: string, peer: string, domid = 7): Promise<void> {
    await world.add({ state: own }, domid);
    if (peer !== '1') await world.connect({}, domid);
    if (peer === '') await world.store.rm(world.front(domid));
    else await world.setFront(peer, domid);
  }

  test('planned: vifs are left connected, and go on', async () => {
    const first = await world.start();
    for (const domid of [7, 8]) {
      await world.add({}, domid);
      await world.reaches(2, domid);
    }
    await world.connect();
    await world.reaches(4);
    const seen: string[] = [];
    await first.close('keep');
    const stop = await world.store.watch(`${world.back()}/state`, undefined, (path) => seen.push(path));
    assert.deepEqual(world.connector.calls, ['connect web/0', 'disconnect web/0']);
    assert.deepEqual([await world.read('state'), await world.read('state', 8)], ['4', '2']);
    await world.connect({}, 8); // meanwhile
    await world.start();
    await world.reaches(4, 8);
    await world.until(() => world.connector.vifs.size === 2, 'both are served');
    await world.settle();
    assert.equal(seen.length, 1, 'the guest sees no change of state');
    assert.deepEqual(world.connector.calls.slice(2).sort(), ['resume web/0', 'resume web/0']);
    await stop();
  });

  test('half-finished handshakes of a predecessor that was killed', async () => {
    const rows: [own: string, peer: string, state: number, served: boolean][] = [
      ['4', '4', 4, true],
      ['2', '4', 4, true],
      ['1', '4', 4, true],
      ['8', '7', 8, true],
      ['6', '4', 4, true],
      ['1', '1', 2, false],
      ['2', '1', 2, false],
      ['4', '1', 2, false],
      ['5', '1', 2, false],
      ['5', '4', 5, false],
      ['4', '5', 5, false],
      ['4', '6', 6, false],
      ['5', '6', 6, false],
      ['4', '', 6, false],
      ['2', '', 2, false],
    ];
    for (const [i, [own, peer]] of rows.entries()) await live(own, peer, 10 + i);
    await world.start();
    for (const [i, [own, peer, state, served]] of rows.entries()) {
      await world.reaches(state, 10 + i);
      await world.until(() => world.connector.vifs.has(`${10 + i}/0`) === served, `own ${own}, peer ${peer}`);
    }
    await world.settle();
    for (const [i, [, , state]] of rows.entries())
      assert.equal(await world.read('state', 10 + i), String(state));
    // Each of those that wait can go on.
    await world.setFront(6, 19);
    await world.reaches(6, 19);
    await world.setFront(1, 19);
    await world.reaches(2, 19);
  });

  test('a predecessor that is still dying has the event channels a little longer', async () => {
    await live('4', '4');
    world.connector.failures = 3;
    await world.start();
    await world.until(() => world.connector.vifs.size === 1, 'it goes on');
    assert.equal(await world.error(), undefined);
  });

  test('one that cannot be taken over closes, with an error node', async () => {
    await live('4', '4');
    await world.setFront('4');
    await world.store.write(`${world.front()}/tx-ring-ref`, 'x');
    await world.start();
    await world.reaches(5);
    await world.until(
      async () => (await world.error())?.startsWith('22 tx-ring-ref = "x"') === true,
      'an error',
    );
  });

  test('without `resume` (embedded) nobody is connected who did not begin with us', async () => {
    await live('4', '4');
    await world.start({ resume: false });
    await world.settle();
    assert.equal(world.connector.vifs.size, 0);
  });

  test('asked to close, it closes vifs in order', async () => {
    const driver = await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    const closed = driver.close('close');
    await world.reaches(5);
    assert.equal(world.connector.vifs.size, 0, 'nothing of the guest is in use');
    await world.setFront(6);
    await closed;
    assert.equal(await world.read('state'), '6');
  });
});

describe('a vif that kernel netback has', () => {
  let world: VifWorld;
  beforeEach(() => {
    world = new VifWorld();
  });
  afterEach(() => world.close());

  test('is left alone, every node of it, and taken over live when it is released', async () => {
    const held = new Set(['7/0']);
    await world.add({ state: '4', mac: 'not ours to read' });
    await world.connect();
    const nodes = await world.store.directory(world.back());
    await world.start({
      holderOf: (domid, handle) => (held.has(`${domid}/${handle}`) ? 'xen_netback has it' : undefined),
    });
    await world.until(() => world.driver.vifs[0]?.phase === 'foreign', 'foreign');
    const [{ name, reason }] = world.driver.vifs;
    assert.deepEqual([name, reason], ['web/0', 'xen_netback has it']);
    await world.setBack('state', '5');
    await world.setFront('x');
    await world.settle();
    assert.deepEqual(await world.store.directory(world.back()), nodes);
    assert.equal(await world.read('state'), '5');
    assert.equal(await world.error(), undefined);
    assert.equal(world.log.filter((line) => line.includes('xen_netback has it')).length, 1);
    await world.driver.close('close');
    assert.equal(await world.read('state'), '5', 'nor when we end');
    await world.setBack('state', '4');
    await world.setBack('mac', '00:16:3e:00:00:07');
    await world.setFront('4');
    await world.start({ holderOf: (domid) => (held.has(`${domid}/0`) ? 'xen_netback has it' : undefined) });
    await world.until(() => world.driver.vifs[0]?.phase === 'foreign', 'foreign again');
    held.clear(); // modprobe -r xen_netback: it leaves the states as they are
    await world.until(() => world.driver.vifs[0]?.phase === 'connected', 'taken over');
    assert.deepEqual(world.connector.calls, ['resume web/0']);
    assert.equal(await world.read('hotplug-status'), 'connected');
  });

  test('one that is taken from us is let go', async () => {
    let holder: string | undefined;
    await world.start({ holderOf: () => holder });
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    holder = 'xen_netback has it';
    await world.setBack('state', '2'); // it was probed
    await world.until(() => world.connector.vifs.size === 0, 'let go');
    await world.settle();
    assert.equal(await world.read('state'), '2');
    assert.equal(world.driver.vifs[0].phase, 'foreign');
  });
});

describe('while xenstored is away', () => {
  let directory: string;
  let path: string;
  let server: Xenstored;
  let store: LastingXenstore;
  let world: VifWorld;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'netferry-away-'));
    path = join(directory, 'socket');
    world = new VifWorld();
    await serve();
    store = await openLastingXenstore({ open: () => openXenstore(path), pause: 10 });
  });
  afterEach(async () => {
    store.close();
    await world.close();
    await server.close();
    await rm(directory, { recursive: true });
  });

  async function serve(nodes: Record<string, string> = {}): Promise<void> {
    server = new Xenstored({}, { log: () => {} });
    const store = server.connect(0);
    for (const [key, value] of Object.entries(nodes)) await store.write(key, value);
    store.close();
    await server.listen(path);
  }

  /** Everything that is in the store. */
  async function all(): Promise<Record<string, string>> {
    const store = await openXenstore(path);
    const nodes: Record<string, string> = {};
    const walk = async (at: string): Promise<void> => {
      nodes[at] = await store.read(at);
      for (const child of await store.directory(at)) await walk(`${at}/${child}`);
    };
    await walk('/local');
    store.close();
    return nodes;
  }

  test('frames go on; what happened meanwhile is seen afterwards', async () => {
    const driver = await world.start({}, store);
    const tools = await openXenstore(path);
    const state = `${world.back()}/state`;
    const until = (good: () => boolean | Promise<boolean>, what: string) => world.until(good, what);
    const nodes = {
      '/local/domain/0/domid': '0',
      '/local/domain/7/name': 'web',
      [`${world.front()}/state`]: '4',
      [`${world.back()}/frontend`]: world.front(),
      [`${world.back()}/mac`]: '00:16:3e:00:00:07',
      ...Object.fromEntries(Object.entries(RINGS).map(([key, value]) => [`${world.front()}/${key}`, value])),
    };
    for (const [key, value] of Object.entries(nodes)) await tools.write(key, value);
    await tools.write(state, '4');
    await until(() => world.connector.vifs.size === 1, 'it is served');
    const saved = await all();
    await server.close();
    await until(() => !store.connected, 'lost');
    await world.settle();
    assert.equal(world.connector.vifs.size, 1, 'it goes on');
    // It comes back with the front end closing.
    await serve({ ...saved, [`${world.front()}/state`]: '5' });
    await until(() => world.connector.vifs.size === 0, 'the guest has closed');
    const again = await openXenstore(path);
    await until(async () => (await again.read(state)) === '5', 'it is answered');
    await again.write(`${world.front()}/state`, '1');
    await until(async () => (await again.read(state)) === '2', 'and can begin anew');
    await again.write(`${world.front()}/state`, '4');
    await until(async () => (await again.read(state)) === '4', 'connected');
    // It comes back having lost everything.
    await server.close();
    await until(() => !store.connected, 'lost again');
    await serve();
    await until(() => driver.vifs[0]?.reason === 'xenstore has lost its nodes', 'it knows');
    assert.equal(world.connector.vifs.size, 1, 'and goes on');
    await driver.close('keep');
    assert.equal(world.connector.vifs.size, 0);
  });
});
