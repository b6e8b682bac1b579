/**
 * Lists of pages that a front end announces or takes back (netif.h, ADD_GREF_MAPPING and DEL_GREF_MAPPING), worked off some
 * entries a round: each is a mapping made or undone, and a list has up to 512, for which others would wait.
 */
import {
  XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
  XEN_NETIF_CTRL_STATUS_SUCCESS,
  XEN_NETIF_GREF_SIZE,
} from '../abi/netif_ctrl.js';
import type { Loops } from '../arena/loops.js';

/** Pages mapped or unmapped in one round at most. */
export const ROUND_PAGES = 32;
/** Instead of a status: the list is not done. */
export const WORKING = -1;

export class PageLists {
  /** Pages that went with the last list that was done. */
  gone = 0;
  /** A list is not done. */
  busy = false;
  readonly #loops: Loops;
  readonly #list: number;
  #cache = 0;
  #adding = false;
  #failed = false;
  #entries = 0;
  #at = 0;

  /** `list`: arena address of the page that the list has been copied to. */
  constructor(loops: Loops, list: number) {
    this.#loops = loops;
    this.#list = list;
  }

  /** Begins a list of `entries`, to be worked off. `cache`: a table of announced pages. */
  begin(cache: number, adding: boolean, entries: number): void {
    this.#cache = cache;
    this.#adding = adding;
    this.#failed = false;
    this.#entries = entries;
    this.#at = 0;
    this.gone = 0;
    this.busy = true;
  }

  /**
   * A round's share: XEN_NETIF_CTRL_STATUS_* once the list is done, WORKING before. Of pages that are announced all are
   * taken or none. `frames`: u32[flying], the vif's own in flight, which may refer to pages that go.
   */
  work(frames: number, flying: number): number {
    const at = this.#list + this.#at * XEN_NETIF_GREF_SIZE;
    const n = Math.min(ROUND_PAGES, this.#entries - this.#at);
    if (!this.#adding) {
      this.gone += this.#loops.staticDelete(this.#cache, at, n, frames, flying);
    } else if (this.#loops.staticAdd(this.#cache, at, n) === 0) {
      // Those of earlier rounds go again; frames may have used them meanwhile.
      this.#adding = false;
      this.#failed = true;
      this.#entries = this.#at;
      this.#at = 0;
      return this.#end(0);
    }
    return this.#end(n);
  }

  #end(done: number): number {
    this.#at += done;
    this.busy = this.#at < this.#entries;
    if (this.busy) return WORKING;
    return this.#failed ? XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER : XEN_NETIF_CTRL_STATUS_SUCCESS;
  }
}
