/**
 * Rival: Debian's vde2, the user-space switch that QEMU and user-mode Linux have used for long.
 *
 *   direct:  tapA ═ vde_switch ═ tapB                                   one read, one write a frame
 *   plugs:   tapA ═ vde_plug2tap ─ socket ─ vde_switch ─ socket ─ vde_plug2tap ═ tapB
 *
 * It knows no vnet_hdr: frames are of the MTU's size, with full checksums.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programMissing } from '../../src/lab/traffic/iperf.js';
import { end, linksOf, type Netns } from '../../src/lab/traffic/netns.js';
import { SetupError } from '../../src/sys/errors.js';
import { type Rival, type Stage, setStage, TAP_A, TAP_B, tapsMissing } from './rival.js';

export type VdeMode = 'direct' | 'plugs';

/** vde_switch as a rival, by default in its faster arrangement. */
export function vde(mode: VdeMode = 'direct'): Rival {
  return {
    name: mode === 'direct' ? 'vde_switch' : 'vde_switch + vde_plug2tap',
    notes: [mode === 'direct' ? 'vde_switch with two -tap' : 'vde_plug2tap a tap', 'no vnet_hdr', 'MTU 1500'],
    missing: () => programMissing('vde_switch', 'vde2') ?? programMissing('ip', 'iproute2') ?? tapsMissing(),
    start: () => setStage((stage) => launch(stage, mode)),
  };
}

async function launch({ hub }: Stage, mode: VdeMode): Promise<{ pids: number[]; stop(): Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'vde-'));
  const children: ChildProcess[] = [];
  const stop = async () => {
    for (const child of children.reverse()) await end(child);
    rmSync(dir, { recursive: true, force: true });
  };
  // In the foreground the switch reads commands from stdin, a pipe of ours, and ends when that closes.
  const run = (argv: string[]) => {
    const child = hub.spawn(argv);
    child.stdout.resume();
    child.stderr.resume();
    child.on('error', () => {}); // no such program: the taps will not come, and that is reported
    children.push(child);
  };
  try {
    const control = join(dir, 'ctl');
    if (mode === 'direct') {
      run(['vde_switch', '-s', control, '-t', TAP_A, '-t', TAP_B]);
    } else {
      run(['vde_switch', '-s', control]);
      await untilAnswers(hub, control);
      for (const tap of [TAP_A, TAP_B]) run(['vde_plug2tap', '-s', control, tap]);
    }
    await untilLinks(hub, [TAP_A, TAP_B]);
    return { pids: children.map((child) => child.pid!), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The switch makes its control directory first, and the socket in it last. */
async function untilAnswers(hub: Netns, control: string): Promise<void> {
  await until(async () => (await hub.run(['test', '-S', join(control, 'ctl')])).status === 0, 'vde_switch');
}

async function untilLinks(hub: Netns, names: string[]): Promise<void> {
  await until(async () => names.every((name) => linksOf(hub.pid).includes(name)), 'the taps of vde_switch');
}

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 5000; !(await done()); ) {
    if (Date.now() > deadline) throw new SetupError(`${what} did not come up within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
