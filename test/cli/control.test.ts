/** The commands that ask the daemon, against one that only talks. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { rates } from '../../src/cli/vif.js';
import { CONTROL_SOCKET, HYPERVISOR_SOCKET } from '../../src/daemon/api.js';
import { claimDirectory } from '../../src/daemon/claim.js';
import { ControlClient } from '../../src/daemon/client.js';
import { type Controlled, ControlServer } from '../../src/daemon/control_server.js';
import { defaultDirectory, prepareDirectory } from '../../src/daemon/directory.js';
import { startReaper } from '../../src/daemon/reaper.js';
import { UnknownGuest } from '../../src/daemon/toolstack.js';
import { directory, fakeDaemon, netferry, STATUS, UID, vif, WEB } from './fake.js';

/** A socket file whose listener has died without removing it. */
function staleSocket(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.ok(existsSync(path));
}

const gone = (dir: string) => ({
  code: 1,
  out: '',
  err: `netferry: the daemon is not running in ${dir}\n  start it: netferry up\n`,
});

test('status', async (t) => {
  const { dir } = await fakeDaemon(t, { 'GET /v1/status': STATUS });
  const { code, out, err } = await netferry(['status', '--dir', dir]);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^daemon {6}netferry 9\.9\.9, pid 4711, up 1 d 02:03:04$/m);
  assert.match(out, /^host port {3}nf0 {2}02:00:00:00:00:01 {2}10\.1\.0\.1\/24 {2}MTU 1500$/m);
  assert.match(out, /^memory {6}98\.5 MB$/m);
  assert.deepEqual(JSON.parse((await netferry(['--json', 'status', '--dir', dir])).out), STATUS);
  assert.equal((await netferry(['status'], undefined, { NETFERRY_DIR: dir })).code, 0);
});

test('vif list: frames, bytes, mean size, drops by reason', async (t) => {
  const vifs = [vif(2_000_000, { runt: 1, 'rx-full': 1234 }), { ...vif(0), name: 'new/0', counters: null }];
  const { dir } = await fakeDaemon(t, { 'GET /v1/vifs': vifs });
  const { code, out } = await netferry(['vif', 'list', '--dir', dir]);
  assert.equal(code, 0);
  assert.match(out, /^web\/0 .*connected +grant-copy +2\.00 M +2\.00 GB +1000 .* rx-full 1\.23 k, runt 1$/m);
  assert.match(out, /^new\/0 .* -$/m);
  assert.deepEqual(JSON.parse((await netferry(['vif', 'list', '--json', '--dir', dir])).out), vifs);
});

test('an uplink and attached interfaces: status, and their rows with MACs', async (t) => {
  const mac = '02:00:00:00:00:01';
  const uplink = {
    name: 'eth0',
    mac,
    mode: 'tcx',
    promiscuous: true,
    through: 'no veth',
    absent: null,
    carrier: false,
  };
  const kernel = { ...vif(7), name: 'p0', kind: 'kernel', guest: null, domid: null, transfer: null };
  const vifs = [
    { ...kernel, name: 'eth0', kind: 'uplink', mac: '', macs: [] },
    { ...kernel, macs: [WEB.mac, '02:00:00:00:00:03', '02:00:00:00:00:04'] },
    { ...kernel, name: 'p1', mac: '', macs: [], state: 'absent', reason: 'p1 is gone', counters: null },
  ];
  const { dir } = await fakeDaemon(t, {
    'GET /v1/status': { ...STATUS, host: null, uplink, crossing: 'nfx0' },
    'GET /v1/vifs': vifs,
    'POST /v1/ports': kernel,
    'DELETE /v1/ports/p0': null,
  });
  const text = (await netferry(['status', '--dir', dir])).out;
  assert.match(
    text,
    /^uplink {6}eth0 {2}02:00:00:00:00:01 {2}by tcx, promiscuous {2}no carrier {2}crossing nfx0$/m,
  );
  const { out } = await netferry(['vif', 'list', '--dir', dir]);
  assert.match(out, /^eth0 +uplink +- +connected +- +7 /m);
  assert.match(out, /^p0 +kernel +02:00:00:00:00:02 \+2 +connected/m);
  assert.match(out, /^p1 +kernel +- +absent: p1 is gone/m);
  const attached = await netferry(['attach', 'p0', '--mac', WEB.mac, '--dir', dir]);
  assert.deepEqual(attached, { code: 0, out: `p0 is attached: ${WEB.mac}\n`, err: '' });
  assert.equal((await netferry(['detach', 'p0', '--dir', dir])).out, 'p0 is detached\n');
});

