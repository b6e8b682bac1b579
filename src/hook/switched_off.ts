/**
 * Features of an interface that must be off while frames are forwarded from it, as a bridge has them on its ports:
 *
 *   rx-lro                segments merged by the NIC are no frames that were ever sent, and cannot be cut again as they
 *                         were. Off all the way down, as the kernel has it for every forwarding interface
 *                         (dev_disable_lro, net/core/dev.c): a bond and its slaves, a VLAN and the NIC below
 *   rx-vlan-filter, …     the NIC drops tagged frames of VLANs that the host has no interface for; guests have theirs.
 *                         (A bridge has its uplink promiscuous, which ends that filter in most drivers.) Off where the
 *                         filter is: at the bottom. A bond's own would make its slaves' filters forget the host's VLANs
 *                         (net/8021q/vlan_core.c, vlan_filter_drop_vids). Not below a VLAN interface, whose VLAN is
 *                         known to the filter
 *
 * What was on is switched on again at the end, upper ones first: what is off above is kept off below
 * (netdev_sync_upper_features). After a SIGKILL the next netferry does it, by `feature_records.ts`.
 */
import { SysError } from '../sys/errors.js';
import { features, setFeatures } from '../sys/ethtool.js';
import { type LinkDetails, linkDetailsList, linkDetailsOf } from '../sys/link_details.js';
import { atExit } from './at_exit.js';
import { FeatureRecords } from './feature_records.js';
import { type Stacked, stackOf } from './lower_devices.js';

/** Which features those are. For tests: those that a virtual interface can switch. */
export interface FeatureOptions {
  /** Default: LRO. */
  readonly everywhere?: readonly string[];
  /** Of an uplink; default: the VLAN filters. */
  readonly lowest?: readonly string[];
  /** Where records are. */
  readonly directory?: string;
}

/** The features, and the records of this process. */
export class Features {
  readonly everywhere: readonly string[];
  readonly lowest: readonly string[];
  readonly records: FeatureRecords;

  constructor(options: FeatureOptions = {}) {
    this.everywhere = options.everywhere ?? ['rx-lro'];
    this.lowest = options.lowest ?? ['rx-vlan-filter', 'rx-vlan-stag-filter'];
    this.records = new FeatureRecords([...this.everywhere, ...this.lowest], options.directory);
  }
}

/** All of a process that say nothing else share this one: two of its interfaces may stand on one NIC. */
export const FEATURES = new Features();

/** A feature of an interface: of the one that frames are forwarded from, or of one below. */
export interface FeatureOf {
  readonly feature: string;
  /** The name of the one below; absent: the first itself. */
  readonly below?: string;
}

export class SwitchedOff {
  readonly #ifindex: number;
  readonly #features: Features;
  readonly #uplink: boolean;
  /** Of each interface of the stack: what is off for us, and belongs on. */
  readonly #held = new Map<number, { readonly link: LinkDetails; readonly names: readonly string[] }>();
  #off: readonly FeatureOf[] = [];
  #stuck: readonly FeatureOf[] = [];
  #forget: (() => void) | undefined;

  /** Throws nothing: an interface without them, or a refusal, leaves them as they are. */
  constructor(ifindex: number, role: 'uplink' | 'port', features: Features = FEATURES) {
    this.#ifindex = ifindex;
    this.#uplink = role === 'uplink';
    this.#features = features;
    this.look();
  }

  /** Those that were on, and are off now. */
  get off(): readonly FeatureOf[] {
    return this.#off;
  }

  /** Those that stay on, by the driver's will. */
  get stuck(): readonly FeatureOf[] {
    return this.#stuck;
  }

