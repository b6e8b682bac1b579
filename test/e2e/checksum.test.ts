import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { iperf } from './support/iperf.js';
import { protocolCounters } from './support/kernel_counters.js';
import { lacking, type Place, sleep } from './support/place.js';

const skip = lacking('iperf3', 'ss', 'tcpdump', 'tshark', 'ethtool', 'unshare', 'nsenter', 'ip');
const CHECK = [
  '-o',
  'ip.check_checksum:TRUE',
  '-o',
  'tcp.check_checksum:TRUE',
  '-o',
  'udp.check_checksum:TRUE',
];
const ERRORS = [
  'Tcp.InCsumErrors',
  'Udp.InCsumErrors',
  'Icmp.InCsumErrors',
  'IpExt.InCsumErrors',
  'Udp6InCsumErrors',
  'Icmp6InCsumErrors',
];

/**
 * Ones' complement has two zeroes. Linux writes 0xffff where a sum comes to 0 (CSUM_MANGLED_0, UDP's rule, for TCP as
 * well): every receiver takes it, tshark calls it bad. One TCP segment in 65,536.
 */
const isOtherZero = ([, , , checksum, calculated]: string[]) =>
  checksum === '0xffff' && calculated === '0x0000';

describe('checksums on receipt', { skip }, () => {
  let ferry: Ferry;
  let a: Guest;
  let b: Guest;
  let directory: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'netferry-pcap-'));
    ferry = await Ferry.start();
    a = await ferry.guest('a');
    b = await ferry.guest('b', '--transfer', 'grant-copy');
  });
  after(async () => {
    await ferry?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const places = (): [string, Place, string][] => [
    ['a', a, 'eth0'],
    ['b', b, 'eth0'],
    ['host', ferry.host, 'nf0'],
  ];

  /** Every kernel verified what it was given: a wrong checksum counts there. */
  async function noErrors(): Promise<void> {
    for (const [name, place] of places()) {
      const counters = await protocolCounters(place);
      const errors = ERRORS.filter((key) => (counters.get(key) ?? 0) > 0);
      assert.deepEqual(errors, [], name);
    }
  }

  async function exchange(): Promise<void> {
    const moved = [
      await iperf(a, b, b.v4, '-n', '2M'),
      await iperf(b, a, a.v6, '-n', '2M'),
      await iperf(a, ferry.host, HOST.v4, '-n', '2M'),
      await iperf(ferry.host, b, b.v6, '-n', '2M'),
      await iperf(a, b, b.v4, '-u', '-b', '20M', '-n', '1M', '-l', '1001'),
      await iperf(b, a, a.v6, '-u', '-b', '20M', '-n', '1M', '-l', '333'),
      await iperf(ferry.host, a, a.v4, '-u', '-b', '20M', '-n', '1M', '-l', '64'),
    ];
    for (const { received } of moved) assert.ok(received > 0);
  }

  test('with offloads: blank ones are accepted everywhere, v4 and v6, TCP and UDP', async () => {
    await exchange();
    await noErrors();
  });

  test('without offloads: each one on the wire is there and right (tshark)', async () => {
    for (const [, place, link] of places()) {
      await place.run(['ethtool', '-K', link, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off']);
    }
    const captures = places().map(([name, place, link]) => {
      const file = join(directory, `${name}.pcap`);
      // -Z root: it would lay its privileges down and could not write there.
      return {
        name,
        file,
        dump: place.start(['tcpdump', '-i', link, '-Q', 'in', '-B', '16384', '-Z', 'root', '-U', '-w', file]),
      };
    });
    await sleep(1000);
    await exchange();
    await sleep(500);
    for (const { name, file, dump } of captures) {
      await dump.stop('SIGINT');
      const status = await ferry.host.run([
        'tshark',
        '-r',
        file,
        ...CHECK,
        '-T',
        'fields',
        '-e',
        'ip.checksum.status',
        '-e',
        'tcp.checksum.status',
        '-e',
        'udp.checksum.status',
        '-e',
        'tcp.checksum',
        '-e',
        'tcp.checksum_calculated',
      ]);
      const rows = status
        .trim()
        .split('\n')
        .map((row) => row.split('\t'))
        .map((row) => (isOtherZero(row) ? row.with(1, 'Good') : row));
      const [ip, tcp, udp] = [0, 1, 2].map((column) =>
        rows.map((row) => row[column]).filter((value) => value !== undefined && value !== ''),
      );
      for (const [what, list] of [
        ['IP', ip],
        ['TCP', tcp],
        ['UDP', udp],
      ] as const) {
        assert.deepEqual(
          list.filter((value) => !/^(1|Good)$/.test(value)),
          [],
          `${what} received by ${name}`,
        );
      }
      assert.ok(tcp.length > 50, `${name}: ${tcp.length} TCP segments`);
      if (name !== 'host') assert.ok(udp.length > 50, `${name}: ${udp.length} datagrams`);
    }
    await noErrors();
  });
});