test('a vif without carrier, and its cable', async (t) => {
  const down = { ...vif(0), carrier: false, reason: 'its link is down' };
  const { dir, asked } = await fakeDaemon(t, { 'GET /v1/vifs': [down], 'PUT /v1/vifs/web%2F0/link': null });
  assert.match(
    (await netferry(['vif', 'list', '--dir', dir])).out,
    /^web\/0 .* no carrier: its link is down /m,
  );
  const { code, out } = await netferry(['vif', 'link', 'web/0', 'down', '--dir', dir]);
  assert.deepEqual([code, out], [0, 'web/0: its link is down\n']);
  assert.ok(asked.includes('PUT /v1/vifs/web%2F0/link'));
  assert.equal((await netferry(['vif', 'link', 'web/0', 'left', '--dir', dir])).code, 2);
  assert.equal((await netferry(['vif', 'link', 'other/0', 'up', '--dir', dir])).code, 1);
});

test('vif list --watch: again and again until it is stopped', async (t) => {
  let frames = 0;
  const { dir } = await fakeDaemon(t, {
    'GET /v1/vifs': () => {
      frames += 1000;
      return [vif(frames)];
    },
  });
  const watch = await netferry(['vif', 'list', '--watch', '--interval', '0.1', '--dir', dir], 450);
  assert.equal(watch.code, 0);
  assert.match(watch.out, /kpps|pps/);
  const lines = (await netferry(['vif', 'list', '-w', '--interval', '0.1', '--json', '--dir', dir], 450)).out;
  const documents = lines.trimEnd().split('\n');
  assert.ok(documents.length >= 2);
  for (const line of documents) assert.equal((JSON.parse(line) as unknown[]).length, 1);
});

test('rates: per second of the time between, none for a vif that began anew', () => {
  const look = (at: number, frames: number, domid = 3) => ({ at, vifs: [{ ...vif(frames), domid }] });
  const rate = { frames: 50, bytes: 50_000 };
  assert.deepEqual(rates(look(0, 100), look(2000, 200)).get('web/0'), { in: rate, out: rate });
  assert.equal(rates(undefined, look(0, 1)).size, 0);
  assert.equal(rates(look(0, 100), look(1000, 50)).size, 0);
  assert.equal(rates(look(0, 100), look(1000, 200, 4)).size, 0);
});

test('guest list', async (t) => {
  const { dir } = await fakeDaemon(t, { 'GET /v1/guests': [WEB] });
  const { out } = await netferry(['guest', 'list', '--dir', dir]);
  assert.match(out, /^web +3 +4712 +02:00:00:00:00:02 +10\.1\.0\.2\/24 +1500 +connected +grant-copy$/m);
  assert.deepEqual(JSON.parse((await netferry(['guest', 'list', '--json', '--dir', dir])).out), [WEB]);
});

test('guest rm: all names must be known before any is touched', async (t) => {
  const { dir, asked } = await fakeDaemon(t, {
    'GET /v1/guests': [WEB, { ...WEB, name: 'db' }],
    'DELETE /v1/guests/web': null,
    'DELETE /v1/guests/db': null,
  });
  assert.deepEqual(await netferry(['guest', 'rm', 'web', 'wbe', '--dir', dir]), {
    code: 1,
    out: '',
    err: 'netferry: no guest is called "wbe"\n  known: db, web\n',
  });
  assert.deepEqual(asked, ['GET /v1/guests']);
  const { code, out } = await netferry(['guest', 'rm', 'web', 'db', 'web', '--dir', dir]);
  assert.deepEqual([code, out], [0, 'guest web is gone\nguest db is gone\n']);
  assert.deepEqual(asked.slice(2), ['DELETE /v1/guests/web', 'DELETE /v1/guests/db']);
  const json = await netferry(['guest', 'rm', 'db', '--json', '--dir', dir]);
  assert.deepEqual(JSON.parse(json.out), { removed: ['db'] });
});

