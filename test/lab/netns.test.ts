import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { iperf, iperfMissing, parseIperf } from '../../src/lab/traffic/iperf.js';
import { end, linksOf, Namespaces, Netns, processesIn } from '../../src/lab/traffic/netns.js';
import { SetupError } from '../../src/sys/errors.js';

let spaces: Namespaces | undefined;
let refused = '';
before(async () => {
  try {
    spaces = await Namespaces.open();
    const probe = await spaces.add();
    assert.ok(probe.pid > 0);
  } catch (error) {
    refused = `SKIPPED, NOT TESTED: ${String(error)}`;
  }
});
after(() => spaces?.close());

test('a namespace has lo, up, and nothing of the host', async (t) => {
  if (!spaces || refused) return t.skip(refused);
  const ns = await spaces.add();
  assert.deepEqual(linksOf(ns.pid), ['lo']);
  assert.notEqual(readlinkSync(`/proc/${ns.pid}/ns/net`), readlinkSync('/proc/self/ns/net'));
  const { stdout } = await ns.exec(['ip', '-br', 'link']);
  assert.match(stdout, /^lo\s+UNKNOWN/);
});

test('a command that fails is a SetupError with its last words; run() gives the code', async (t) => {
  if (!spaces || refused) return t.skip(refused);
  const ns = await spaces.add();
  await assert.rejects(
    ns.ip('link set nosuch up'),
    (e) => e instanceof SetupError && /nosuch/.test(e.message),
  );
  assert.equal((await ns.run(['false'])).status, 1);
  await assert.rejects(ns.run(['sleep', '60'], 100), /no end within 100 ms/);
});

test('a spawned command has the pid of its child process, so that it can be ended', async (t) => {
  if (!spaces || refused) return t.skip(refused);
  const ns = await spaces.add();
  const child = ns.spawn(['sh', '-c', 'echo $$; exec sleep 60']);
  const [first] = await once(child.stdout, 'data');
  assert.equal(Number(String(first)), child.pid);
  assert.deepEqual(processesIn(ns).sort(), [ns.pid, Number(child.pid)].sort());
  await end(child);
  await end(child); // twice is once
  assert.throws(() => process.kill(child.pid!, 0), { code: 'ESRCH' });
});

test('namespaces end with the process that opened them, even when that is killed', async (t) => {
  if (!spaces || refused) return t.skip(refused);
  const module = new URL('../../src/lab/traffic/netns.js', import.meta.url).href;
  const script = `
    const { Namespaces } = await import(${JSON.stringify(module)});
    const ns = await (await Namespaces.open()).add();
    const sleeper = ns.spawn(['sleep', '60']);
    console.log(ns.pid, sleeper.pid);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' });
  const [line] = await once(owner.stdout, 'data');
  const pids = String(line).trim().split(' ').map(Number);
  assert.equal(pids.length, 2);
  await new Promise((resolve) => setTimeout(resolve, 200)); // until setpriv has made way for sleep
  await end(owner);
  for (const deadline = Date.now() + 3000; pids.some(alive) && Date.now() < deadline; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(pids.filter(alive), []);
});

test('the namespace of a process that is gone is a SetupError', () => {
  assert.throws(() => new Netns(2 ** 30), SetupError);
});

test('iperf3 over lo of one namespace; and its reason when nobody can be reached', async (t) => {
  const reason = refused || iperfMissing();
  if (!spaces || reason) return t.skip(`SKIPPED, NOT TESTED: ${reason}`);
  const ns = await spaces.add();
  const ends = { server: ns, client: ns };
  const result = await iperf({ ...ends, address: '127.0.0.1', seconds: 1, streams: 2 });
  assert.ok(result.bitsPerSecond > 1e6 && result.bytes > 1e5, JSON.stringify(result));
  assert.ok(result.clientCpu > 0 && Math.abs(result.seconds - 1) < 0.5);
  const udp = await iperf({ ...ends, address: '::1', seconds: 1, udpBitrate: 1e6 });
  assert.ok(udp.bitsPerSecond > 1e5 && udp.lostPercent <= 100, JSON.stringify(udp));
  await assert.rejects(
    iperf({ ...ends, address: '192.0.2.1', seconds: 1 }),
    /^SetupError: iperf3: unable to/,
  );
});

test('iperf3 output: a result, a failure, and no JSON at all', () => {
  const sum = { bits_per_second: 8e9, bytes: 3e9, seconds: 3 };
  const cpu_utilization_percent = { host_total: 90, remote_total: 40 };
  const end = { sum_sent: { ...sum, retransmits: 7 }, sum_received: sum, cpu_utilization_percent };
  const parsed = parseIperf(JSON.stringify({ end }));
  assert.deepEqual(parsed, {
    ...{ bitsPerSecond: 8e9, bytes: 3e9, seconds: 3, retransmits: 7, lostPercent: 0 },
    ...{ clientCpu: 90, serverCpu: 40 },
  });
  assert.throws(() => parseIperf('{"end":{},"error":"error - no route"}'), /iperf3: no route$/);
  assert.throws(() => parseIperf('{"end":{}}'), SetupError);
  assert.throws(() => parseIperf('', 'iperf3: killed'), /killed/);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
