import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ControlClient } from '../../src/daemon/client.js';
import {
  alive,
  ENTRY,
  Ferry,
  type Guest,
  HOST,
  holdings,
  namespaceOf,
  processesIn,
} from './support/ferry.js';
import { background, lacking, sleep, until } from './support/place.js';

const skip = lacking('ping', 'iperf3', 'xenstore-ls', 'unshare', 'nsenter', 'ip');
/** Bulk both ways between two guests, for as long as they live. */
function traffic(from: Guest, to: Guest) {
  const server = to.start(['iperf3', '-s']);
  const client = from.start(`sleep 0.5; exec iperf3 -c ${to.v4} -t 60 --bidir`);
  return {
    flowing: async (ferry: Ferry) => {
      const start = (await ferry.vif(to)).counters.out.bytes;
      await until('traffic flows', async () => (await ferry.vif(to)).counters.out.bytes > start + 10e6);
    },
    stop: async () => {
      await client.stop('SIGKILL');
      await server.stop('SIGKILL');
    },
  };
}

describe('guests that die', { skip }, () => {
  let ferry: Ferry;
  let a: Guest;
  let b: Guest;
  before(async () => {
    ferry = await Ferry.start();
    a = await ferry.guest('a');
    b = await ferry.guest('b');
  });
  after(() => ferry?.stop());

  test('kill -9 under traffic: all of it is gone, the others do not notice', async () => {
    await a.run(['ping', '-c', '1', '-W', '2', b.v4]);
    const before = holdings(ferry.daemon.pid);
    const nodes = ferry.xenstore('ls').stdout;
    const victim = await ferry.guest('victim');
    const namespace = namespaceOf(victim.pid);
    const flow = traffic(a, victim);
    await flow.flowing(ferry);
    const pings = a.start(['ping', '-n', '-q', '-i', '0.05', '-c', '60', '-W', '2', b.v4]);
    await sleep(500);
    process.kill(victim.pid, 'SIGKILL');
    await until(
      'the guest is forgotten',
      async () => !(await ferry.client.guests()).some((one) => one.name === 'victim'),
      2000,
    );
    assert.equal(
      (await ferry.client.vifs()).some((vif) => vif.guest === 'victim'),
      false,
    );
    await until('its processes are gone', () => processesIn(namespace).length === 0, 2000);
    assert.equal(ferry.xenstore('ls').stdout, nodes);
    await flow.stop();
    const { stdout } = await pings.ended;
    assert.match(stdout, /60 packets transmitted, 60 received/);
    // Pages of others that the traffic mapped may stay; descriptors may not.
    await until('descriptors', () => holdings(ferry.daemon.pid).fds <= before.fds, 2000);
    const again = await ferry.guest('victim');
    await again.run(['ping', '-c', '1', '-W', '2', a.v4]);
    await ferry.cli('guest', 'rm', 'victim');
    assert.equal(ferry.xenstore('ls').stdout, nodes);
  });

  test('a stopped guest loses its own frames, counted; it recovers', async () => {
    // Neighbours keep an entry for a second before they believe the next guest of that address (arp(7): locktime).
    await sleep(1200);
    const stopped = await ferry.guest('stopped');
    await a.run(['ping', '-c', '1', '-W', '2', stopped.v4]);
    process.kill(stopped.pid, 'SIGSTOP');
    const flood = a.start(['ping', '-q', '-i', '0.002', '-c', '2000', '-s', '8000', '-W', '1', stopped.v4]);
    await sleep(500);
    const output = await a.run(['ping', '-n', '-q', '-c', '40', '-i', '0.05', '-W', '2', b.v4]);
    assert.match(output, /40 packets transmitted, 40 received/);
    await until(
      'its frames are dropped and counted',
      async () => ((await ferry.vif(stopped)).counters.drops['rx-stalled'] ?? 0) > 0,
    );
    await flood.stop('SIGKILL');
    process.kill(stopped.pid, 'SIGCONT');
    await until(
      'it answers again',
      async () => (await a.try(['ping', '-c', '1', '-W', '1', stopped.v4])).code === 0,
    );
    await ferry.cli('guest', 'rm', 'stopped');
  });

  test('twenty guests come and go: nothing accumulates', async () => {
    const cycle = async () => {
      const guest = await ferry.guest('cycle');
      await guest.run(['ping', '-c', '1', '-W', '2', a.v4]);
      if (guest.info.domid % 2) process.kill(guest.pid, 'SIGKILL');
      else await ferry.cli('guest', 'rm', 'cycle');
      await until('it is gone', async () => (await ferry.client.guests()).length === 2, 3000);
    };
    // What is made once, is made.
    for (let i = 0; i < 15; i++) await cycle();
    const nodes = ferry.xenstore('ls').stdout;
    const before = holdings(ferry.daemon.pid);
    for (let i = 0; i < 20; i++) await cycle();
    assert.equal(ferry.xenstore('ls').stdout, nodes);
    // Not at once: the last command's own connection may be closing still.
    await until('no more descriptors than before', () => holdings(ferry.daemon.pid).fds <= before.fds, 3000);
    const after = holdings(ferry.daemon.pid);
    assert.equal(after.guestMaps, before.guestMaps, "mappings of guests' memory");
    assert.ok(after.maps <= before.maps, `mappings: ${before.maps}, then ${after.maps}`);
    assert.ok(
      after.resident <= before.resident + 24e6,
      `resident: ${before.resident}, then ${after.resident}`,
    );
  });
});

