/** "grant-copy": the talk's new copy grant. A batch is one call that checks, copies and lets go. */

import type { Loops } from '../arena/loops.js';
import type { GrantTable } from '../xen/grant_table.js';
import type { Transfer } from './transfer.js';

export class GrantCopy implements Transfer {
  readonly name = 'grant-copy';
  readonly cache = 0;
  readonly #loops: Loops;
  readonly #grants: GrantTable;
  readonly domain: number;
  readonly #counters: number;

  /** `domain`: address of the vif's domain record where its platform has such (embedded), else 0. */
  constructor(loops: Loops, grants: GrantTable, counters: number, domain = 0) {
    this.#loops = loops;
    this.#grants = grants;
    this.#counters = counters;
    this.domain = domain;
  }

  move(segments: number, n: number): void {
    this.#loops.moveLocal(segments, n, this.#counters);
    this.#grants.copy(segments, n, this.#counters);
  }

  borrow(): number {
    return 0;
  }

  tick(): void {}

  settle(): void {}

  close(): void {}
}
