/** The program as a process: doctor, a broken pipe, colours, an echo, and the demo itself. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';

import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENTRY } from '../../src/cli/context.js';
import type { DemoReport } from '../../src/cli/demo_report.js';
import { painter } from '../../src/cli/io.js';
import { examine, isFit } from '../../src/daemon/doctor.js';
import type { Check } from '../../src/daemon/doctor_check.js';
import { Pinger } from '../../src/sys/icmp.js';
import { directory, fakeDaemon, netferry, UID, vif } from './fake.js';

test('doctor: a table or one document; its exit code says whether frames can be carried', async (t) => {
  const dir = directory(t);
  const { code, out, err } = await netferry(['doctor', '--dir', dir]);
  assert.equal(err, '');
  const { fit, checks } = JSON.parse((await netferry(['doctor', '--json', '--dir', dir])).out) as {
    fit: boolean;
    checks: Check[];
  };
  assert.equal(code, fit ? 0 : 1);
  assert.equal(fit, isFit(checks));
  for (const { name, ok, cost } of checks) {
    assert.ok(out.includes(name));
    assert.ok(ok || cost !== '', `${name}: what does it cost?`);
  }
  assert.equal(checks.find((check) => check.name === 'Node')?.ok, true);
});

test('doctor: what is required makes it unfit, what is optional does not', async () => {
  const check = (ok: boolean, required: boolean): Check => ({
    name: 'x',
    ok,
    found: '',
    cost: 'y',
    required,
  });
  assert.equal(isFit([check(true, true), check(false, false)]), true);
  assert.equal(isFit([check(true, true), check(false, true)]), false);
  const foreign = (await examine('/', UID + 1)).find((one) => one.name === 'runtime directory');
  assert.equal(foreign?.ok, false);
  assert.match(foreign?.found ?? '', /belongs to user 0, not to you/);
});

test('colours: only on a terminal, and not against NO_COLOR', async (t) => {
  const { dir } = await fakeDaemon(t, { 'GET /v1/vifs': [vif(1)] });
  assert.ok(!(await netferry(['vif', 'list', '--dir', dir])).out.includes('\x1b'));
  const stream = Object.assign(Object.create(process.stdout) as typeof process.stdout, { isTTY: true });
  const painted = (env: Record<string, string>) => {
    const io = { stdout: stream, stderr: stream, env, uid: 0, onStop: () => () => {} };
    return painter(io, stream)('red', 'x') !== 'x';
  };
  assert.deepEqual(
    [{}, { NO_COLOR: '1' }, { NO_COLOR: '' }, { TERM: 'dumb' }].map(painted as (env: object) => boolean),
    [true, false, true, false],
  );
});

test('a reader that goes away ends the command quietly', async (t) => {
  const { dir } = await fakeDaemon(t, { 'GET /v1/vifs': [vif(1)] });
  const child = spawn(process.execPath, [ENTRY, 'vif', 'list', '--watch', '--interval', '0.1', '--dir', dir]);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const [code] = (await once(child, 'exit')) as [number];
  assert.deepEqual([code, complaint], [0, '']);
});

test('echo over loopback, both families, small and large', {
  skip: UID !== 0 && 'raw sockets are root’s',
}, () => {
  for (const address of ['127.0.0.1', '::1']) {
    const pinger = new Pinger(address);
    for (const size of [0, 1, 56, 1473, 60_000]) {
      const time = pinger.ping(size, size, 1000);
      assert.ok(time !== undefined && time < 1000, `${address}, ${size} bytes`);
    }
    pinger.close();
  }
  assert.throws(() => new Pinger('localhost'), { name: 'SetupError' });
});

const fit = isFit(await examine('/tmp/netferry-absent', UID));
const ours = () => readdirSync(tmpdir()).filter((name) => name.startsWith('netferry-demo-'));

test('demo: every echo answered, every byte as sent, nothing left', {
  skip: !fit && 'netferry doctor: unfit',
  timeout: 60_000,
}, () => {
  const before = ours();
  const run = spawnSync(process.execPath, [ENTRY, 'demo', '--json'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr || run.stdout);
  const report = JSON.parse(run.stdout) as DemoReport;
  assert.deepEqual([report.ok, report.left, report.pings.length, report.transfers.length], [true, [], 6, 4]);
  for (const { bytes, frames, verified, copies } of report.transfers) {
    assert.ok(verified && bytes > 1e6 && frames > 0 && copies > 0);
  }
  assert.deepEqual(ours(), before);
});

test('demo: Ctrl-C leaves nothing', { skip: !fit && 'netferry doctor: unfit', timeout: 60_000 }, async () => {
  const before = ours();
  for (const after of [0, 500, 2000]) {
    const child = spawn(process.execPath, [ENTRY, 'demo'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    while (ours().length === before.length && child.exitCode === null) await sleep(5); // it has begun
    await sleep(after);
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number];
    assert.deepEqual([code, said.trim()], [130, 'interrupted; nothing is left behind']);
  }
  assert.deepEqual(ours(), before);
});
