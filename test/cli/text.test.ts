/** Numbers as people read them, tables, and the search for a free network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeNetwork, overlap, routes4, routes6, usedPrefixes } from '../../src/cli/network.js';
import { bitRate, bytes, dropsText, duration, frameRate, human, table } from '../../src/cli/text.js';

test('three digits and a prefix', () => {
  const rows: [number, string][] = [
    [0, '0'],
    [7, '7'],
    [999, '999'],
    [999.7, '1.00 k'],
    [1000, '1.00 k'],
    [9994, '9.99 k'],
    [9995, '10.0 k'],
    [99_949, '99.9 k'],
    [99_950, '100 k'],
    [999_499, '999 k'],
    [999_500, '1.00 M'],
    [12_345_678, '12.3 M'],
    [2 ** 53, '9.01 P'],
    [0.5, '0.50'],
  ];
  for (const [value, text] of rows) assert.equal(human(value), text);
  assert.equal(bytes(1536), '1.54 kB');
  assert.equal(bytes(10), '10 B');
  assert.equal(bitRate(1.25e9), '10.0 Gb/s');
  assert.equal(frameRate(250_000), '250 kpps');
});

test('durations', () => {
  assert.equal(duration(0.9), '00:00:00');
  assert.equal(duration(3599), '00:59:59');
  assert.equal(duration(86_399.9), '23:59:59');
  assert.equal(duration(86_400 * 3 + 61), '3 d 00:01:01');
});

test('drops: the most first', () => {
  assert.equal(dropsText({}), '-');
  assert.equal(dropsText({ runt: 2, 'rx-full': 12_000 }), 'rx-full 12.0 k, runt 2');
});

test('tables: aligned, no lines, nothing behind the last word', () => {
  assert.equal(table(['NAME', 'N'], [['a', '1'], ['long', '100']], [1]), 'NAME    N\na       1\nlong  100\n'); // biome-ignore format: a table
});

test('prefixes overlap when one holds the other', () => {
  assert.equal(overlap('10.0.0.0/8', '10.206.77.0/24'), true);
  assert.equal(overlap('10.206.77.5/32', '10.206.77.0/24'), true);
  assert.equal(overlap('10.206.78.0/24', '10.206.77.0/24'), false);
  assert.equal(overlap('fd4e:4652::/32', 'fd4e:4652:4d::/64'), true);
  assert.equal(overlap('::/1', '10.0.0.0/8'), false);
});

test('routes of /proc/net, without the default ones', () => {
  const four = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t004DCE0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
  assert.deepEqual(routes4(four), ['192.168.0.0/16', '10.206.77.0/24']);
  const zeroes = '0'.repeat(32);
  const six = `fd4e4652004d00000000000000000000 40 ${zeroes} 00 ${zeroes} 00000100 00000001 00000000 00000001 eth0
${zeroes} 00 ${zeroes} 00 ${zeroes} ffffffff 00000001 00000000 00200200 lo
`;
  assert.deepEqual(routes6(six), ['fd4e:4652:004d:0000:0000:0000:0000:0000/64']);
});

test('the first free network from a number on, around the corner, then the benchmarking range', () => {
  const at77 = freeNetwork(77, []);
  assert.deepEqual(at77.host, ['10.206.77.1/24', 'fd4e:4652:4d::1/64']);
  assert.deepEqual(at77.guest(1), ['10.206.77.3/24', 'fd4e:4652:4d::3/64']);
  assert.deepEqual(freeNetwork(0, []).host, ['10.206.0.1/24', 'fd4e:4652::1/64']);
  assert.equal(freeNetwork(77, ['10.206.77.9/32']).number, 78);
  assert.equal(freeNetwork(77, ['fd4e:4652:4d:0:0:0:0:1/128']).number, 78);
  assert.equal(freeNetwork(255, ['10.206.255.0/24']).number, 0);
  assert.equal(freeNetwork(77, ['10.0.0.0/8']).host[0], '198.18.77.1/24');
  assert.throws(() => freeNetwork(0, ['10.0.0.0/8', '198.18.0.0/15']), { name: 'SetupError' });
  for (const prefix of usedPrefixes()) assert.match(prefix, /^[0-9a-f.:]+\/\d+$/);
});
