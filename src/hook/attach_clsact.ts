/**
 * Attachment as filters of the clsact qdisc. They outlive a killed process, so each says in its name whose it is:
 *
 *   netferry/<pid namespace>/<pid>/<the process's start time>[/qdisc]
 *
 * `/qdisc`: we made the qdisc, and take it away with the last filter. Whoever starts next takes away what a dead
 * process left, refuses an interface whose process lives (or cannot be seen from here), and touches no other filter. Handle and kind
 * are fixed too: 0x4e460001, bpf.
 *
 * Adding or taking away the qdisc, clsact's too, stops the interface's queues while the kernel waits for RCU
 * (net/sched/sch_api.c, qdisc_graft: dev_deactivate, dev_activate): what is sent in those 0.2 to 0.5 ms is dropped,
 * reason QDISC_DROP. So a successor takes over the qdisc that a killed process left on its uplink. TCX has no such moment.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { SetupError, SysError } from '../sys/errors.js';
import { linkDetailsOf } from '../sys/link_details.js';
import {
  clsactAdd,
  clsactDelete,
  type Filter,
  filterAdd,
  filterDelete,
  filterList,
  ingressQdisc,
  ingressQdiscs,
  type Side,
} from '../sys/traffic_control.js';
import { atExit } from './at_exit.js';
import {
  type Attachment,
  type Order,
  type Orders,
  OURS,
  type Programs,
  type Target,
  taken,
} from './attachment.js';

const HANDLE = 0x4e46_0001;
const MADE_QDISC = '/qdisc';
const SIDES: readonly Side[] = ['ingress', 'egress'];
const PRIORITY_MAX = 0xffff;
const { EINVAL, ENODEV, ENOENT } = constants.errno;

export function attachClsact(target: Target, programs: Programs, orders: Orders): Attachment {
  const madeBefore = removeLeftovers(target);
  const there = ingressQdisc(target.ifindex);
  if (there === 'ingress' && programs.egress !== undefined) {
    throw new SetupError(
      `${target.name} has an ingress qdisc, which leaves no place for clsact`,
      `remove it (tc qdisc del dev ${target.name} ingress) or put a clsact qdisc in its place`,
    );
  }
  if (there === undefined) clsactAdd(target.ifindex, target.name);
  const owner = `${OURS}/${pidNamespace()}/${process.pid}/${startTime(process.pid)}`;
  const name = there && !madeBefore ? owner : owner + MADE_QDISC;

  let open = true;
  const undo = () => {
    if (!open) return;
    open = false;
    forget();
    removeOwn(target, name);
  };
  const forget = atExit(undo);
  try {
    addSide(target, 'ingress', programs.ingress, orders.ingress ?? 'first', name);
    if (programs.egress !== undefined) {
      addSide(target, 'egress', programs.egress, orders.egress ?? 'first', name);
    }
  } catch (error) {
    undo();
    throw error;
  }
  const sides: readonly Side[] = programs.egress === undefined ? ['ingress'] : ['ingress', 'egress'];
  // Each side's own list: which kind of qdisc it is would take a dump of all that there are.
  const isThere = (side: Side) =>
    listOf(target, side).some((filter) => isOurs(filter) && filter.name === name);
  return {
    mode: 'clsact',
    ifindex: target.ifindex,
    attached: () => open && sides.every(isThere),
    close: undo,
  };
}

/** For who attaches otherwise: takes away what a dead process left. Throws SetupError if its owner lives. */
export function refuseClsact(target: Target): void {
  if (removeLeftovers(target)) dropQdisc(target);
}

function addSide(target: Target, side: Side, fd: number, order: Order, name: string): void {
  const priority = priorityOf(target, side, order);
  filterAdd(target.ifindex, { side, priority, handle: HANDLE, name, fd }, `${target.name} ${side}`);
}

/**
 * Lower runs first; among bpf filters of one priority the newest runs first, so ours may share a foreign one's
 * priority to run before it.
 */
