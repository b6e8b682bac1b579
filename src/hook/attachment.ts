/** What attaching takes and gives, by TCX or clsact. */
import { SetupError } from '../sys/errors.js';

export type Mode = 'tcx' | 'clsact';

/** Among the programs on one side of an interface: before or after all, or next to the program with this id. */
export type Order = 'first' | 'last' | { readonly before: number } | { readonly after: number };

export interface Target {
  readonly ifindex: number;
  /** For messages. */
  readonly name: string;
}

/** What is to run there. Descriptors stay the caller's, and may be closed once attached. */
export interface Programs {
  readonly ingress: number;
  readonly egress?: number;
}

export interface Orders {
  readonly ingress?: Order;
  readonly egress?: Order;
}

/** Programs on one interface. */
export interface Attachment {
  readonly mode: Mode;
  readonly ifindex: number;
  /** Whether all of it is still in place: not after the interface went or somebody took it away. */
  attached(): boolean;
  /** Takes it away; twice is nothing. */
  close(): void;
}

/** All our programs' names begin so: how one of ours on an interface is known as such. */
export const OURS = 'netferry';

export function taken(target: Target, by: string): SetupError {
  return new SetupError(
    `${target.name} belongs to another netferry already (${by})`,
    'one daemon an interface: end the other, or choose another interface',
  );
}