  /** Looks again at what the interface stands on: slaves come and go. True: something else is off, or stuck, than before. */
  look(): boolean {
    const stack = quietly(() => stackOf(this.#ifindex), []);
    if (stack.length === 0) return false; // gone: what was below may be there, but nobody says so
    const come = stack.filter(({ link }) => !this.#held.has(link.index));
    const gone = [...this.#held].filter(([index]) => stack.every(({ link }) => link.index !== index));
    if (come.length === 0 && gone.length === 0) return false;
    const writes = come.some((one) => featuresOn(one.link.index, this.#wanted(one)).length > 0);
    this.#features.records.exclusively(writes, () => {
      for (const [index] of gone) this.#restoreOne(index);
      this.#switchOff(come);
    });
    if (this.#off.length > 0) this.#forget ??= atExit(() => this.restore());
    return come.length > 0 || gone.length > 0;
  }

  /** Switches them on again, of the interfaces that still are here, if nobody else needs them off. */
  restore(): void {
    this.#forget?.();
    this.#forget = undefined;
    const held = [...this.#held.values()].some(({ names }) => names.length > 0);
    if (held) {
      this.#features.records.exclusively(true, () => {
        for (const index of [...this.#held.keys()]) this.#restoreOne(index);
      });
    }
    this.#held.clear();
  }

  #switchOff(come: readonly Stacked[]): void {
    const { records } = this.#features;
    const stuck: FeatureOf[] = [];
    const off: FeatureOf[] = [];
    // All is read and recorded before anything is switched: what is off above goes off below by itself.
    const before = come.map((one) => {
      const wanted = this.#wanted(one);
      const recorded = records.recorded(one.link);
      const on = featuresOn(one.link.index, wanted);
      const names = wanted.filter((name) => on.includes(name) || recorded.includes(name));
      records.hold(one.link, names);
      return { link: one.link, names };
    });
    for (const { link, names } of before) set(link.index, names, false);
    for (const { link, names } of before) {
      const still = featuresOn(link.index, names);
      const place = link.index === this.#ifindex ? {} : { below: link.name };
      for (const feature of still) stuck.push({ feature, ...place });
      records.release(link, still);
      const done = names.filter((name) => !still.includes(name));
      for (const feature of done) off.push({ feature, ...place });
      this.#held.set(link.index, { link, names: done });
    }
    this.#off = [...this.#off, ...off];
    this.#stuck = [...this.#stuck, ...stuck];
  }

  #restoreOne(index: number): void {
    const one = this.#held.get(index);
    this.#held.delete(index);
    if (!one) return;
    const { link, names } = one;
    const place = index === this.#ifindex ? undefined : link.name;
    this.#off = this.#off.filter(({ below }) => below !== place);
    this.#stuck = this.#stuck.filter(({ below }) => below !== place);
    const { records } = this.#features;
    const now = quietly(() => linkDetailsOf(index), undefined);
    if (now && now.permanent === link.permanent) set(index, records.release(link, names), true);
    else records.abandon(link, names);
  }

  #wanted({ lowest, belowVlan }: Stacked): readonly string[] {
    const { everywhere, lowest: filters } = this.#features;
    return this.#uplink && lowest && !belowVlan ? [...everywhere, ...filters] : everywhere;
  }
}

/**
 * Switches on what dead processes left switched off on interfaces of this network namespace, and no living one needs
 * off. `eth0 rx-lro` of each. Throws nothing.
 */
export function sweepFeatures({ records }: Features = FEATURES): string[] {
  return records.exclusively(false, () => {
    const left = records.leftovers(quietly(linkDetailsList, []));
    for (const { link, feature } of left) set(link.index, [feature], true);
    return left.map(({ link, feature }) => `${link.name} ${feature}`);
  });
}

function featuresOn(ifindex: number, wanted: readonly string[]): string[] {
  return quietly(() => {
    const now = features(linkDetailsOf(ifindex)?.name ?? '');
    return wanted.filter((feature) => now.get(feature)?.on);
  }, []);
}

/** By index: it may have been renamed. */
function set(ifindex: number, names: readonly string[], on: boolean): void {
  if (names.length === 0) return;
  const wanted = Object.fromEntries(names.map((feature) => [feature, on]));
  quietly(() => setFeatures(linkDetailsOf(ifindex)?.name ?? '', wanted), undefined);
}

function quietly<T>(act: () => T, otherwise: T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SysError) return otherwise;
    throw error;
  }
}
