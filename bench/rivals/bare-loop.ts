/**
 * Rival: two taps joined by a bare read/write loop, in C where gcc is, else in Node.
 *
 *   nsA  eth0 ═╗                    ╔═ eth0  nsB
 *              ╚═ read ─ bare-loop ─ write ═╝      (hub: a third namespace)
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programMissing } from '../../src/lab/traffic/iperf.js';
import { end, untilSays } from '../../src/lab/traffic/netns.js';
import { SetupError } from '../../src/sys/errors.js';
import { BARE_LOOP_C } from './bare-loop-source.js';
import { type Rival, setStage, TAP_A, TAP_B, tapsMissing } from './rival.js';

export interface BareLoopOptions {
  /**
   * One thread that polls both taps, or a thread that blocks in read() per direction. Default threads: it
   * spares the poll() and the empty read() of every burst, and is the faster by a tenth or more.
   */
  mode?: 'poll' | 'threads';
  /** Default: C if there is a gcc. Node knows the mode `threads` only. */
  language?: 'c' | 'node';
  /** vnet_hdr with checksum and segmentation offload: frames up to 64 KiB. Without: MTU-sized frames. */
  offload?: boolean;
  /** What the second tap leads to: B itself, or a bridge with B's wire. */
  behind?: 'tap' | 'bridge';
}

/** The loop as a rival. Its notes say which language it is in: without gcc the rival is a little weaker. */
export function bareLoop(options: BareLoopOptions = {}): Rival {
  const language = options.language ?? (programMissing('gcc', 'gcc') ? 'node' : 'c');
  const mode = language === 'node' ? 'threads' : (options.mode ?? 'threads');
  const offload = options.offload ?? true;
  const traits = [
    ...(language === 'node' ? ['Node'] : []),
    ...(mode === 'threads' && language === 'c' ? ['two threads'] : []),
    ...(offload ? [] : ['no offloads']),
    ...(options.behind === 'bridge' ? ['bridge'] : []),
  ];
  return {
    name: traits.length > 0 ? `bare loop (${traits.join(', ')})` : 'bare loop',
    notes: [
      language === 'c' ? 'C, gcc -O2' : 'Node',
      mode === 'poll' ? 'one thread, poll' : 'one blocking thread a direction',
      offload ? 'vnet_hdr, TSO' : 'no vnet_hdr',
      'MTU 1500',
    ],
    missing: () => programMissing('ip', 'iproute2') ?? tapsMissing(),
    start: () =>
      setStage(async ({ hub }) => {
        const dir = mkdtempSync(join(tmpdir(), 'bare-loop-'));
        try {
          const program = language === 'c' ? [compile(dir)] : [process.execPath, NODE_LOOP];
          const loop = hub.spawn([...program, TAP_A, TAP_B, mode, offload ? 'vnet' : 'plain']);
          await untilSays(loop, 'ready');
          return { pids: [loop.pid!], stop: () => end(loop) };
        } finally {
          rmSync(dir, { recursive: true, force: true }); // a running program keeps its file until it ends
        }
      }, options.behind),
  };
}

const NODE_LOOP = fileURLToPath(new URL('./bare-loop-node.js', import.meta.url));

function compile(dir: string): string {
  const program = join(dir, 'bare-loop');
  const source = `${program}.c`;
  writeFileSync(source, BARE_LOOP_C);
  const gcc = spawnSync('gcc', ['-O2', '-Wall', '-pthread', '-o', program, source], { encoding: 'utf8' });
  if (gcc.status === 0) return program;
  const why = gcc.error?.message ?? gcc.stderr.trim().split('\n')[0];
  throw new SetupError(`gcc could not compile the bare loop: ${why}`, 'apt-get install gcc libc6-dev');
}
