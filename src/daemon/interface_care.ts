/**
 * Looking after interfaces: the uplink and the ports go, come, are renamed, and what learning ports learned grows old.
 * What is told of is looked at at once, and each second the uplink, a turn of the ports, and what is away. All else that
 * happens in the namespace costs nothing more than hearing of it: a host of containers has many interfaces that are none
 * of ours.
 */
import { usableDevice } from '../hook/device.js';
import type { Hook } from '../hook/hook.js';
import type { InterfaceChanges } from '../sys/interface_events.js';
import { linkDetailsOf } from '../sys/link_details.js';
import { linkInfo, linkList } from '../sys/netlink.js';
import type { Hurry } from './hurry.js';
import type { KernelPort } from './kernel_port.js';
import type { Log } from './log.js';
import type { UplinkKeeper } from './uplink_keeper.js';

/** Ports looked at anyway in a second. */
const TURN = 32;
/**
 * ms that taking away and attaching may take in one look; the kernel waits for RCU in each, some 10 to 30 ms. When many
 * ports go or come at once, everything else that the thread does has its turn in between.
 */
const BUDGET = 100;
/**
 * A walk through what was learned takes ms, and a guest can have its carrier come and go as often as it likes. So between
 * two walks that it makes happen, this many times what the last one took passes, or till the next second's look.
 */
const PAUSE = 20;

export interface InterfaceCareParts {
  readonly uplink: UplinkKeeper | undefined;
  /** The owner's list, as it is at each look. */
  readonly ports: readonly KernelPort[];
  /** Seconds. */
  readonly ageing: number;
  readonly log: Log;
  readonly hurry: Hurry;
  /** ms; default performance.now. */
  readonly clock?: () => number;
}

export class InterfaceCare {
  readonly #parts: InterfaceCareParts;
  /** Where the next look's turn of ports begins. */
  #turn = 0;
  /** What went wrong last; said once. */
  #failure = '';
  /** ms of the budget that this look has used. */
  #spent = 0;
  /** Ports seen without carrier, by the hook's numbers; what was learned behind them is to be forgotten. */
  readonly #deserted = new Set<number>();
  /** By the clock, before which nothing is forgotten for that but by the look each second. */
  #pausedUntil = 0;

  constructor(parts: InterfaceCareParts) {
    this.#parts = parts;
  }