describe('two daemons, one directory', { skip }, () => {
  for (const apart of [0, 30, 70, 120]) {
    test(`started ${apart} ms apart: one lives, the other leaves it alone`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'netferry-e2e-'));
      const up = () =>
        background(
          spawn(process.execPath, [ENTRY, 'up', '--dir', directory, '--no-host'], {
            stdio: ['ignore', 'pipe', 'pipe'],
            detached: true,
          }),
        );
      const first = up();
      await sleep(apart);
      const both = [first, up()];
      try {
        const { lost, output } = await Promise.race(
          both.map(async (daemon) => ({ lost: daemon, output: await daemon.ended })),
        );
        const [winner] = both.filter((daemon) => daemon !== lost);
        assert.deepEqual([output.code, output.stdout], [1, '']);
        const [line, hint, ...more] = output.stderr.split('\n');
        assert.match(line, /^netferry: a daemon already runs in .*\(pid \d+\)$/);
        assert.ok(line.endsWith(`(pid ${winner.pid})`), line);
        assert.match(hint, /^ {2}look at it: netferry status;/);
        assert.deepEqual(more, ['']);
        await until('the other is up', () => winner.text().includes(' is up: '), 15_000);
        await sleep(200);
        const client = new ControlClient({ directory, uid: process.getuid!() });
        assert.equal((await client.status()).pid, winner.pid);
        assert.deepEqual(readdirSync(directory).sort(), [
          'control.sock',
          'hypervisor.sock',
          'lock',
          'xenstored.sock',
        ]);
        if (apart > 0) assert.equal((await winner.stop()).code, 0);
        else {
          const down = background(
            spawn(process.execPath, [ENTRY, 'down', '--dir', directory], {
              stdio: ['ignore', 'pipe', 'pipe'],
            }),
          );
          const { code, stdout } = await down.ended;
          assert.deepEqual([code, stdout], [0, `the daemon (pid ${winner.pid}) has ended\n`]);
          assert.equal((await winner.ended).code, 0);
        }
        assert.deepEqual(readdirSync(directory), ['lock']);
      } finally {
        await Promise.all(both.map((daemon) => daemon.stop('SIGKILL')));
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});

describe('daemons that end', { skip }, () => {
  for (const [signal, code] of [
    ['SIGKILL', undefined],
    ['SIGTERM', 0],
  ] as const) {
    test(`${signal} under traffic: nothing is left, and the next one starts`, async () => {
      const ferry = await Ferry.start();
      try {
        const a = await ferry.guest('a');
        const b = await ferry.guest('b');
        const flow = traffic(a, b);
        await flow.flowing(ferry);
        const namespaces = [a, b].map((guest) => namespaceOf(guest.pid));
        process.kill(ferry.daemon.pid, signal);
        const { code: ended } = await ferry.daemon.ended;
        if (code !== undefined) assert.equal(ended, code);
        await until('nf0 is gone', async () => (await ferry.host.try('ip link show nf0')).code !== 0);
        await until('the guests are gone', () => !alive(a.pid) && !alive(b.pid));
        await until('their namespaces are empty', () =>
          namespaces.every((one) => processesIn(one).length === 0),
        );
        await until('the sockets are gone', () => ferry.sockets().length === 0);
        const left = processesIn(namespaceOf(ferry.host.pid)).filter((pid) => pid !== ferry.host.pid);
        assert.deepEqual(left, [], 'processes left in the host’s namespace');
        await flow.stop();
        await ferry.up();
        const next = await ferry.guest('a');
        await next.run(['ping', '-c', '1', '-W', '2', HOST.v4]);
        assert.deepEqual(readdirSync(ferry.directory).filter((name) => name.endsWith('.sock')).length, 3);
      } finally {
        await ferry.stop();
      }
    });
  }

  test('a second stop signal ends it at once, though its datapath sleeps', async () => {
    for (const gap of [0, 1, 3, 10, 40]) {
      const ferry = await Ferry.start();
      try {
        const guest = await ferry.guest('a');
        process.kill(ferry.daemon.pid, 'SIGINT');
        if (gap > 0) await sleep(gap);
        if (alive(ferry.daemon.pid)) process.kill(ferry.daemon.pid, 'SIGTERM');
        const ended = await Promise.race([ferry.daemon.ended, sleep(5000)]);
        assert.ok(ended, `${gap} ms between the signals: it still runs after 5 s`);
        await until('the guest is gone', () => !alive(guest.pid));
        await until('the sockets are gone', () => ferry.sockets().length === 0);
      } finally {
        await ferry.stop();
      }
    }
  });
});
