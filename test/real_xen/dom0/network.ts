/**
 * What carries the guests of a scenario, with dom0 at the same addresses behind it: Netferry, or, to see whether a
 * fault is ours, the kernel's own netback with a bridge (`npm run test:xen -- --backend kernel SCENARIO`).
 */
import { Skip } from '../scenario.js';
import { macOf, NO_SCRIPT } from './guest.js';
import type { Netferry } from './netferry.js';
import type { Dom0 } from './place.js';

export type Backend = 'netferry' | 'kernel';

/** dom0's addresses; guest number N has 10.0.0.1N and fd00::1N. */
export const HOST = { v4: '10.0.0.1', v6: 'fd00::1' };

/** So that the daemon's host port has them. */
export const HOST_ARGS = ['--host-ip', `${HOST.v4}/24`, '--host-ip', `${HOST.v6}/64`];

export function addressesOf(guest: number): { readonly v4: string; readonly v6: string } {
  return { v4: `10.0.0.${10 + guest}`, v6: `fd00::${10 + guest}` };
}

export interface Network {
  readonly backend: Backend;
  /** The daemon, when it is ours. */
  readonly daemon: Netferry | undefined;
  /** xl's line for a guest's vif; `more` is appended to it. */
  vif(guest: number, vif?: number, more?: string): string;
}

export function netferryNetwork(daemon: Netferry): Network {
  return {
    backend: 'netferry',
    daemon,
    vif: (guest, vif = 0, more = '') => `mac=${macOf(guest, vif)},${NO_SCRIPT}${more && `,${more}`}`,
  };
}

const BRIDGE = 'xenbr0';

export interface KernelBridge {
  /** Frames through the bridge pass iptables and one rule: Debian's default once br_netfilter is loaded. */
  readonly netfilter?: boolean;
}

/** Loads xen-netback and makes the bridge. */
export async function kernelNetwork(dom0: Dom0, options: KernelBridge = {}): Promise<Network> {
  const address = `ip addr add ${HOST.v4}/24 dev ${BRIDGE} && ip addr add ${HOST.v6}/64 dev ${BRIDGE} nodad`;
  await dom0.ok(
    `modprobe xen-netback max_queues=4 && ip link add ${BRIDGE} type bridge && ip link set ${BRIDGE} up`,
  );
  await dom0.ok(address);
  if (options.netfilter) await setNetfilter(dom0, true);
  const line = `bridge=${BRIDGE},script=vif-bridge`;
  return {
    backend: 'kernel',
    daemon: undefined,
    vif: (guest, vif = 0, more = '') => `mac=${macOf(guest, vif)},${line}${more && `,${more}`}`,
  };
}

export async function setNetfilter(dom0: Dom0, on: boolean): Promise<void> {
  const rule = '-m physdev --physdev-is-bridged -j ACCEPT';
  if (on) {
    await dom0.ok(`modprobe br_netfilter && iptables -A FORWARD ${rule}`);
    await dom0.ok('sysctl -w net.bridge.bridge-nf-call-iptables=1');
  } else {
    await dom0.ok(`sysctl -w net.bridge.bridge-nf-call-iptables=0; iptables -D FORWARD ${rule}`);
  }
}

/** For scenarios about something that only Netferry has. */
export function onlyNetferry(backend: Backend): void {
  if (backend !== 'netferry') throw new Skip('not about the kernel’s back end');
}
