/**
 * Grants seen from a back end: what libxengnttab offers (gntdev), no more. Two platforms implement it, one
 * conformance suite holds both (test/xen/grant_table.suite.ts).
 */
import { SetupError } from '../sys/errors.js';

export interface GrantTable {
  /**
   * Maps the granted pages side by side at `address` of the arena, for as long as the caller likes; the granting
   * domain cannot end those grants meanwhile. All or nothing. Throws GrantError naming domain and reference.
   */
  map(domid: number, references: readonly number[], address: number, writable: boolean): void;
  /** Ends such a mapping; zero pages take its place. */
  unmap(domid: number, references: readonly number[], address: number): void;
  /**
   * Maps granted pages one by one, each with an answer of its own: the page of request k of the `n` at `requests`
   * (MAP_* in assembly/grant_layout.ts, after GNTTABOP_map_grant_ref) appears at `window` + k pages, unless its
   * MAP_STATUS says why not; then zeroes stay there. For the datapath: never throws, allocates nothing. (A platform
   * whose calls are all or nothing asks for the lot, and after a refusal page by page.)
   */
  mapEach(requests: number, n: number, window: number): void;
  /**
   * Ends those mappings; zero pages take their place, and the requests' marks go. 0, or a negative errno: then
   * everything is as before, and can be tried again.
   */
  unmapEach(requests: number, n: number, window: number): number;
  /**
   * The same where the kernel refuses to unmap and nobody will try again: the requests' marks go, and the pages stay in
   * place until the window's owner unmaps it. Nobody may write there meanwhile.
   */
  abandonEach(requests: number, n: number, window: number): void;
  /**
   * Moves copy segments [0, n) at `segments` (assembly/layout.ts, after GNTTABOP_copy) that have a granted end and
   * no error yet, and writes each one's status. Never throws for what a domain did. `counters`: the port's.
   */
  copy(segments: number, n: number, counters: number): void;
}

/** A domain's half: it grants its own pages and takes the grants back. */
export interface GrantOwner {
  /** Lets `domid` access page `frame` under `reference`. */
  grant(reference: number, domid: number, frame: number, readOnly: boolean): void;
  /** Takes a grant back. False while the other domain has it mapped or is copying: it stays granted. */
  end(reference: number): boolean;
  /** References there are, 0 … size - 1; the first few are reserved (GNTTAB_NR_RESERVED_ENTRIES). */
  readonly size: number;
}

export const GRANT_STATUS: Readonly<Record<number, string>> = {
  [-1]: 'general error',
  [-2]: 'granted to another domain',
  [-3]: 'no such grant',
  [-8]: 'granted read-only',
  [-9]: 'no page of the domain',
  [-10]: 'beyond the page',
};

/** A grant that was refused. */
export class GrantError extends SetupError {
  override readonly name = 'GrantError';
  readonly domid: number;
  readonly reference: number;
  /** GNTST_*. */
  readonly status: number;
  constructor(domid: number, reference: number, status: number) {
    super(`grant ${reference} of domain ${domid}: ${GRANT_STATUS[status] ?? `status ${status}`}`);
    this.domid = domid;
    this.reference = reference;
    this.status = status;
  }
}
