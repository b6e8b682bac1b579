/** Who asks: a domain, what it may do to a node, and what it uses of its quotas. */
import type { XsPermission } from '../../xenstore.js';
import type { Quotas } from './quotas.js';
import type { TreeNode } from './tree.js';

export const READ = 1;
export const WRITE = 2;
export const OWNER = 4;

const ACCESS_BITS = { n: 0, r: READ, w: WRITE, b: READ | WRITE } as const;

/** A domain between INTRODUCE and RELEASE. Its quotas are shared by all its connections. */
export interface Domain {
  readonly domid: number;
  readonly quotas: Quotas;
  /** The domain it acts for (SET_TARGET): it may do what that one may. */
  target: number | undefined;
  watches: number;
  transactions: number;
}

/** Domain 0 may do everything and has no quotas. */
export const isPrivileged = (domain: Domain): boolean => domain.domid === 0;

/** READ | WRITE | OWNER, from a node's permissions in force. */
export function accessOf(domain: Domain, permissions: readonly XsPermission[]): number {
  const is = (p: XsPermission) => p.domid === domain.domid || p.domid === domain.target;
  const [owner, ...others] = permissions;
  if (isPrivileged(domain) || is(owner)) return READ | WRITE | OWNER;
  return ACCESS_BITS[(others.find(is) ?? owner).access];
}

/**
 * Domids are used again, permissions must not be (XSA-322): an entry made before its domain was last
 * released no longer counts, and a node whose owner is gone belongs to domain 0.
 */
export class Permissions {
  readonly #releasedAt = new Map<number, number>();

  /** @param generation all permissions set before it are void as far as they name this domain */
  void(domid: number, generation: number): void {
    this.#releasedAt.set(domid, generation);
  }

  /** A node's permissions as far as they are in force; never empty. */
  of(node: TreeNode): readonly XsPermission[] {
    const isVoid = (p: XsPermission) => (this.#releasedAt.get(p.domid) ?? -1) >= node.generations.permissions;
    if (this.#releasedAt.size === 0 || !node.permissions.some(isVoid)) return node.permissions;
    const [owner, ...others] = node.permissions;
    const first = isVoid(owner) ? { domid: 0, access: owner.access } : owner;
    return [first, ...others.filter((p) => !isVoid(p))];
  }
}
