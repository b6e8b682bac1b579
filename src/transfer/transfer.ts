/**
 * A transfer: how bytes move between frames and granted pages. Netback never says "memcpy": it fills a list of
 * copy segments and asks its transfer to move them, a batch at a time. One file a mechanism.
 */
export interface Transfer {
  readonly name: TransferName | typeof FLIP;
  /** Segments of one `move` at most, where each is dear: bounds what one guest's slots can cost a round. */
  readonly most?: number;
  /**
   * Moves segments [0, n) at `segments`: each end is an arena address or a grant, of this vif's domain or of
   * another's. Each segment gets its own status; what a domain did never throws.
   */
  move(segments: number, n: number): void;
  /**
   * Makes the fragments of the vif's own frames list[0, n) readable in the arena, if the mechanism can do that
   * without a copy. Frames whose grants do not allow it are written to `bad`; their number is returned.
   */
  borrow(list: number, n: number, bad: number): number;
  /**
   * Address of the mapping cache (assembly/grant_layout.ts) through which netback's own loops turn this vif's grants
   * into addresses and copy at once; 0 when every move has to be a batch of segments.
   */
  readonly cache: number;
  /** Address of the domain's record, when grants may be copied one at a time in the hypervisor's view (lane.ts). */
  readonly domain?: number;
  /** A batch begins that may use the cache. */
  tick(): void;
  /** All frames that used what was borrowed before are released. */
  settle(): void;
  close(): void;
}

/** Mechanisms of the talk that can serve guests, by the name users choose. */
export const TRANSFER_NAMES = ['persistent', 'grant-copy', 'static', 'map'] as const;
export type TransferName = (typeof TRANSFER_NAMES)[number];
/** The page changes hands: in-process domains of the lab only. It is never offered to a guest (feature-rx-flip is 0). */
export const FLIP = 'flip';
/** The best one here, measured by `npm run bench`. */
export const DEFAULT_TRANSFER: TransferName = 'persistent';