  /**
   * `changes` undefined: any may have changed; `polled`: a second is over. False: it is not done; look again soon, with the
   * same changes, to which the rest is added. Throws nothing.
   */
  look(hook: Hook, changes: InterfaceChanges | undefined, polled: boolean): boolean {
    const { uplink: keeper, ports, ageing, log, hurry } = this.#parts;
    const failures: string[] = [];
    // What goes wrong with one thing keeps nothing from the others.
    const attempt = <T>(act: () => T): T | undefined => {
      try {
        return act();
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
        return undefined;
      }
    };
    const rest: KernelPort[] = [];
    this.#spent = 0;
    const due = this.#due(hook, changes, polled);
    const lost = attempt(() => hook.lost(due));
    const names = changes && attempt(() => this.#names(changes, polled));
    if (lost) {
      attempt(() => keeper && this.#lookAtUplink(keeper, hook, lost, due, polled ? undefined : names));
      attempt(() => this.#lookAtCrossing(hook, lost));
      const looked = ports.filter((port) => this.#isDue(port, due, names));
      hurry.during(looked.filter((port) => this.#mayEnter(port)).length, () => {
        for (const port of looked) {
          if (this.#spent < BUDGET) attempt(() => this.#lookAtPort(port, hook, lost));
          else rest.push(port);
        }
      });
    }
    for (const port of rest) {
      if (port.present) changes?.indexes.add(port.ifindex);
      else changes?.names.add(port.device);
    }
    attempt(() => hook.examine(due));
    attempt(() => this.#forgetDeserted(hook, polled));
    if (polled && ports.some((port) => port.learns)) attempt(() => hook.forgetLearned(ageing * 1000));
    const failure = failures.join('; ');
    if (failure !== '' && failure !== this.#failure) log.warn(`looking after interfaces: ${failure}`);
    if (failure !== '' || polled) this.#failure = failure;
    return rest.length === 0;
  }

  /** Indexes of interfaces to look at; undefined: all. */
  #due(hook: Hook, changes: InterfaceChanges | undefined, polled: boolean): Set<number> | undefined {
    if (!changes) return undefined;
    if (!polled) return changes.indexes;
    return new Set([...changes.indexes, ...this.#nextTurn(hook), hook.uplink?.ifindex ?? 0]);
  }

  /** Under which something came or changed; each second, while ports are away, all that there are. */
  #names(changes: InterfaceChanges, polled: boolean): ReadonlySet<string> {
    if (!polled || this.#parts.ports.every((port) => port.present)) return changes.names;
    return new Set(linkList().map(({ name }) => name));
  }

  /** Indexes of some ports, others each time: what no event tells of is found on them too. */
  #nextTurn(hook: Hook): number[] {
    const ports = hook.ports();
    const first = this.#turn < ports.length ? this.#turn : 0;
    this.#turn = first + TURN;
    return ports.slice(first, this.#turn).map(({ ifindex }) => ifindex);
  }

  #lookAtUplink(
    keeper: UplinkKeeper,
    hook: Hook,
    lost: ReadonlySet<number>,
    due: ReadonlySet<number> | undefined,
    names: ReadonlySet<string> | undefined,
  ): void {
    if (hook.uplink) {
      const { ifindex } = hook.uplink;
      if (isAmong(due, ifindex)) keeper.look(hook, lost.has(ifindex), linkDetailsOf(ifindex));
    } else if (!names || keeper.isCalled(names)) keeper.look(hook, true, undefined);
  }

  /** Its interface has a keeper (tap_keeper.ts); its program may be taken away too, and then nothing in user space is reached. */
  #lookAtCrossing(hook: Hook, lost: ReadonlySet<number>): void {
    const crossing = hook.ports().find(({ fallback }) => fallback);
    if (!crossing || !lost.has(crossing.ifindex)) return;
    try {
      crossing.reattach();
    } catch (error) {
      if (!linkDetailsOf(crossing.ifindex)) return; // deleted a moment ago: its keeper will see it
      throw error;
    }
    this.#parts.log.warn(`${crossing.name}: its program was taken away, and is back`);
  }

  #isDue(
    port: KernelPort,
    due: ReadonlySet<number> | undefined,
    names: ReadonlySet<string> | undefined,
  ): boolean {
    return port.present ? isAmong(due, port.ifindex) : (names?.has(port.device) ?? true);
  }

  /** Its interface is back, and nothing says yet that it will not do. */
  #mayEnter(port: KernelPort): boolean {
    const index = port.present ? undefined : linkInfo(port.device)?.index;
    return index !== undefined && port.backoff.isDue(index);
  }

  #lookAtPort(port: KernelPort, hook: Hook, lost: ReadonlySet<number>): void {
    const { log } = this.#parts;
    if (port.present) {
      const now = linkDetailsOf(port.ifindex);
      if (now?.carrier === false && port.learns && port.id !== undefined) this.#deserted.add(port.id);
      if (port.stays(lost.has(port.ifindex), now)) return;
      const why = now ? `the program on ${now.name} was taken away` : `${port.device} is gone`;
      this.#timed(() => port.leave(hook, why));
      log.warn(`port ${port.name}: ${why}; it is attached again${now ? '' : ' when it is back'}`);
    }
    if (!linkInfo(port.device)) return;
    try {
      const { index } = usableDevice(port.device, 'port');
      if (!port.backoff.isDue(index)) return;
      port.backoff.failed(index); // unless it goes well
      this.#timed(() => port.enter(hook));
      port.backoff.succeeded();
      log.info(`port ${port.name}: ${port.device} is back`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (port.stillAbsent(why)) log.warn(`port ${port.name}: ${why}`);
    }
  }

  /** Nobody is behind them any more: who comes next may have other MACs. A bridge forgets then, too. */
  #forgetDeserted(hook: Hook, polled: boolean): void {
    const clock = this.#parts.clock ?? (() => performance.now());
    const begun = clock();
    if (this.#deserted.size === 0 || (!polled && begun < this.#pausedUntil)) return;
    const ids = [...this.#deserted];
    this.#deserted.clear();
    hook.forgetBehind(ids);
    const ended = clock();
    this.#pausedUntil = ended + PAUSE * (ended - begun);
  }

  #timed(act: () => void): void {
    const begun = performance.now();
    try {
      act();
    } finally {
      this.#spent += performance.now() - begun;
    }
  }
}

function isAmong(indexes: ReadonlySet<number> | undefined, index: number): boolean {
  return indexes?.has(index) ?? true;
}
