/**
 * An attacker beside a pair of well-behaved guests on one engine. After every attack the pair exchanges frames as
 * before.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRANSFER_NAMES, type TransferName } from '../../src/transfer/transfer.js';
import { dropsOf } from '../support/drops.js';
import type { GuestOptions, HostileGuest } from '../support/machine.js';
import { type Guest, Machine } from '../support/machine.js';
import { plainFrame } from '../support/packets.js';

export interface World {
  readonly transfer: TransferName;
  readonly machine: Machine;
  readonly a: Guest;
  readonly b: Guest;
  readonly evil: HostileGuest;
  /** The good pair still talks, both ways. */
  unharmed(): void;
  drops(): Readonly<Record<string, number>>;
}

export function world(transfer: TransferName, options: GuestOptions = {}): World {
  const machine = new Machine(1 << 28);
  const a = machine.addGuest('a', { transfer });
  const b = machine.addGuest('b', { transfer });
  const evil = machine.addBareGuest('evil', { transfer, ...options });
  let seed = 0;
  const unharmed = () => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      while (to.receive()); // what the attacker may have sent it
      const frame = plainFrame(to.mac, from.mac, 100 + (seed % 3000), ++seed);
      assert.ok(from.send(frame));
      machine.settle();
      assert.deepEqual(to.receive()?.bytes, frame, 'the other guests were harmed');
    }
  };
  return { transfer, machine, a, b, evil, unharmed, drops: () => dropsOf(machine.arena, evil.netback) };
}

/** Each attack on each transfer; the good pair is tried before the machine is closed. */
export function attack(id: string, what: string, body: (w: World) => void, options: GuestOptions = {}): void {
  for (const transfer of TRANSFER_NAMES) {
    test(`${id}: ${what} (${transfer})`, () => {
      const w = world(transfer, options);
      body(w);
      w.unharmed();
      w.machine.close();
    });
  }
}
