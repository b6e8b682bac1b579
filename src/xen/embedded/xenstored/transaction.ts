/**
 * A transaction: a snapshot to work on, a list of what was seen of it, and a list of what was changed.
 * It commits if nothing it saw has changed since; then its changes are made to the store, in their order.
 *
 * Seen are a node's value, its permissions and its list of children apart, each by the generation it had
 * in the snapshot. So two transactions that make different nodes in one directory do not conflict (each
 * saw the directory's permissions only), while one that listed the directory conflicts with both.
 */
import { XsError, type XsPermission } from '../../xenstore.js';
import type { Aspect, Change, Store, View } from './store.js';
import { type Tree, type TreeNode, walk } from './tree.js';

/** The generation of an aspect of a node that was not there. */
const ABSENT = -1;

interface Announcement {
  exact: boolean;
}

export class Transaction implements View {
  readonly id: number;
  readonly #store: Store;
  readonly #nodeQuota: number;
  readonly #base: Tree;
  readonly #tree: Tree;
  readonly #seen = new Map<string, Partial<Record<Aspect, number>>>();
  /** Parents come before their children: a node is made after the one above it. */
  readonly #changed = new Set<string>();
  readonly #announcements = new Map<string, Announcement>();
  readonly #ownedDelta = new Map<number, number>();

  /** @param nodeQuota nodes it may see or change */
  constructor(id: number, store: Store, nodeQuota: number) {
    this.id = id;
    this.#store = store;
    this.#nodeQuota = nodeQuota;
    this.#base = store.snapshot();
    this.#tree = this.#base.snapshot();
  }

  lookup(path: string): TreeNode | undefined {
    return this.#tree.lookup(path);
  }

  observe(path: string, aspects: readonly Aspect[]): void {
    let seen = this.#seen.get(path);
    if (!seen) {
      if (this.#seen.size >= this.#nodeQuota) throw new XsError('ENOSPC', 'nodes of a transaction');
      seen = {};
      this.#seen.set(path, seen);
    }
    const node = this.#base.lookup(path);
    for (const aspect of aspects) seen[aspect] ??= node?.generations[aspect] ?? ABSENT;
  }

  permissionsOf(node: TreeNode): readonly XsPermission[] {
    return this.#store.permissionsOf(node);
  }

  ownedBy(domid: number): number {
    return this.#store.ownedBy(domid) + (this.#ownedDelta.get(domid) ?? 0);
  }

  create(path: string, value: Buffer, permissions: readonly XsPermission[]): void {
    this.#tree.create(path, value, permissions, this.#store.nextGeneration());
    this.#changed.add(path);
    this.#account(permissions[0].domid, 1);
  }

  setValue(path: string, value: Buffer): void {
    this.#tree.setValue(path, value, this.#store.nextGeneration());
    this.#changed.add(path);
  }

  setPermissions(path: string, permissions: readonly XsPermission[]): void {
    const node = this.lookup(path);
    if (node) this.#account(node.permissions[0].domid, -1);
    this.#tree.setPermissions(path, permissions, this.#store.nextGeneration());
    this.#changed.add(path);
    this.#account(permissions[0].domid, 1);
  }

  remove(path: string): void {
    const node = this.lookup(path);
    if (!node) return;
    for (const [below, gone] of walk(path, node)) {
      this.#account(gone.permissions[0].domid, -1);
      this.#changed.add(below);
    }
    this.#tree.remove(path, this.#store.nextGeneration());
  }

  /** Kept until the commit; an event for the whole branch replaces one for the node alone. */
  announce(change: Change): void {
    const already = this.#announcements.get(change.path);
    if (!already) this.#announcements.set(change.path, { exact: change.exact });
    else already.exact &&= change.exact;
  }

  /**
   * Makes the changes to the store and announces them. Throws, with the store untouched, XsError EAGAIN if
   * what it saw has changed, ENOSPC if `domid` would own more than `nodes` by it.
   */
  commit(domid: number, nodes: number): void {
    for (const [path, seen] of this.#seen) {
      const now = this.#store.lookup(path)?.generations;
      for (const [aspect, generation] of Object.entries(seen)) {
        if ((now?.[aspect as Aspect] ?? ABSENT) !== generation) throw new XsError('EAGAIN', 'transaction');
      }
    }
    if ((this.#ownedDelta.get(domid) ?? 0) > 0 && this.ownedBy(domid) > nodes) {
      throw new XsError('ENOSPC', 'nodes owned');
    }
    const before = [...this.#announcements.keys()].map((path) => this.#inForce(path));
    this.#apply();
    let i = 0;
    for (const [path, { exact }] of this.#announcements) {
      const [was, is] = [before[i++], this.#inForce(path)];
      // A node made and removed again within the transaction was never there.
      if (!was && !is) continue;
      this.#store.announce({ path, exact, listed: !was || !is, before: was, after: is });
    }
  }

  #inForce(path: string): readonly XsPermission[] | undefined {
    const node = this.#store.lookup(path);
    return node && this.#store.permissionsOf(node);
  }

  #apply(): void {
    const store = this.#store;
    for (const path of this.#changed) if (!this.lookup(path)) store.remove(path);
    // A node removed and made again stands in #changed where it was first removed, before its new parent
    // perhaps; shorter paths first puts every parent before its children.
    const rest = [...this.#changed].filter((path) => this.lookup(path)).sort((a, b) => a.length - b.length);
    for (const path of rest) {
      const [from, to] = [this.lookup(path), store.lookup(path)];
      if (!from) continue;
      // What names a domain that was released meanwhile must not count for its successor.
      const permissions = store.permissionsOf(from);
      if (!to) {
        store.create(path, from.value, permissions);
        continue;
      }
      if (to.generations.value !== from.generations.value) store.setValue(path, from.value);
      if (to.generations.permissions !== from.generations.permissions)
        store.setPermissions(path, permissions);
    }
  }

  #account(domid: number, delta: number): void {
    this.#ownedDelta.set(domid, (this.#ownedDelta.get(domid) ?? 0) + delta);
  }
}
