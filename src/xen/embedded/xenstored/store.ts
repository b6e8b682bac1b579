/** The store itself: the tree as everyone sees it, and who owns how many of its nodes. */
import type { XsPermission } from '../../xenstore.js';
import { Permissions } from './domain.js';
import { INTRODUCE_DOMAIN, RELEASE_DOMAIN } from './path.js';
import { Tree, type TreeNode, walk } from './tree.js';

/** What of a node an operation depends on: two transactions conflict only if one changed what the other saw. */
export type Aspect = 'value' | 'permissions' | 'children';

/** Something watches are told of. */
export interface Change {
  readonly path: string;
  /** Only watches on exactly this node: it went because a node above it was removed. */
  readonly exact: boolean;
  /** The parent's list of children changed too. */
  readonly listed: boolean;
  /** Permissions in force before and after; undefined where there was no node. */
  readonly before: readonly XsPermission[] | undefined;
  readonly after: readonly XsPermission[] | undefined;
}

/** The store as one operation sees it: directly, or through a transaction. */
export interface View {
  lookup(path: string): TreeNode | undefined;
  /** To be called before the answer depends on it. XsError ENOSPC beyond a transaction's quota. */
  observe(path: string, aspects: readonly Aspect[]): void;
  permissionsOf(node: TreeNode): readonly XsPermission[];
  ownedBy(domid: number): number;
  create(path: string, value: Buffer, permissions: readonly XsPermission[]): void;
  setValue(path: string, value: Buffer): void;
  setPermissions(path: string, permissions: readonly XsPermission[]): void;
  remove(path: string): void;
  announce(change: Change): void;
}

/** The first nodes; all belong to domain 0. */
const INITIAL_NODES = [
  '/',
  '/local',
  '/local/domain',
  '/tool',
  '/tool/xenstored',
  '/vm',
  INTRODUCE_DOMAIN,
  RELEASE_DOMAIN,
];

export class Store implements View {
  readonly #tree = Tree.empty();
  readonly #permissions = new Permissions();
  /** Paths by owner, so that a domain's nodes are found when it goes. */
  readonly #owned = new Map<number, Set<string>>();
  readonly #announce: (change: Change) => void;
  #generation = 0;
  #nodes = 0;

  constructor(announce: (change: Change) => void) {
    this.#announce = announce;
    for (const path of INITIAL_NODES) this.create(path, Buffer.alloc(0), [{ domid: 0, access: 'n' }]);
  }

  get nodes(): number {
    return this.#nodes;
  }

  nextGeneration(): number {
    return ++this.#generation;
  }

  snapshot(): Tree {
    return this.#tree.snapshot();
  }

  lookup(path: string): TreeNode | undefined {
    return this.#tree.lookup(path);
  }

  /** Outside transactions nothing comes between an operation and its answer. */
  observe(): void {}

  permissionsOf(node: TreeNode): readonly XsPermission[] {
    return this.#permissions.of(node);
  }

  ownedBy(domid: number): number {
    return this.#owned.get(domid)?.size ?? 0;
  }

  create(path: string, value: Buffer, permissions: readonly XsPermission[]): void {
    this.#tree.create(path, value, permissions, this.nextGeneration());
    this.#nodes++;
    this.#account(permissions[0].domid, path);
  }

  setValue(path: string, value: Buffer): void {
    this.#tree.setValue(path, value, this.nextGeneration());
  }

  setPermissions(path: string, permissions: readonly XsPermission[]): void {
    const node = this.lookup(path);
    if (node) this.#discount(node.permissions[0].domid, path);
    this.#tree.setPermissions(path, permissions, this.nextGeneration());
    this.#account(permissions[0].domid, path);
  }

  remove(path: string): void {
    const node = this.lookup(path);
    if (!node) return;
    for (const [below, gone] of walk(path, node)) {
      this.#discount(gone.permissions[0].domid, below);
      this.#nodes--;
    }
    this.#tree.remove(path, this.nextGeneration());
  }

  announce(change: Change): void {
    this.#announce(change);
  }

  /** The nodes a domain owns, topmost first. */
  ownedPaths(domid: number): string[] {
    return [...(this.#owned.get(domid) ?? [])].sort((a, b) => a.length - b.length);
  }

  /** From now on, no permission given to this domid so far counts. */
  voidPermissions(domid: number): void {
    this.#permissions.void(domid, this.nextGeneration());
  }

  #account(domid: number, path: string): void {
    const paths = this.#owned.get(domid);
    if (paths) paths.add(path);
    else this.#owned.set(domid, new Set([path]));
  }

  #discount(domid: number, path: string): void {
    const paths = this.#owned.get(domid);
    paths?.delete(path);
    if (paths?.size === 0) this.#owned.delete(domid);
  }
}