function priorityOf(target: Target, side: Side, order: Order): number {
  if (order === 'first') return 1;
  if (order === 'last') return PRIORITY_MAX;
  const id = 'before' in order ? order.before : order.after;
  const other = filterList(target.ifindex, side).find(({ programId }) => programId === id);
  if (!other) throw new SetupError(`${target.name} has no filter of eBPF program ${id} on ${side}`);
  if ('before' in order) return other.priority;
  if (other.priority === PRIORITY_MAX) {
    throw new SetupError(`nothing can run after priority ${PRIORITY_MAX} on ${target.name} ${side}`);
  }
  return other.priority + 1;
}

/** Of one side; [] where there is no qdisc or no interface. */
function listOf({ ifindex }: Target, side: Side): Filter[] {
  try {
    return filterList(ifindex, side);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** Filters that bear our handle and name, of whatever process. With the old ingress qdisc each is there twice. */
function ours(target: Target): Filter[] {
  return SIDES.flatMap((side) => listOf(target, side)).filter(isOurs);
}

function isOurs({ kind, handle, name }: Filter): boolean {
  return kind === 'bpf' && handle === HANDLE && name.startsWith(`${OURS}/`);
}

/**
 * Takes away what dead processes left on any interface of the namespace, their qdiscs too; the names of those
 * interfaces. `spared`: the index of one that `attachClsact` is about to see to.
 */
export function sweepClsact(spared?: number): string[] {
  const swept: string[] = [];
  for (const index of ingressQdiscs().keys()) {
    if (index === spared) continue;
    const name = linkDetailsOf(index)?.name ?? `interface ${index}`;
    const target = { ifindex: index, name };
    const dead = ours(target).filter((filter) => !ownerLives(filter));
    for (const filter of dead) quietly(() => filterDelete(index, filter, name));
    if (dead.some(madeQdisc)) dropQdisc(target);
    if (dead.length > 0) swept.push(name);
  }
  return swept;
}

/** True: there were some, and the qdisc that still stands is of our making. Throws SetupError if the owner lives. */
function removeLeftovers(target: Target): boolean {
  const left = ours(target);
  const living = left.find(ownerLives);
  if (living) throw taken(target, ownerOf(living));
  for (const filter of left) quietly(() => filterDelete(target.ifindex, filter, target.name));
  return left.some(madeQdisc);
}

function removeOwn(target: Target, name: string): void {
  for (const filter of ours(target)) {
    if (filter.name === name) quietly(() => filterDelete(target.ifindex, filter, target.name));
  }
  if (name.endsWith(MADE_QDISC)) dropQdisc(target);
}

/** Unless somebody's filter is in it. */
function dropQdisc(target: Target): void {
  quietly(() => {
    if (ingressQdisc(target.ifindex) !== 'clsact') return;
    if (SIDES.some((side) => filterList(target.ifindex, side).length > 0)) return;
    clsactDelete(target.ifindex, target.name);
  });
}

function madeQdisc({ name }: Filter): boolean {
  return name.endsWith(MADE_QDISC);
}

/** A process of another pid namespace (a container's, with the host's network) cannot be looked up: it counts as alive. */
function ownerLives({ name }: Filter): boolean {
  const [, namespace, pid, start] = name.split('/');
  return namespace !== pidNamespace() || startTime(Number(pid)) === start;
}

function ownerOf({ name, side, priority }: Filter): string {
  const [, namespace, pid] = name.split('/');
  if (namespace === pidNamespace()) return `process ${pid}`;
  return `process ${pid} of another pid namespace; if that is gone: tc filter del dev … ${side} pref ${priority}`;
}

/** `4026531836`, of `pid:[4026531836]`. */
function pidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
}

/** For what somebody else, or the interface's end, may have taken away meanwhile. */
function quietly(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SysError && [ENOENT, ENODEV, EINVAL].includes(error.errno);
}

/** Clock ticks after boot at which a process started (field 22 of /proc/PID/stat); '' if there is none such. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
