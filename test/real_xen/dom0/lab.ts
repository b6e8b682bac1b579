/** What a scenario gets. Whatever it makes by it is gone when the scenario ends, however that ends. */
import { Guest, type GuestOptions } from './guest.js';
import { Netferry, type NetferryOptions } from './netferry.js';
import {
  addressesOf,
  type Backend,
  HOST_ARGS,
  kernelNetwork,
  type Network,
  netferryNetwork,
} from './network.js';
import { Dom0 } from './place.js';

export interface LabEvents {
  step(text: string): void;
  figures(name: string, value: unknown): void;
}

export class Lab {
  readonly dom0 = new Dom0();
  readonly #events: LabEvents;
  readonly #undo: (() => Promise<unknown> | unknown)[] = [];

  readonly backend: Backend;

  readonly #settings: Readonly<Record<string, string>>;

  constructor(events: LabEvents, backend: Backend, settings: Readonly<Record<string, string>> = {}) {
    this.#events = events;
    this.backend = backend;
    this.#settings = settings;
  }

  /** What `--set NAME=…` said, else `otherwise`. */
  setting(name: string, otherwise: string): string {
    return this.#settings[name] ?? otherwise;
  }

  /** Says where the scenario is: the host prints it, and a time limit's message names the last one. */
  step(text: string): void {
    this.#events.step(text);
  }

  /** Hands figures to the host, which keeps them as NAME.json. */
  figures(name: string, value: unknown): void {
    this.#events.figures(name, value);
  }

  /** Runs at the end, last first. */
  defer(undo: () => Promise<unknown> | unknown): void {
    this.#undo.push(undo);
  }

  async guest(options: GuestOptions): Promise<Guest> {
    this.step(`guest ${options.name} starts`);
    return this.#keep(await Guest.create(this.dom0, options));
  }

  /** A guest out of the file of `guest.save`. */
  async restore(name: string, path: string): Promise<Guest> {
    this.step(`guest ${name} is restored`);
    return this.#keep(await Guest.restore(this.dom0, name, path));
  }

  async netferry(options: NetferryOptions = {}): Promise<Netferry> {
    const args = options.args ?? [];
    this.step(['netferry up', ...args].join(' '));
    const daemon = await Netferry.start(options);
    this.defer(() => daemon.stop());
    return daemon;
  }

  /** What carries guests, with dom0 as HOST; `args` are more of `netferry up`. */
  async network(...args: string[]): Promise<Network> {
    if (this.backend === 'kernel') return kernelNetwork(this.dom0);
    return netferryNetwork(await this.netferry({ args: [...HOST_ARGS, ...args] }));
  }

  /** Guest number N, `gN`, with one vif on that network and its addresses (`addressesOf`). */
  guestOn(network: Network, number: number, options: Partial<GuestOptions> = {}): Promise<Guest> {
    const { v4, v6 } = addressesOf(number);
    const vifs = [network.vif(number)];
    return this.guest({ name: `g${number}`, vifs, addresses: [`${v4}/24`, `${v6}/64`], ...options });
  }

  /** A network namespace of dom0's. */
  async namespace(name: string): Promise<Dom0> {
    await this.dom0.ok(`ip netns add ${name} && ip -n ${name} link set lo up`);
    this.defer(() => this.dom0.run(`ip netns del ${name}`));
    return new Dom0(name);
  }

  /** Undoes what was deferred. Rejects with the first error of it, after all has been tried. */
  async end(): Promise<void> {
    const errors: unknown[] = [];
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  #keep(guest: Guest): Guest {
    this.defer(async () => {
      const { code } = await this.dom0.run(`xl domid ${guest.name}`);
      if (code === 0) await guest.destroy();
    });
    return guest;
  }
}
