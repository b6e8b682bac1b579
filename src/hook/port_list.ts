/** The hook's ports by number. */
import { SetupError } from '../sys/errors.js';
import type { HookPort } from './port.js';
import { SLOT_PORTS, SLOTS } from './programs/layout.js';

export class PortList {
  readonly #ports = new Map<number, HookPort>();

  /** In the order they came. */
  all(): readonly HookPort[] {
    return [...this.#ports.values()];
  }

  /** Throws SetupError. */
  get(id: number): HookPort {
    const port = this.#ports.get(id);
    if (!port) throw new SetupError(`no port ${id}`);
    return port;
  }

  /** Where unknown unicast goes without an uplink. */
  get fallback(): HookPort | undefined {
    return this.all().find((port) => port.fallback);
  }

  /** Throws SetupError if an interface is a port already. */
  checkFree(device: { readonly index: number; readonly name: string }): void {
    if (this.all().some(({ ifindex }) => ifindex === device.index)) {
      throw new SetupError(`${device.name} is a port already`);
    }
  }

  /** Throws SetupError if there is a fallback. */
  checkFallback(): void {
    const { fallback } = this;
    if (fallback) throw new SetupError(`${fallback} is the fallback already`);
  }

  /** The lowest number that no port has. Throws SetupError. */
  freeId(): number {
    for (let id = SLOT_PORTS; id < SLOTS; id++) if (!this.#ports.has(id)) return id;
    throw new SetupError(`${SLOTS - SLOT_PORTS} ports are the most`);
  }

  add(port: HookPort): void {
    this.#ports.set(port.id, port);
  }

  delete(id: number): void {
    this.#ports.delete(id);
  }
}
