// Golden frames, field by field. The TCP or UDP checksum field holds the pseudo-header sum, as a sender
// that leaves the checksum blank writes it; `complete` is the whole checksum.

type Row = readonly [field: string, hex: string];

export interface GoldenFrame {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly l3: number;
  /** Offset of the TCP or UDP header. */
  readonly l4: number;
  /** First byte after it. */
  readonly payload: number;
  readonly proto: 6 | 17;
  readonly complete: number;
  /** What offloadCsumFamily answers. */
  readonly family: 0 | 4 | 6;
}

function frame(...rows: readonly Row[]): Uint8Array {
  return Uint8Array.from(Buffer.from(rows.map(([, hex]) => hex.replaceAll(' ', '')).join(''), 'hex'));
}

const macs: Row = ['destination, source', '02 00 00 00 00 02 02 00 00 00 00 01'];
const ethernet4: readonly Row[] = [macs, ['ethertype IPv4', '08 00']];
const ethernet6: readonly Row[] = [macs, ['ethertype IPv6', '86 dd']];
const addresses4: Row = ['10.0.0.1 to 10.0.0.2', '0a 00 00 01 0a 00 00 02'];
const addresses6: readonly Row[] = [
  ['source 2001:db8::1', '20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01'],
  ['destination 2001:db8::2', '20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02'],
];
const tcpPorts: readonly Row[] = [
  ['ports', 'c0 00 14 51'],
  ['sequence number, near its wrap', 'ff ff ff 00'],
  ['acknowledgement', '00 00 10 00'],
];
const hello: Row = ['payload', '68 65 6c 6c 6f 20 77 6f 72 6c 64'];

const tcp4 = frame(
  ...ethernet4,
  ['version, IHL, TOS', '45 00'],
  ['total length 51', '00 33'],
  ['id, DF', 'ff fe 40 00'],
  ['TTL, TCP', '40 06'],
  ['header checksum', '26 c4'],
  addresses4,
  ...tcpPorts,
  ['data offset 5; CWR ACK PSH FIN', '50 99'],
  ['window', '10 00'],
  ['pseudo-header sum', '14 28'],
  ['urgent', '00 00'],
  hello,
);

const udp4 = frame(
  ...ethernet4,
  ['version, IHL, TOS', '45 00'],
  ['total length 39', '00 27'],
  ['id, DF', '00 01 40 00'],
  ['TTL, UDP', '40 11'],
  ['header checksum', '26 c3'],
  addresses4,
  ['ports', '00 35 c0 01'],
  ['length 19', '00 13'],
  ['pseudo-header sum', '14 27'],
  hello,
);

const udp6 = frame(
  ...ethernet6,
  ['version, class, flow', '60 00 00 00'],
  ['payload length 19, UDP, hop limit', '00 13 11 40'],
  ...addresses6,
  ['ports', '00 35 c0 01'],
  ['length 19', '00 13'],
  ['pseudo-header sum', '5b 99'],
  hello,
);

const tcp6 = frame(
  ...ethernet6,
  ['version, class, flow', '60 00 00 00'],
  ['payload length 75, hop-by-hop, hop limit', '00 4b 00 40'],
  ...addresses6,
  ['hop-by-hop: next AH, 8 bytes, PadN', '33 00 01 04 00 00 00 00'],
  ['AH: next destination options, 12 bytes; SPI; sequence', '3c 01 00 00 00 00 00 01 00 00 00 01'],
  ['destination options: next routing', '2b 00 01 04 00 00 00 00'],
  ['routing: next fragment, no segments left', '2c 00 04 00 00 00 00 00'],
  ['atomic fragment: next TCP', '06 00 00 00 00 00 00 07'],
  ...tcpPorts,
  ['data offset 5; ACK', '50 10'],
  ['window', '10 00'],
  ['pseudo-header sum', '5b 9a'],
  ['urgent', '00 00'],
  hello,
);

const qinq = frame(
  macs,
  ['802.1ad tag, VLAN 100', '88 a8 00 64'],
  ['802.1Q tag, VLAN 5', '81 00 00 05'],
  ['ethertype IPv4', '08 00'],
  ['version, IHL 6, TOS', '46 00'],
  ['total length 67', '00 43'],
  ['id, DF', '12 34 40 00'],
  ['TTL, TCP', '40 06'],
  ['header checksum', '11 7e'],
  addresses4,
  ['options: NOP NOP NOP EOL', '01 01 01 00'],
  ...tcpPorts,
  ['data offset 8; ACK', '80 10'],
  ['window', '10 00'],
  ['pseudo-header sum', '14 34'],
  ['urgent', '00 00'],
  ['options: NOP NOP timestamps', '01 01 08 0a 00 00 00 01 00 00 00 02'],
  hello,
);

export const goldenFrames: readonly GoldenFrame[] = [
  { name: 'TCP over IPv4', bytes: tcp4, l3: 14, l4: 34, payload: 54, proto: 6, complete: 0x161d, family: 4 },
  { name: 'UDP over IPv4', bytes: udp4, l3: 14, l4: 34, payload: 42, proto: 17, complete: 0x99c0, family: 4 },
  { name: 'UDP over IPv6', bytes: udp6, l3: 14, l4: 54, payload: 62, proto: 17, complete: 0x524e, family: 6 },
  {
    name: 'TCP, IPv6 extensions',
    bytes: tcp6,
    l3: 14,
    l4: 98,
    payload: 118,
    proto: 6,
    complete: 0xcf33,
    family: 6,
  },
  {
    name: 'TCP, two tags, options',
    bytes: qinq,
    l3: 22,
    l4: 46,
    payload: 78,
    proto: 6,
    complete: 0xdd8b,
    family: 0,
  },
];

/** Frames without a TCP or UDP header. */
export const otherFrames: readonly { readonly name: string; readonly bytes: Uint8Array }[] = [
  { name: 'ARP', bytes: frame(macs, ['ethertype ARP', '08 06'], ['body', '00'.repeat(28)]) },
  {
    name: 'three VLAN tags',
    bytes: frame(macs, ['tags', '81 00 00 01 81 00 00 02 81 00 00 03'], ['ethertype IPv4', '08 00']),
  },
  {
    name: 'ICMP',
    bytes: frame(...ethernet4, ['IPv4, total length 28', '45 00 00 1c 00 01 00 00 40 01 66 de'], addresses4, [
      'echo',
      '08 00 00 00 00 00 00 00',
    ]),
  },
  {
    name: 'IPv4 first fragment',
    bytes: frame(
      ...ethernet4,
      ['IPv4, total length 28, more fragments', '45 00 00 1c 00 01 20 00 40 11 46 ce'],
      addresses4,
      ['UDP header', '00 35 c0 01 00 20 00 00'],
    ),
  },
  {
    name: 'IPv4 later fragment',
    bytes: frame(
      ...ethernet4,
      ['IPv4, total length 28, offset 8', '45 00 00 1c 00 01 00 01 40 11 66 cd'],
      addresses4,
      ['payload', '00 35 c0 01 00 20 00 00'],
    ),
  },
  {
    name: 'IPv6 fragment',
    bytes: frame(
      ...ethernet6,
      ['IPv6, payload length 16, fragment', '60 00 00 00 00 10 2c 40'],
      ...addresses6,
      ['fragment: next UDP, offset 0, more', '11 00 00 01 00 00 00 07'],
      ['UDP header', '00 35 c0 01 00 20 00 00'],
    ),
  },
];
