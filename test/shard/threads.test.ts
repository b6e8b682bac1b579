/** Ports in parts on real threads: what fails leaves nothing of a port behind, on any of them. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { JUNCTION_SIZE } from '../../assembly/junction_layout.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { PORT_BLOCK } from '../../src/datapath/frames.js';
import { type JunctionSpec, THREADS_MAX } from '../../src/shard/spec.js';
import { Threads } from '../../src/shard/threads.js';
import { createEventFd } from '../../src/sys/eventfd.js';
import { close } from '../../src/sys/libc.js';
import { Hypervisor } from '../../src/xen/embedded/hypervisor.js';
import { macOf } from '../support/packets.js';

let arena: Arena;
let hypervisor: Hypervisor;
let threads: Threads;
let failures: Error[];
let opened: number[];

beforeEach(async () => {
  arena = Arena.create(1 << 30);
  hypervisor = new Hypervisor(arena, instantiateLoops(arena));
  failures = [];
  opened = [];
  threads = await Threads.open(arena, hypervisor, 3, (error) => failures.push(error));
});

afterEach(async () => {
  await threads.close();
  for (const fd of opened) close(fd);
  hypervisor.close();
});

/** A port that needs no privilege, and whose wake-ups a thread hears until it lets go of it: a second time they are refused. */
function quietPort(id: number, inbox = arena.allocate(JUNCTION_SIZE, 'port')): JunctionSpec {
  const fd = createEventFd();
  opened.push(fd);
  const block = arena.allocate(PORT_BLOCK, 'port');
  const outbox = arena.allocate(JUNCTION_SIZE, 'port');
  return { kind: 'junction', id, name: `${id}`, block, outbox, inbox, waitFd: fd, notifyFd: fd, beyond: 0 };
}

async function kill(thread: number): Promise<void> {
  const outside = 2 ** 32 - 4096; // it reads there in its first round, and that is the end of it
  await threads.attach(100, undefined, [{ thread, spec: quietPort(100, outside) }]).catch(() => {});
  while (failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('as many threads as there may be are one listener to the process, and none when they are closed', async () => {
  const before = process.listenerCount('exit'); // three threads run
  const many = await Threads.open(arena, hypervisor, THREADS_MAX, (error) => failures.push(error));
  assert.equal(process.listenerCount('exit'), before);
  await many.close();
  assert.equal(process.listenerCount('exit'), before);
  await threads.close();
  assert.equal(process.listenerCount('exit'), before - 1);
});

describe('a port of several parts', () => {
  test('is attached as a whole or not at all, and the way to another port of its MAC stays', async () => {
    const [mac, first, second] = [macOf(1), quietPort(1), quietPort(2)];
    await threads.attach(1, mac, [{ thread: 1, spec: first }]);
    assert.deepEqual(
      [0, 1, 2].map((thread) => threads.partsOn(thread)),
      [0, 1, 0],
    );
    const parts = [
      { thread: 1, spec: second },
      { thread: 2, spec: second },
    ];
    await assert.rejects(threads.attach(2, mac, parts), /belongs to another port/);
    assert.deepEqual(
      [0, 1, 2].map((thread) => threads.partsOn(thread)),
      [0, 1, 0],
    );
    await threads.attach(2, macOf(2), parts); // nothing of it was left, or its descriptor would be there already
    const spec = quietPort(3);
    const third = [
      { thread: 1, spec },
      { thread: 2, spec },
    ];
    await assert.rejects(
      threads.attach(3, mac, third),
      /belongs to another port/,
      'thread 0 knows the first',
    );
    await threads.detach(1);
    await threads.attach(3, mac, third);
  });

  test('leaves the threads that live when another died: its memory is free for others then', async () => {
    const [wide, far] = [quietPort(1), quietPort(2)];
    await threads.attach(1, macOf(1), [
      { thread: 0, spec: wide },
      { thread: 1, spec: wide },
    ]);
    await threads.attach(2, macOf(2), [{ thread: 2, spec: far }]); // thread 0 knows the way
    await kill(0);
    await assert.rejects(threads.detach(1));
    await assert.rejects(threads.detach(2));
    await threads.shards[1].attach(wide);
    await threads.shards[2].attach(far);
  });
});