test('guest exec: exit code and, with --json, output; unknown guests and commands', async (t) => {
  const here = { ...WEB, pid: process.pid };
  const { dir } = await fakeDaemon(t, { 'GET /v1/guests': [here] });
  const exec = (...args: string[]) => netferry(['guest', 'exec', '--dir', dir, ...args]);
  assert.equal((await exec('web', '--', process.execPath, '-e', 'process.exit(42)')).code, 42);
  assert.equal((await exec('web', '--', 'sh', '-c', 'kill -TERM $$')).code, 143);
  const script = 'console.log(process.argv[1]); console.error("no"); process.exitCode = 3';
  // What follows -- is not ours, even where it looks like it.
  const { code, out } = await exec('web', '--json', '--', process.execPath, '-e', script, '--', '--json');
  assert.equal(code, 3);
  assert.deepEqual(JSON.parse(out), { exit: 3, stdout: '--json\n', stderr: 'no\n' });
  assert.equal(
    (await exec('nobody', '--', 'ls')).err,
    'netferry: no guest is called "nobody"\n  known: web\n',
  );
});

test('a daemon that is not running, never was, or died and left its socket', async (t) => {
  const dir = directory(t);
  for (const args of [
    ['status'],
    ['vif', 'list'],
    ['guest', 'list'],
    ['guest', 'run', 'web'],
    ['guest', 'rm', 'web'],
  ]) {
    assert.deepEqual(await netferry([...args, '--dir', dir]), gone(dir));
  }
  assert.deepEqual(await netferry(['status', '--dir', join(dir, 'no')]), gone(join(dir, 'no')));
  staleSocket(join(dir, CONTROL_SOCKET));
  assert.deepEqual(await netferry(['status', '--dir', dir]), gone(dir));
});

test('refusals are shown in the daemon’s words; strangers and the silent are told apart', async (t) => {
  const { dir } = await fakeDaemon(t, { 'GET /v1/vifs': '<html>', 'GET /v1/guests': () => [] });
  assert.equal((await netferry(['status', '--dir', dir])).err, 'netferry: no GET /v1/status\n  ask better\n');
  assert.match(
    (await netferry(['vif', 'list', '--dir', dir])).err,
    /does not speak this version's protocol\n/,
  );
  const unknown = await netferry(['guest', 'rm', 'web', '--dir', dir]);
  assert.equal(
    unknown.err,
    'netferry: no guest is called "web"\n  there are none; start it: netferry guest run web\n',
  );
});

test('a daemon that does not answer', async (t: TestContext) => {
  const { createServer } = await import('node:net');
  const dir = directory(t);
  const mute = createServer();
  await new Promise<void>((resolve) => mute.listen(join(dir, CONTROL_SOCKET), resolve));
  t.after(() => mute.close());
  const client = new ControlClient({ directory: dir, uid: UID, timeout: 100 });
  await assert.rejects(client.status(), { message: `the daemon in ${dir} did not answer within 0.1 s` });
});

test('up where one already runs', async (t) => {
  const { dir } = await fakeDaemon(t, {});
  assert.deepEqual(await netferry(['up', '--dir', dir]), {
    code: 1,
    out: '',
    err: `netferry: a daemon already runs in ${dir}\n  look at it: netferry status; or start another one in a --dir of its own\n`,
  });
});

test('sockets of a dead daemon are taken over', async (t) => {
  const dir = directory(t);
  const first = await claimDirectory(dir, UID);
  assert.equal(first.tookOver, false);
  first.release();
  staleSocket(join(dir, CONTROL_SOCKET));
  staleSocket(join(dir, HYPERVISOR_SOCKET));
  const second = await claimDirectory(dir, UID);
  assert.equal(second.tookOver, true);
  assert.deepEqual(
    [CONTROL_SOCKET, HYPERVISOR_SOCKET].map((name) => existsSync(join(dir, name))),
    [false, false],
  );
  second.release();
});

test('a claimed directory is refused, whatever is bound in it already; a released one is not', async (t) => {
  const dir = directory(t);
  const claim = await claimDirectory(dir, UID);
  const refused = { name: 'SetupError', message: `a daemon already runs in ${dir} (pid ${process.pid})` };
  await assert.rejects(claimDirectory(dir, UID), refused);
  await assert.rejects(claimDirectory(dir, UID), refused);
  claim.release();
  claim.release();
  (await claimDirectory(dir, UID)).release();
});

