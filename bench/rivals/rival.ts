/** What every rival of the benchmark is: something that joins two taps, each alone in its namespace as eth0. */
import { Namespaces, type Netns } from '../../src/lab/traffic/netns.js';
import type { Running } from '../../src/lab/traffic/running.js';

export { type Running, tapsMissing, untilReachable } from '../../src/lab/traffic/running.js';

export interface Rival {
  readonly name: string;
  /** How it was built and set up, for a figure's conditions. */
  readonly notes: string[];
  /** Why it cannot run here; undefined if it can. */
  missing(): string | undefined;
  /** Brings up namespaces, taps and the rival's processes. Throws SetupError, leaving nothing behind. */
  start(): Promise<Running>;
}

export const ADDRESS_A = '10.77.0.1';
export const ADDRESS_B = '10.77.0.2';

/** The three namespaces of a rival: it lives in `hub`, where it makes its taps, the guests' ends are A and B. */
export interface Stage {
  hub: Netns;
  nsA: Netns;
  nsB: Netns;
}

/** Names that the rivals give their taps while these are in the hub. */
export const TAP_A = 'tapA';
export const TAP_B = 'tapB';

/**
 * Builds a stage, lets `launch` start the rival in its hub (it returns once TAP_A and TAP_B exist there), and
 * moves the taps to A and B. A tap that changes namespace stays tied to the file descriptor that made it, so
 * one process can serve taps of two namespaces without ever entering either. `behind` 'bridge': TAP_B stays in the
 * hub, on a bridge without netfilter, whose other port is B's wire.
 */
export async function setStage(
  launch: (stage: Stage) => Promise<{ pids: number[]; stop(): Promise<void> }>,
  behind: 'tap' | 'bridge' = 'tap',
): Promise<Running> {
  const spaces = await Namespaces.open();
  let stop = () => spaces.close();
  try {
    const stage: Stage = { hub: await spaces.add(), nsA: await spaces.add(), nsB: await spaces.add() };
    const rival = await launch(stage);
    stop = async () => {
      await rival.stop();
      await spaces.close();
    };
    await moveTap(stage.hub, TAP_A, stage.nsA, ADDRESS_A);
    if (behind === 'tap') await moveTap(stage.hub, TAP_B, stage.nsB, ADDRESS_B);
    else await bridge(stage);
    const { nsA, nsB } = stage;
    return { nsA, nsB, addressA: ADDRESS_A, addressB: ADDRESS_B, pids: rival.pids, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** MTU, queue length and queueing discipline stay the kernel's defaults: 1500, 1000, fq_codel or pfifo_fast. */
async function moveTap(hub: Netns, tap: string, ns: Netns, address: string): Promise<void> {
  await hub.ip(`link set ${tap} down`, `link set ${tap} netns ${ns.pid} name eth0`);
  await ns.ip(`addr add ${address}/24 dev eth0`, 'link set eth0 up');
}

async function bridge({ hub, nsB }: Stage): Promise<void> {
  await hub.ip(
    'link add br0 type bridge',
    `link add up0 type veth peer name eth0 netns ${nsB.pid}`,
    `link set ${TAP_B} master br0`,
    'link set up0 master br0',
  );
  // Where there is no br_netfilter there is nothing to switch off.
  await hub.exec([
    'sh',
    '-c',
    'cd /proc/sys/net/bridge && for f in bridge-nf-call-*; do echo 0 > $f; done || true',
  ]);
  for (const link of [TAP_B, 'up0', 'br0']) await hub.ip(`link set ${link} up`);
  await nsB.ip(`addr add ${ADDRESS_B}/24 dev eth0`, 'link set eth0 up');
}
