/**
 * What the hook's programs take for one frame, without the kernel around them: BPF_PROG_TEST_RUN. Needs root.
 *
 *   node dist/bench/hook/programs.js [--repetitions 21] [--runs 200000] [--json]
 *
 * Paths take turns; `empty` is a program that returns at once, what the test run itself takes.
 */
import { parseArgs } from 'node:util';
import { TC_ACT_UNSPEC } from '../../src/abi/bpf_skb.js';
import { Assembler, type Program } from '../../src/hook/assembler.js';
import { loadProgram } from '../../src/hook/loader.js';
import { Maps } from '../../src/hook/maps.js';
import * as piece from '../../src/hook/programs/fragments.js';
import { PORT_CHECKED, PORT_PEER, SLOT_PORTS } from '../../src/hook/programs/layout.js';
import { portIngress } from '../../src/hook/programs/port.js';
import { uplinkEgress, uplinkIngress } from '../../src/hook/programs/uplink.js';
import { interleave } from '../../src/lab/rounds.js';
import { median } from '../../src/lab/stats.js';
import { programTestRun } from '../../src/sys/bpf.js';
import { Reporter } from '../report.js';

const PLAIN = SLOT_PORTS;
const PEER = SLOT_PORTS + 1;
const CHECKED = SLOT_PORTS + 2;
const mac = (number: number) => Uint8Array.of(2, 0, 0, 9, 0, number);
const STRANGER = mac(99);
const ADDRESS = Uint8Array.of(10, 209, 0, 11);

/** 60 bytes: an IPv4 frame from ADDRESS. */
function frame(to: Uint8Array, from: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.set(to, 0);
  bytes.set(from, 6);
  bytes.set([8, 0, 0x45], 12);
  bytes.set(ADDRESS, 26);
  return bytes;
}

function empty(): Program {
  const a = new Assembler('bench_empty');
  piece.verdict(a, TC_ACT_UNSPEC);
  return a.assemble();
}

const { values } = parseArgs({
  options: {
    repetitions: { type: 'string', default: '21' },
    runs: { type: 'string', default: '200000' },
    json: { type: 'boolean', default: false },
  },
});
const maps = new Maps();
const config = { uplink: 1, fallback: 0, groups: 3, flags: 0 };
maps.setConfig(config);
for (const [slot, flags] of [
  [PLAIN, 0],
  [PEER, PORT_PEER],
  [CHECKED, PORT_CHECKED],
] as const) {
  maps.setPort(slot, { ifindex: 1, flags, mac: mac(slot), ipv4: slot === CHECKED ? ADDRESS : undefined });
  maps.setMac(mac(slot), slot);
  maps.setAddress(slot, ADDRESS, true);
}
const program = (of: Program) => loadProgram(of, maps.descriptors);
const port = program(portIngress(PLAIN));
const paths: Record<string, { fd: number; frame: Uint8Array }> = {
  empty: { fd: program(empty()), frame: frame(STRANGER, STRANGER) },
  'port → port, plain': { fd: program(portIngress(PEER)), frame: frame(mac(PLAIN), mac(PEER)) },
  'port → port, peer': { fd: port, frame: frame(mac(PEER), mac(PLAIN)) },
  'port with addresses → port': { fd: program(portIngress(CHECKED)), frame: frame(mac(PEER), mac(CHECKED)) },
  'port → wire': { fd: port, frame: frame(STRANGER, mac(PLAIN)) },
  'wire → port': { fd: program(uplinkIngress()), frame: frame(mac(PEER), STRANGER) },
  'wire → host': { fd: program(uplinkIngress()), frame: frame(mac(98), STRANGER) },
  'host → wire': { fd: program(uplinkEgress()), frame: frame(STRANGER, mac(98)) },
};
const runs = Number(values.runs);
const variants = Object.fromEntries(
  Object.entries(paths).map(([name, { fd, frame: bytes }]) => [
    name,
    () => programTestRun(fd, bytes, runs).nanoseconds,
  ]),
);
const found = await interleave(variants, Number(values.repetitions));
const reporter = new Reporter({ json: values.json });
for (const [name, taken] of Object.entries(found)) {
  reporter.figure({
    name,
    value: median(taken),
    unit: 'ns a frame',
    repetitions: taken.length,
    notes: [`runs ${taken.join(' ')}`],
  });
}
