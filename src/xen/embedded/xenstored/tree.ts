/**
 * The nodes, as a tree that is copied only where it is written. `snapshot` costs nothing: both trees go on
 * sharing every node, and each copies a node (and those above it) the first time it changes it. A node
 * knows the tree that may change it in place by that tree's mark; a snapshot gives the tree a new one.
 *
 * So an open transaction keeps at most the store as it was when it began, however much the store changes.
 */
import type { XsPermission } from '../../xenstore.js';
import { segments } from './path.js';

/** When each aspect of a node last changed; never given out twice, so equal means unchanged. */
export interface Generations {
  value: number;
  permissions: number;
  /** The list of child names, not what is in the children. */
  children: number;
}

export interface TreeNode {
  readonly value: Buffer;
  readonly permissions: readonly XsPermission[];
  readonly generations: Readonly<Generations>;
  readonly children: ReadonlyMap<string, TreeNode>;
}

interface OwnNode extends TreeNode {
  mark: object;
  value: Buffer;
  permissions: readonly XsPermission[];
  generations: Generations;
  children: Map<string, OwnNode>;
}

export class Tree {
  #mark = {};
  #top: OwnNode;

  private constructor(top: OwnNode) {
    this.#top = top;
  }

  /** A tree without any node, not even `/`. */
  static empty(): Tree {
    return new Tree(newNode({}, [], Buffer.alloc(0), 0));
  }

  /** A tree that stays as this one is now, until it is written itself. */
  snapshot(): Tree {
    this.#mark = {};
    return new Tree(this.#top);
  }

  lookup(path: string): TreeNode | undefined {
    let node: OwnNode | undefined = this.#top;
    for (const name of segments(path)) {
      node = node.children.get(name);
      if (node === undefined) return undefined;
    }
    return node;
  }

  /** Makes a node, whose parent must exist and which must not. */
  create(path: string, value: Buffer, permissions: readonly XsPermission[], generation: number): void {
    const names = segments(path);
    const name = names.pop();
    const parent = this.#own(names);
    if (name === undefined || parent.children.has(name)) throw new Error(`node ${path} exists`);
    parent.children.set(name, newNode(this.#mark, permissions, value, generation));
    parent.generations.children = generation;
  }

  setValue(path: string, value: Buffer, generation: number): void {
    const node = this.#own(segments(path));
    node.value = value;
    node.generations.value = generation;
  }

  setPermissions(path: string, permissions: readonly XsPermission[], generation: number): void {
    const node = this.#own(segments(path));
    node.permissions = permissions;
    node.generations.permissions = generation;
  }

  /** Takes a node out, with all below it. */
  remove(path: string, generation: number): void {
    const names = segments(path);
    const name = names.pop();
    const parent = this.#own(names);
    if (name !== undefined && parent.children.delete(name)) parent.generations.children = generation;
  }

  /** The node at the end of these names, copied with those above it as far as they are shared. */
  #own(names: string[]): OwnNode {
    this.#top = this.#unshared(this.#top);
    let node = this.#top;
    for (const name of names) {
      const child = node.children.get(name);
      if (child === undefined) throw new Error(`no node ${names.join('/')}`);
      const own = this.#unshared(child);
      // Setting a key that exists keeps its place, so the order of names stays.
      if (own !== child) node.children.set(name, own);
      node = own;
    }
    return node;
  }

  #unshared(node: OwnNode): OwnNode {
    if (node.mark === this.#mark) return node;
    return {
      ...node,
      mark: this.#mark,
      generations: { ...node.generations },
      children: new Map(node.children),
    };
  }
}

function newNode(
  mark: object,
  permissions: readonly XsPermission[],
  value: Buffer,
  generation: number,
): OwnNode {
  const generations = { value: generation, permissions: generation, children: generation };
  return { mark, value, permissions, generations, children: new Map() };
}

/** A node and all below it, children before their parents (the order in which removal is announced). */
export function* walk(path: string, node: TreeNode): Generator<[path: string, node: TreeNode]> {
  for (const [name, child] of node.children)
    yield* walk(path === '/' ? `/${name}` : `${path}/${name}`, child);
  yield [path, node];
}
