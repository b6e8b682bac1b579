/** The toolstack with a hypervisor and a xenstored of its own, and processes that do not leave when they should. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { AddressBook } from '../../src/daemon/addresses.js';
import { type GuestConnection, Toolstack, UnknownGuest } from '../../src/daemon/toolstack.js';
import { Hypervisor } from '../../src/xen/embedded/hypervisor.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';

const ARENA = 1 << 26;

function machine(forget: (domid: number) => Promise<void> = async () => {}) {
  const arena = Arena.create(ARENA);
  const hypervisor = new Hypervisor(arena, instantiateLoops(arena));
  const xenstored = new Xenstored();
  const store = xenstored.connect(0);
  const said: string[] = [];
  const say = (message: string) => void said.push(message);
  const toolstack = new Toolstack({
    hypervisor,
    xenstored,
    store,
    addresses: new AddressBook(['10.9.0.1/24']),
    transfer: 'persistent',
    log: { info: say, warn: say, error: say },
    forget,
    defaultMtu: 1500,
  });
  return { hypervisor, store, said, toolstack };
}

/** A connection without a socket; `cut` is what the toolstack does to it. */
function connection(): GuestConnection & { readonly isCut: boolean } {
  let isCut = false;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    ended,
    cut: () => {
      isCut = true;
      end();
    },
    get isCut() {
      return isCut;
    },
  };
}

async function sleeper(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'console.log(); setInterval(() => {}, 1000)'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.ok(child.pid);
  return child.pid;
}

test('a process that must never be sent a signal is no guest', async () => {
  const { toolstack, hypervisor } = machine();
  for (const pid of [0, -1, 1, process.pid]) {
    const refused = toolstack.create({ name: 'a', addresses: ['10.9.0.2/24'] }, pid, connection());
    await assert.rejects(refused, {
      name: 'SetupError',
      message:
        pid > 0
          ? `process ${pid} cannot be a guest`
          : 'the daemon cannot see the process that wants to be a guest',
    });
  }
  assert.deepEqual([toolstack.guests.length, hypervisor.domains.length], [0, 0]);
  await assert.rejects(toolstack.remove('a'), UnknownGuest);
});

test('rm: a connection that another process holds is cut after SIGKILL', { timeout: 20_000 }, async (t) => {
  const { toolstack, hypervisor } = machine();
  const held = connection();
  await toolstack.create({ name: 'held', addresses: ['10.9.0.2/24'] }, await sleeper(t), held);
  await toolstack.remove('held');
  assert.equal(held.isCut, true);
  assert.deepEqual([toolstack.guests.length, hypervisor.domains.length], [0, 0]);
});

test('a datapath that does not let go: memory and number are kept, all else is free', async (t) => {
  const { toolstack, hypervisor, store, said } = machine(async (domid) => {
    if (domid === 1) throw new Error('the datapath does not answer');
  });
  const pid = await sleeper(t);
  const request = { name: 'a', mac: '02:00:00:00:00:07', addresses: ['10.9.0.2/24'] };
  for (const kept of [[1], [1]]) {
    const its = connection();
    const { domain } = await toolstack.create(request, pid, its);
    const record = toolstack.guest('a');
    its.cut();
    await record?.gone;
    assert.equal(toolstack.guest('a'), undefined);
    assert.deepEqual(
      hypervisor.domains.map((one) => one.domid),
      kept,
    );
    assert.equal(await store.tryRead(`/local/domain/${domain.domid}/name`), undefined);
  }
  assert.ok(said.includes('guest a: letting go of its vifs: the datapath does not answer'));
  assert.ok(said.includes('guest a: the memory of domain 1 is kept, the datapath may still use it'));
  await toolstack.close();
  hypervisor.close();
});
