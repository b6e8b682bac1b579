/** The memory of one embedded domain: sealed RAM, a grant table in pages of its own, event channels. */

import { DOM_SIZE, DOM_VIEW } from '../../../assembly/grant_layout.js';
import { PAGE_SIZE } from '../../../assembly/layout.js';
import { GNTTAB_NR_RESERVED_ENTRIES, GRANT_ENTRY_SIZE } from '../../abi/grant_table.js';
import type { Arena } from '../../arena/arena.js';
import { SetupError, SysError } from '../../sys/errors.js';
import { createEventFd } from '../../sys/eventfd.js';
import { close } from '../../sys/libc.js';
import { mapAnywhere, sealedMemory, unmap } from '../../sys/memory.js';
import type { BackendDomain } from '../platform.js';
import { type DomainMemory, recordDomain } from './grants.js';

export interface DomainShape {
  readonly ramPages: number;
  readonly grantPages: number;
  /**
   * Arena address of private memory that is the RAM of a domain in this very process, instead of a memory file; its
   * owner frees it after the domain. Such RAM is in one place only: it cannot be mapped, but its pages can change hands.
   */
  readonly privateRam?: number;
}

/** Room for both rings' worth of full-sized frames in flight and then some; untouched pages cost nothing. */
export const DEFAULT_SHAPE: DomainShape = { ramPages: 6144, grantPages: 16 };

/** RAM of at least `ramPages`, and room to grant all of it. */
export function shapeFor(ramPages: number): DomainShape {
  const grants = ramPages + GNTTAB_NR_RESERVED_ENTRIES;
  const grantPages = Math.ceil((grants * GRANT_ENTRY_SIZE) / PAGE_SIZE);
  return { ramPages, grantPages: Math.max(grantPages, DEFAULT_SHAPE.grantPages) };
}

/** Event channels a domain may have. */
export const PORTS_PER_DOMAIN = 64;

interface EventPort {
  /** The domain waits here. */
  readonly toDomain: number;
  /** The back end waits here. */
  readonly toBackend: number;
  bound: boolean;
}

export class Domain implements DomainMemory, BackendDomain {
  readonly domid: number;
  readonly name: string;
  readonly shape: DomainShape;
  readonly table: number;
  /** -1: RAM is private memory. */
  readonly ramFd: number;
  readonly grantFd: number;
  readonly base: number;
  readonly #arena: Arena;
  readonly #records: number;
  readonly #ports = new Map<number, EventPort>();
  #view = 0;
  #nextPort = 1;
  #gone = false;

  /** Throws SetupError or SysError; nothing is left behind then. `records`: the domain records in the arena. */
  constructor(
    arena: Arena,
    records: number,
    domid: number,
    name: string,
    shape: DomainShape = DEFAULT_SHAPE,
  ) {
    this.#arena = arena;
    this.#records = records;
    this.domid = domid;
    this.name = name;
    this.shape = shape;
    const ram = shape.ramPages * PAGE_SIZE;
    const grants = shape.grantPages * PAGE_SIZE;
    this.table = arena.allocate(grants, `the grant table of ${name}`);
    const undo: (() => void)[] = [() => arena.free(this.table, grants)];
    try {
      this.ramFd = shape.privateRam === undefined ? sealedMemory(`netferry:${name}:ram`, ram) : -1;
      if (this.ramFd >= 0) undo.push(() => close(this.ramFd));
      this.grantFd = sealedMemory(`netferry:${name}:grants`, grants);
      undo.push(() => close(this.grantFd));
      this.base =
        shape.privateRam === undefined ? mapAnywhere(ram, this.ramFd) : arena.base + shape.privateRam;
      if (this.ramFd >= 0) undo.push(() => unmap(this.base, ram));
      arena.map(this.table, grants, this.grantFd, 0, true);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    recordDomain(arena, records, domid, this);
    if (shape.privateRam !== undefined) this.#setView(shape.privateRam); // the one place where it is
  }

  get frames(): number {
    return this.shape.ramPages;
  }

  get grants(): number {
    return (this.shape.grantPages * PAGE_SIZE) / GRANT_ENTRY_SIZE;
  }

  /** Address of its record. */
  get record(): number {
    return this.#records + this.domid * DOM_SIZE;
  }

  /** Address of its whole RAM in the arena; 0 without a view. */
  get view(): number {
    return this.#view;
  }

  /**
   * Maps its whole RAM into the arena, so that grant copies need no system call (the loops check every grant still).
   * False when that would leave less than `reserve` pages of the arena free; copies are then calls. The RAM is the
   * domain's; the view goes with it.
   */
  openView(reserve = 0): boolean {
    if (this.#view !== 0) return true;
    if (this.#arena.freePages - this.shape.ramPages < reserve) return false;
    const bytes = this.shape.ramPages * PAGE_SIZE;
    let address = 0;
    try {
      address = this.#arena.allocate(bytes, `a view of ${this.name}`);
      this.#arena.map(address, bytes, this.ramFd, 0, true);
    } catch (error) {
      if (address !== 0) this.#arena.free(address, bytes);
      if (error instanceof SetupError || error instanceof SysError) return false;
      throw error;
    }
    this.#setView(address);
    return true;
  }

  #setView(address: number): void {
    this.#view = address;
    Atomics.store(this.#arena.u32, (this.record + DOM_VIEW) / 4, address);
  }

  #closeView(): void {
    if (this.#view === 0) return;
    const address = this.#view;
    this.#setView(0);
    if (this.ramFd >= 0) this.#arena.free(address, this.shape.ramPages * PAGE_SIZE);
  }

  /** EVTCHNOP_alloc_unbound: a port of this domain for domain 0 to bind, and its two descriptors. */
  allocatePort(): { port: number; toDomain: number; toBackend: number } {
    if (this.#ports.size >= PORTS_PER_DOMAIN) {
      throw new SetupError(`${this.name}: no more than ${PORTS_PER_DOMAIN} event channels`);
    }
    const port = this.#nextPort++;
    const toDomain = createEventFd();
    const toBackend = createEventFd();
    this.#ports.set(port, { toDomain, toBackend, bound: false });
    return { port, toDomain, toBackend };
  }

  /** EVTCHNOP_bind_interdomain. Throws SetupError: no such port, or bound already. */
  bindPort(port: number): { notifyFd: number; waitFd: number } {
    const found = this.#ports.get(port);
    if (!found) throw new SetupError(`event channel ${port} of domain ${this.domid}: no such port`);
    if (found.bound) throw new SetupError(`event channel ${port} of domain ${this.domid}: already bound`);
    found.bound = true;
    return { notifyFd: found.toDomain, waitFd: found.toBackend };
  }

  /** The remote end closed: the port can be bound again. */
  unbindPort(port: number): void {
    const found = this.#ports.get(port);
    if (found) found.bound = false;
  }

  freePort(port: number): void {
    const found = this.#ports.get(port);
    if (!found) return;
    this.#ports.delete(port);
    close(found.toDomain);
    close(found.toBackend);
  }

  /** Gives everything back. Whoever still uses its memory must have let go before. */
  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    recordDomain(this.#arena, this.#records, this.domid, undefined);
    for (const port of [...this.#ports.keys()]) this.freePort(port);
    this.#closeView();
    if (this.ramFd >= 0) unmap(this.base, this.shape.ramPages * PAGE_SIZE);
    this.#arena.free(this.table, this.shape.grantPages * PAGE_SIZE);
    if (this.ramFd >= 0) close(this.ramFd);
    close(this.grantFd);
  }
}
