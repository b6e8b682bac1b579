/** Typing errors: one line that says what is wrong, one that says what to do, exit code 2, nothing touched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRate } from '../../src/cli/options.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { netferry } from './fake.js';

const MAC_HINT = 'write it like 02:00:5e:10:00:01';
const IP_HINT = 'write it like 10.0.0.2/24 or fd00::2/64';
const NAME_HINT = '1 to 32 of a-z, 0-9 and -, no - at either end';
const MTU_HINT = 'a number from 68 to 65521';

const run = (...options: string[]) => ['guest', 'run', 'web', ...options];
type Row = [args: string[], message: string, hint: string];
const rows: Row[] = [
  [run('--mac', '02:00:00:00:00'), '"02:00:00:00:00" is not a MAC address', MAC_HINT],
  [run('--mac', '02-00-00-00-00-01'), '"02-00-00-00-00-01" is not a MAC address', MAC_HINT],
  [run('--mac', '02:00:00:00:00:0g'), '"02:00:00:00:00:0g" is not a MAC address', MAC_HINT],
  [run('--mac', '00:00:00:00:00:00'), 'a guest cannot have the MAC address of all zeroes', MAC_HINT],
  [
    run('--mac', 'FF:ff:ff:ff:ff:ff'),
    'ff:ff:ff:ff:ff:ff is a group address: no guest can have it',
    `${MAC_HINT} (the first byte is even)`,
  ],
  [run('--ip', '10.0.0.2'), '"10.0.0.2" is an address without its prefix length', IP_HINT],
  [run('--ip', '10.0.0.256/24'), '"10.0.0.256" is not an IP address', IP_HINT],
  [run('--ip', '10.0.0.2/33'), '"10.0.0.2/33": the prefix length is at most 32', IP_HINT],
  [run('--ip', 'fd00::2/129'), '"fd00::2/129": the prefix length is at most 128', IP_HINT],
  [run('--ip', 'fe80::1%eth0/64'), '"fe80::1%eth0" is not an IP address', IP_HINT],
  [run('--ip', 'web'), '"web" is not an address with a prefix length', IP_HINT],
  [run('--mtu', '67'), '"67" is not an MTU', MTU_HINT],
  [run('--mtu', '65522'), '"65522" is not an MTU', MTU_HINT],
  [run('--mtu', '1e3'), '"1e3" is not an MTU', MTU_HINT],
  ...['0', '17', '-1', '2.0', ''].map(
    (text): Row => [run('--queues', text), `"${text}" is not a number of queues`, 'from 1 to 16'],
  ),
  ...[
    '10',
    '10Mb',
    '10 Mb/s',
    '0Mb/s',
    '10mb/s',
    '-1Mb/s',
    '1b/s@1us',
    '10Mb/s@',
    '10Mb/s@0ms',
    '10Mb/s@1h',
  ].map(
    (text): Row => [
      run('--rate', text),
      `"${text}" is not a rate`,
      'write it like 10Mb/s, 1MB/s or 1MB/s@20ms',
    ],
  ),
  [run('--transfer', 'flip'), '"flip" is not a transfer', `known: ${TRANSFER_NAMES.join(', ')}`],
  [run('--'), 'there is no command after --', 'netferry guest run NAME -- COMMAND…'],
  [
    run('--json', '--', 'true'),
    '--json would mix with what the command prints',
    'run it with --detach, or by guest exec --json',
  ],
  [run('--shiny'), "unknown option '--shiny'", 'see: netferry --help'],
  [['guest', 'run', 'Web'], '"Web" is not a guest name', NAME_HINT],
  [['guest', 'run', '../web'], '"../web" is not a guest name', NAME_HINT],
  [['guest', 'run', 'x'.repeat(33)], `"${'x'.repeat(33)}" is not a guest name`, NAME_HINT],
  [['guest', 'rm', 'web', 'w_b'], '"w_b" is not a guest name', NAME_HINT],
  [['guest', 'run'], "missing required argument 'name'", 'see: netferry --help'],
  [['guest', 'exec', 'web'], 'there is no command to run', 'netferry guest exec web -- COMMAND…'],
  [['status', '--', 'ls'], 'netferry status takes no command after --', 'see: netferry status --help'],
  [
    ['up', '--no-host', '--host-ip', '10.0.0.1/24'],
    '--no-host leaves nothing to name, address or size',
    'drop --no-host, or the other',
  ],
  [['up', '--host-driver', 'bridge'], '"bridge" is not what a host port can be', 'known: tap, netfront'],
  [
    ['up', '--no-host', '--host-driver', 'tap'],
    '--no-host leaves no port to drive',
    'drop --no-host, or --host-driver',
  ],
  [
    ['up', '--uplink', 'eth0', '--host-driver', 'netfront'],
    '--host-driver netfront does not go with --uplink',
    'leave it out: the port is a tap then',
  ],
  [
    ['up', '--host-name', 'a name'],
    '"a name" is not an interface name',
    "at most 15 bytes, no spaces, '/', ':' or '%'",
  ],
  [['up', '--uplink', ''], '"" is not an interface name', "at most 15 bytes, no spaces, '/', ':' or '%'"],
  [['up', '--uplink', 'eth0', '--mode', 'xdp'], '"xdp" is not a way to attach', 'known: tcx, clsact'],
  [['up', '--ageing', '0'], '"0" is not a time', 'a number of seconds from 1 to 1000000'],
  [['attach'], "missing required argument 'device'", 'see: netferry --help'],
  [['attach', 'a/b'], '"a/b" is not an interface name', "at most 15 bytes, no spaces, '/', ':' or '%'"],
  [['attach', 'p0', '--mac', '02:00:00:00:00'], '"02:00:00:00:00" is not a MAC address', MAC_HINT],
  [
    ['attach', 'p0', '--mac', '33:33:00:00:00:01'],
    '33:33:00:00:00:01 is a group address: no guest can have it',
    `${MAC_HINT} (the first byte is even)`,
  ],
  [['attach', 'p0', '--learn', '0'], '"0" is not a number of MACs', 'a number from 1 to 4096'],
  [['attach', 'p0', '--address', 'web'], '"web" is not an IP address', 'write it like 10.0.0.2 or fd00::2'],
  [['attach', 'p0', '--address', '10.0.0.2/33'], '"10.0.0.2/33": the prefix length is at most 32', IP_HINT],
  [
    ['attach', 'p0', '--name', 'a b'],
    '"a b" is not a port name',
    "1 to 32 characters, no spaces, '/', ':' or '%'",
  ],
  [['detach'], "missing required argument 'device'", 'see: netferry --help'],
  [['lab', 'run', '--quick', '--full'], '--quick and --full are two things', 'choose one'],
  [['lab', 'run', '--out', ''], '--out is empty', 'name a directory'],
  [['lab', 'report'], "missing required argument 'directory'", 'see: netferry --help'],
  [['statsu'], "unknown command 'statsu'", 'Did you mean status?'],
  [['--dir', '', 'status'], '--dir is empty', 'name the daemon’s directory'],
];

for (const [args, message, hint] of rows) {
  test(`netferry ${args.join(' ').slice(0, 60)}`, async () => {
    assert.deepEqual(await netferry(args), { code: 2, out: '', err: `netferry: ${message}\n  ${hint}\n` });
  });
}

test('rates are those of xl', () => {
  for (const [text, bytes, interval] of [
    ['10Mb/s', 62_500, 50_000],
    ['1MB/s@20ms', 20_000, 20_000],
    ['250KB/s@1s', 250_000, 1_000_000],
    ['1GB/s@100us', 100_000, 100],
    ['999B/s', 49, 50_000],
  ] as const)
    assert.deepEqual(parseRate(text), { bytes, interval }, text);
});

test('--help of every command answers on stdout with exit code 0; those with options have examples', async () => {
  const commands = [
    '',
    'up',
    'down',
    'status',
    'vif',
    'vif list',
    'attach',
    'detach',
    'guest',
    'guest run',
    'guest list',
    'guest exec',
    'guest rm',
    'demo',
    'doctor',
    'lab',
    'lab list',
    'lab run',
    'lab report',
  ];
  for (const command of commands) {
    const { code, out, err } = await netferry([...command.split(' ').filter(Boolean), '--help']);
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, new RegExp(`^Usage: netferry ${command}`));
    if (['', 'up', 'vif list', 'attach', 'guest run', 'guest exec', 'lab run'].includes(command))
      assert.match(out, /\nExamples:\n {2}netferry /);
  }
});

test('an uplink is for root alone, and nothing is touched before that is known', async () => {
  const { code, err } = await netferry(
    ['--dir', '/proc/nowhere', 'up', '--uplink', 'eth0'],
    undefined,
    {},
    65_534,
  );
  assert.equal(code, 1);
  assert.equal(
    err,
    'netferry: without root there is no way to eth0\n  run it as root: sudo netferry up --uplink …\n',
  );
});

test('no command is bad usage; --version is not', async () => {
  const { code, out, err } = await netferry([]);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /^Usage: netferry /);
  const version = await netferry(['--version']);
  assert.equal(version.code, 0);
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
});
