/** What one unprivileged domain may use; the defaults are those of Xen's C xenstored. */
export interface Quotas {
  /** Nodes it owns; beyond: ENOSPC. */
  readonly nodes: number;
  /** Bytes of one value; beyond: ENOSPC. */
  readonly nodeSize: number;
  /** Entries of one node's permission list; beyond: ENOSPC. */
  readonly permissions: number;
  /** Watches, over all its connections; beyond: E2BIG. */
  readonly watches: number;
  /** Transactions open at once; beyond: ENOSPC. */
  readonly transactions: number;
  /** Nodes one transaction reads or writes; beyond: ENOSPC. */
  readonly transactionNodes: number;
  /**
   * Bytes that wait for a client which does not read (domain 0's included, with 64 times as much); beyond,
   * it is disconnected. Its own requests wait long before: only watch events come unasked.
   */
  readonly queuedBytes: number;
}

export const DEFAULT_QUOTAS: Quotas = {
  nodes: 1000,
  nodeSize: 2048,
  permissions: 5,
  watches: 128,
  transactions: 10,
  transactionNodes: 1024,
  queuedBytes: 256 * 1024,
};

const NONE = Number.POSITIVE_INFINITY;

/** Domain 0's: bounded only in what waits for a client that hangs. */
export const privilegedQuotas = (quotas: Quotas): Quotas => ({
  nodes: NONE,
  nodeSize: NONE,
  permissions: NONE,
  watches: NONE,
  transactions: NONE,
  transactionNodes: NONE,
  queuedBytes: 64 * quotas.queuedBytes,
});
