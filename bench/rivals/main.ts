/** `node dist/bench/rivals/main.js [--json] [--all]`: the rivals alone, with nothing of ours running. */
import { parseArgs } from 'node:util';
import { interleave } from '../../src/lab/rounds.js';
import { median } from '../../src/lab/stats.js';
import { iperfMissing } from '../../src/lab/traffic/iperf.js';
import { type TrafficResult, tcpThrough } from '../../src/lab/traffic/tcp.js';
import { SetupError } from '../../src/sys/errors.js';
import { Reporter } from '../report.js';
import { bareLoop } from './bare-loop.js';
import { type Rival, type Running, untilReachable } from './rival.js';
import { vde } from './vde.js';

function report(reporter: Reporter, rival: Rival, streams: number, runs: TrafficResult[]): void {
  const of = (pick: (run: TrafficResult) => number) => median(runs.map(pick));
  const percent = (pick: (run: TrafficResult) => number) => `${Math.round(of(pick))}%`;
  reporter.figure({
    name: `${rival.name}, ${streams} stream${streams > 1 ? 's' : ''}`,
    value: of((r) => r.bitsPerSecond) / 1e9,
    unit: 'Gb/s',
    repetitions: runs.length,
    notes: [
      `runs ${runs.map((r) => (r.bitsPerSecond / 1e9).toFixed(2)).join(' ')}`,
      `CPU: rival ${percent((r) => r.carrierCpu)}, iperf3 client ${percent((r) => r.clientCpu)}, ` +
        `server ${percent((r) => r.serverCpu)}`,
      `${of((r) => r.carrierSecondsPerGb).toFixed(2)} CPU s a GB`,
      `${of((r) => r.retransmits)} retransmits`,
      ...rival.notes,
    ],
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      repetitions: { type: 'string', default: '3' },
      congestion: { type: 'string', default: 'cubic' },
    },
  });
  const { congestion } = values;
  const reporter = new Reporter({ json: values.json });
  const rivals = [bareLoop(), vde()];
  if (values.all) {
    rivals.push(bareLoop({ mode: 'poll' }), bareLoop({ language: 'node' }), bareLoop({ offload: false }));
    rivals.push(vde('plugs'));
  }
  const running: { rival: Rival; up: Running }[] = [];
  const stop = async () => {
    for (const { up } of running.splice(0)) await up.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stop().finally(() => process.exit(130)));
  }
  try {
    reporter.group(`iperf3 TCP (${congestion}) between two taps, rivals only`);
    for (const rival of rivals) {
      const reason = iperfMissing() ?? rival.missing();
      if (reason) {
        reporter.skip(rival.name, 'Gb/s', reason);
        continue;
      }
      const up = await rival.start();
      running.push({ rival, up });
      await untilReachable(up);
    }
    for (const streams of [1, 4]) {
      const run = (up: Running) => () => tcpThrough(up, { seconds: 3, streams, congestion });
      const variants = Object.fromEntries(running.map(({ up }, i) => [String(i), run(up)]));
      const results = await interleave(variants, Number(values.repetitions));
      running.forEach(({ rival }, i) => {
        report(reporter, rival, streams, results[i] ?? []);
      });
    }
  } finally {
    await stop();
  }
}

main().catch((error: unknown) => {
  const text = error instanceof SetupError ? `${error.message}\n${error.hint}`.trim() : String(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
});