test('a claim ends with its holder, killed as it may be; the next waits for its reaper', async (t) => {
  const dir = join(directory(t), 'own');
  const moduleAt = (name: string) => new URL(`../../src/daemon/${name}.js`, import.meta.url).href;
  const script = `
    const { claimDirectory } = await import(${JSON.stringify(moduleAt('claim'))});
    const { startReaper } = await import(${JSON.stringify(moduleAt('reaper'))});
    const claim = await claimDirectory(${JSON.stringify(dir)}, ${UID});
    startReaper(['control.sock', 'lock'].map((name) => ${JSON.stringify(dir)} + '/' + name), claim.fd, ${JSON.stringify(join(dir, 'hurry'))});
    (await import('node:net')).createServer().listen(${JSON.stringify(join(dir, CONTROL_SOCKET))}, () =>
      process.kill(process.pid, 'SIGKILL'));`;
  for (let round = 0; round < 5; round++) {
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(run.signal, 'SIGKILL', run.stderr);
    const claim = await claimDirectory(dir, UID);
    const ours = join(dir, CONTROL_SOCKET);
    writeFileSync(ours, '');
    await new Promise((go) => setTimeout(go, 50));
    assert.ok(existsSync(ours), 'the dead one’s reaper removed what is ours');
    rmSync(ours);
    claim.release();
  }
});

test('a reaper told that the end is orderly removes nothing', async (t) => {
  const dir = directory(t);
  const claim = await claimDirectory(dir, UID);
  const file = join(dir, 'file');
  writeFileSync(file, '');
  startReaper([file], claim.fd, join(dir, 'hurry')).stop();
  claim.release();
  const next = await claimDirectory(dir, UID); // at once, though the reaper may still be there
  await new Promise((go) => setTimeout(go, 100));
  assert.ok(existsSync(file));
  next.release();
});

test('what became of a removal: unknown is 404, anything else 500', async (t) => {
  const dir = directory(t);
  const path = join(dir, CONTROL_SOCKET);
  const asked: string[] = [];
  const daemon = {
    removeGuest: async (name: string) => {
      asked.push(name);
      if (name === 'gone') throw new UnknownGuest('no guest gone', 'there are none');
      if (name === 'stuck') throw new Error('its memory is stuck');
    },
  } as Partial<Controlled> as Controlled;
  const server = new ControlServer(daemon);
  await server.listen(path);
  t.after(() => server.close());
  const remove = (name: string) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      const question = request(
        { socketPath: path, method: 'DELETE', path: `/v1/guests/${name}`, agent: false },
        async (answer) => resolve([answer.statusCode, (await answer.toArray()).join('')]),
      );
      question.on('error', reject).end();
    });
  assert.deepEqual(await remove('web'), [204, '']);
  assert.deepEqual(await remove('gone'), [404, '{"error":"no guest gone","hint":"there are none"}\n']);
  assert.deepEqual(await remove('stuck'), [500, '{"error":"its memory is stuck","hint":""}\n']);
  assert.deepEqual(asked, ['web', 'gone', 'stuck']);
});

test('directories that cannot be trusted are refused', async (t) => {
  const dir = directory(t);
  const refused = (path: string, message: string) => {
    assert.throws(() => prepareDirectory(path, UID), { name: 'SetupError', message });
  };
  const made = join(dir, 'a', 'b');
  prepareDirectory(made, UID);
  prepareDirectory(made, UID);
  chmodSync(made, 0o770);
  refused(made, `${made} can be written by others`);
  assert.equal(
    (await netferry(['status', '--dir', made])).err,
    `netferry: ${made} can be written by others\n  close it: chmod go-w ${made}\n`,
  );
  mkdirSync(join(dir, 'own'));
  assert.throws(() => prepareDirectory(join(dir, 'own'), UID + 1), {
    message: `${join(dir, 'own')} belongs to user ${UID}, not to you`,
  });
  symlinkSync(join(dir, 'own'), join(dir, 'link'));
  refused(join(dir, 'link'), `${join(dir, 'link')} is not a directory`);
  writeFileSync(join(dir, 'file'), '');
  refused(join(dir, 'file'), `${join(dir, 'file')} is not a directory`);
  refused(join(dir, 'file', 'below'), `cannot make ${join(dir, 'file', 'below')}: ENOTDIR`);
  refused('/proc/netferry', 'cannot make /proc/netferry: ENOENT'); // where mkdir -p would try for ever
  const long = join(dir, 'x'.repeat(100));
  refused(long, `${long}: too long for a socket's path`);
});

test('where the daemon lives', () => {
  assert.equal(defaultDirectory({}, 0), '/run/netferry');
  assert.equal(defaultDirectory({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/run/user/7/netferry');
  assert.equal(defaultDirectory({}, 7), '/tmp/netferry-7');
  assert.equal(defaultDirectory({ NETFERRY_DIR: '/here', XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/here');
});
