/**
 * Features of an interface that must be off while frames are forwarded from it, as a bridge has them on its ports:
 *
 *   rx-lro                segments merged by the NIC are no frames that were ever sent, and cannot be cut again as they
 *                         were (the kernel's dev_disable_lro, of every forwarding interface)
 *   rx-vlan-filter, …     the NIC drops tagged frames of VLANs that the host has no interface for; guests have theirs.
 *                         (A bridge has its uplink promiscuous, which ends that filter in most drivers.)
 *
 * Interfaces that stand on others are left alone: a bond hands such a change down to its slaves, whose own filters stay
 * on and forget the host's VLANs by it (net/8021q/vlan_core.c, vlan_filter_drop_vids), and nothing comes back with the
 * bond's own.
 *
 * What was on is switched on again at the end; not after a SIGKILL, as of a bridge whose machine went down.
 */
import { SysError } from '../sys/errors.js';
import { features, setFeatures } from '../sys/ethtool.js';
import { hasSlaves, linkDetailsOf } from '../sys/link_details.js';

export const OF_PORT = ['rx-lro'];
export const OF_UPLINK = [...OF_PORT, 'rx-vlan-filter', 'rx-vlan-stag-filter'];

/** What is off now. A process that an error ends switches it on again, too. */
const pending = new Set<SwitchedOff>();

function restoreAll(): void {
  for (const one of pending) one.restore();
}

export class SwitchedOff {
  readonly #ifindex: number;
  /** Those that were on, and are off now. */
  readonly names: readonly string[];
  /** Those that stay on: by the driver's will, or since they are not this interface's alone. */
  readonly stuck: readonly string[];

  /** Throws nothing: an interface without them, or a refusal, leaves them as they are. */
  constructor(ifindex: number, wanted: readonly string[]) {
    this.#ifindex = ifindex;
    const before = this.#on(wanted);
    if (before.length > 0 && this.#isLowest()) this.#set(before, false);
    this.stuck = before.length > 0 ? this.#on(before) : [];
    this.names = before.filter((name) => !this.stuck.includes(name));
    if (this.names.length === 0) return;
    if (pending.size === 0) process.once('exit', restoreAll);
    pending.add(this);
  }

  /** Switches them on again, if the interface still is. */
  restore(): void {
    if (pending.delete(this) && pending.size === 0) process.off('exit', restoreAll);
    this.#set(this.names, true);
  }

  #on(wanted: readonly string[]): string[] {
    const name = this.#name();
    if (name === undefined) return [];
    return quietly(() => {
      const now = features(name);
      return wanted.filter((feature) => now.get(feature)?.on);
    }, []);
  }

  #set(names: readonly string[], on: boolean): void {
    const name = this.#name();
    if (names.length === 0 || name === undefined) return;
    quietly(() => setFeatures(name, Object.fromEntries(names.map((feature) => [feature, on]))), undefined);
  }

  /** Hardware (which has no kind) or a veth, and nobody's master: no interface below takes notice of its features. */
  #isLowest(): boolean {
    return quietly(() => {
      const kind = linkDetailsOf(this.#ifindex)?.kind;
      return (kind === '' || kind === 'veth') && !hasSlaves(this.#ifindex);
    }, false);
  }

  /** It may have been renamed. */
  #name(): string | undefined {
    return quietly(() => linkDetailsOf(this.#ifindex)?.name, undefined);
  }
}

function quietly<T>(act: () => T, otherwise: T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SysError) return otherwise;
    throw error;
  }
}
