/** The commands against a daemon that serves a Xen host: one that only talks. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Status, Vif } from '../../src/daemon/api.js';
import { fakeDaemon, netferry, STATUS, vif } from './fake.js';

const NATIVE: Status = {
  ...STATUS,
  platform: 'native',
  transfer: 'grant-copy',
  xen: { domid: 0, xenstore: '/run/xenstored/socket', connected: true },
};

test('status: which domain it is in, and where its xenstore is', async (t) => {
  for (const [xen, line] of [
    [NATIVE.xen, 'native, dom0, xenstore /run/xenstored/socket'],
    [
      { domid: 3, xenstore: '/dev/xen/xenbus', connected: false },
      'native, driver domain 3, xenstore /dev/xen/xenbus is away',
    ],
  ] as const) {
    const { dir } = await fakeDaemon(t, { 'GET /v1/status': { ...NATIVE, xen } });
    const { out } = await netferry(['status', '--dir', dir]);
    assert.ok(out.includes(`platform    ${line}\n`), out);
    assert.deepEqual(JSON.parse((await netferry(['--json', 'status', '--dir', dir])).out).xen, xen);
  }
});

test('vif list: a vif that the kernel has, and one that waits, with their reasons', async (t) => {
  const rows: Vif[] = [
    { ...vif(0), state: 'foreign', reason: 'kernel netback has it', transfer: null, counters: null },
    {
      ...vif(0),
      name: 'db/0',
      state: 'initialising',
      reason: 'waits for its mac',
      mac: '',
      macs: [],
      counters: null,
    },
  ];
  const { dir } = await fakeDaemon(t, { 'GET /v1/vifs': rows });
  const { out } = await netferry(['vif', 'list', '--dir', dir]);
  assert.match(out, /^web\/0 +netif .*foreign: kernel netback has it +- +- /m);
  assert.match(out, /^db\/0 +netif +- +initialising: waits for its mac/m);
});

test('its guests are the toolstack’s', async (t) => {
  const { dir } = await fakeDaemon(t, { 'GET /v1/status': NATIVE, 'GET /v1/guests': [] });
  const run = await netferry(['guest', 'run', 'web', '--dir', dir]);
  assert.equal(run.code, 1);
  assert.match(
    run.err,
    /serves a Xen host: its guests are made by the toolstack\n {2}xl create web\.cfg; or /,
  );
  assert.match(
    (await netferry(['guest', 'list', '--dir', dir])).err,
    /^the guests of a Xen host are .*xl list/,
  );
  for (const args of [
    ['guest', 'rm', 'web', '--dir', dir],
    ['guest', 'exec', 'web', '--dir', dir, '--', 'ls'],
  ]) {
    const { code, err } = await netferry(args);
    assert.equal(code, 1);
    assert.equal(
      err,
      'netferry: no guest is called "web"\n  the guests of a Xen host are its toolstack’s: xl list\n',
    );
  }
});

test('down: asks, and returns once the process is gone', async (t) => {
  const daemon = spawn('sleep', ['60']);
  t.after(() => daemon.kill('SIGKILL'));
  await once(daemon, 'spawn');
  const { dir, asked } = await fakeDaemon(t, {
    'GET /v1/status': { ...NATIVE, pid: daemon.pid },
    'POST /v1/down': () => {
      setTimeout(() => daemon.kill(), 150);
      return null;
    },
  });
  assert.deepEqual(await netferry(['down', '--close-vifs', '--dir', dir]), {
    code: 0,
    out: `the daemon (pid ${daemon.pid}) has ended\n`,
    err: '',
  });
  assert.deepEqual(asked, ['GET /v1/status', 'POST /v1/down']);
});
