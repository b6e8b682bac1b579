/**
 * What it costs a daemon with many ports that other interfaces of its namespace come and go: its CPU time while nothing
 * happens, and while pairs of veth are made and taken away beside it, as on a host of containers. Needs root.
 *
 *   node dist/bench/hook/events.js [--ports 256] [--seconds 10] [--rate 10] [--mode tcx|clsact]
 *
 * `rate`: pairs a second, each made, brought up and taken away. All of it in a network namespace made for it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ControlClient } from '../../src/daemon/client.js';

const ENTRY = fileURLToPath(new URL('../../src/cli/entry.js', import.meta.url));
const INSIDE = 'NETFERRY_BENCH_NETNS';
/** ms of CPU time that a tick of /proc/PID/stat stands for: USER_HZ is 100 on all of Linux. */
const TICK = 10;

const { values } = parseArgs({
  options: {
    ports: { type: 'string', default: '256' },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '10' },
    mode: { type: 'string', default: 'tcx' },
  },
});
const [ports, seconds, rate] = [values.ports, values.seconds, values.rate].map(Number);

/** Commands for ip(8), one a line. */
function ip(lines: readonly string[]): void {
  const run = spawnSync('ip', ['-batch', '-'], { input: lines.join('\n'), encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`ip: ${run.stderr}`);
}

/** ms of CPU time of a process and its threads so far. */
function cpu(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK; // utime, stime
}

async function during(pid: number, act: () => Promise<unknown>): Promise<number> {
  const before = cpu(pid);
  await act();
  return (cpu(pid) - before) / seconds;
}

async function comeAndGo(): Promise<void> {
  const begun = performance.now();
  for (let pair = 0; pair < seconds * rate; pair++) {
    ip([
      `link add ev${pair} type veth peer name ew${pair}`,
      `link set ev${pair} up`,
      `link set ew${pair} up`,
    ]);
    ip([`link del ev${pair}`]);
    await sleep(Math.max(0, begun + ((pair + 1) * 1000) / rate - performance.now()));
  }
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'netferry-events-'));
  const names = Array.from({ length: ports }, (_, i) => `m${i}`);
  ip(['link add up0 type veth peer name wire0', 'link set up0 up', 'link set wire0 up']);
  ip(names.flatMap((name, i) => [`link add ${name} type veth peer name n${i}`, `link set n${i} up`]));
  const options = ['up', '--dir', directory, '--uplink', 'up0', '--mode', values.mode];
  const daemon = spawn(process.execPath, [ENTRY, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  daemon.stderr.on('data', (text) => {
    said += text;
  });
  try {
    await new Promise<void>((resolve, reject) => {
      daemon.once('exit', () => reject(new Error(said)));
      daemon.stdout.on('data', (text) => String(text).includes(' is up: ') && resolve());
    });
    const client = new ControlClient({ directory, uid: 0 });
    const begun = performance.now();
    for (const [i, device] of names.entries()) {
      const mac = `02:00:00:0a:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`;
      await client.attachPort({ device, macs: [mac] });
    }
    const attached = (performance.now() - begun) / ports;
    await sleep(2000);
    const idle = await during(daemon.pid ?? 0, () => sleep(seconds * 1000));
    const busy = await during(daemon.pid ?? 0, comeAndGo);
    console.log(`${ports} ports by ${values.mode}, attached in ${attached.toFixed(1)} ms each`);
    console.log(`nothing happens: ${idle.toFixed(1)} ms of CPU time a second`);
    console.log(`${rate} pairs a second come and go: ${busy.toFixed(1)} ms of CPU time a second`);
    console.log(`a pair: ${((busy - idle) / rate).toFixed(2)} ms`);
  } finally {
    daemon.kill('SIGTERM');
    await new Promise((resolve) => (daemon.exitCode === null ? daemon.once('exit', resolve) : resolve(0)));
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.env[INSIDE]) await measure();
else {
  const self = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, [INSIDE]: '1' };
  process.exitCode = spawnSync('unshare', ['--net', ...self], { stdio: 'inherit', env }).status ?? 1;
}
