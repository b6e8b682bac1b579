/**
 * The kernel's bridge between two namespaces, as what ours replaces:
 *
 *   a  eth0 ═ veth ═ vethA ─┐ br0 ┌─ vethB ═ veth ═ eth0  b        (hub: a third namespace)
 */
import { Namespaces, type Netns } from './netns.js';
import type { Running } from './running.js';

const ADDRESS_A = '10.78.0.1';
const ADDRESS_B = '10.78.0.2';

export interface RunningBridge extends Running {
  /** Whether frames on the bridge pass the host's netfilter hooks (the module br_netfilter). */
  readonly netfilter: boolean;
}

/** Throws SetupError, leaving nothing behind. */
export async function startBridge(signal?: AbortSignal): Promise<RunningBridge> {
  const spaces = await Namespaces.open();
  let stopped: Promise<void> | undefined;
  const stop = () => {
    signal?.removeEventListener('abort', stop);
    stopped ??= spaces.close(); // bridge and veths go with their namespaces
    return stopped;
  };
  signal?.addEventListener('abort', stop);
  try {
    signal?.throwIfAborted();
    const hub = await spaces.add();
    await hub.ip('link add br0 type bridge', 'link set br0 up');
    const nsA = await spaces.add();
    const nsB = await spaces.add();
    await plug(hub, 'vethA', nsA, ADDRESS_A);
    await plug(hub, 'vethB', nsB, ADDRESS_B);
    const setting = await hub.run(['cat', '/proc/sys/net/bridge/bridge-nf-call-iptables']);
    const netfilter = setting.status === 0 && setting.stdout.trim() === '1';
    return { nsA, nsB, addressA: ADDRESS_A, addressB: ADDRESS_B, pids: [], netfilter, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function plug(hub: Netns, name: string, ns: Netns, address: string): Promise<void> {
  await hub.ip(
    `link add ${name} type veth peer name eth0 netns ${ns.pid}`,
    `link set ${name} master br0`,
    `link set ${name} up`,
  );
  await ns.ip(`addr add ${address}/24 dev eth0`, 'link set eth0 up');
}
