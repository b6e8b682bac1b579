/**
 * The operations on nodes, for any domain, direct or in a transaction. Each checks everything before it
 * changes anything. Errors are those of the C xenstored, also in what they give away: a domain that may not
 * read a node's nearest parent is told EACCES whether the node exists or not.
 */
import { XsError, type XsPermission } from '../../xenstore.js';
import { accessOf, type Domain, isPrivileged, OWNER, READ, WRITE } from './domain.js';
import { parentPath } from './path.js';
import type { View } from './store.js';
import { type TreeNode, walk } from './tree.js';

/** Paths are canonical (path.ts). */
export function read(view: View, domain: Domain, path: string): Buffer {
  const node = permitted(view, domain, path, READ);
  view.observe(path, ['value']);
  return node.value;
}

/** The node whose list of children was asked for. */
export function list(view: View, domain: Domain, path: string): TreeNode {
  const node = permitted(view, domain, path, READ);
  view.observe(path, ['children']);
  return node;
}

export function getPermissions(view: View, domain: Domain, path: string): readonly XsPermission[] {
  return view.permissionsOf(permitted(view, domain, path, READ));
}

/** @param value is copied */
export function write(view: View, domain: Domain, path: string, value: Buffer): void {
  if (value.length > domain.quotas.nodeSize) throw new XsError('ENOSPC', 'value size');
  // Its own memory, not a slice of the pool or of the message it came in, which it would keep alive.
  const kept = Buffer.allocUnsafeSlow(value.length);
  value.copy(kept);
  const node = permittedOrMissing(view, domain, path, WRITE);
  if (!node) {
    create(view, domain, path, kept);
    return;
  }
  view.observe(path, ['value']);
  view.setValue(path, kept);
  const permissions = view.permissionsOf(node);
  view.announce({ path, exact: false, listed: false, before: permissions, after: permissions });
}

export function mkdir(view: View, domain: Domain, path: string): void {
  if (!permittedOrMissing(view, domain, path, WRITE)) create(view, domain, path, Buffer.alloc(0));
}

export function remove(view: View, domain: Domain, path: string): void {
  const node = permittedOrMissing(view, domain, path, WRITE);
  if (!node) {
    if (!lookup(view, parentPath(path))) throw new XsError('ENOENT', path);
    return;
  }
  if (path === '/') throw new XsError('EINVAL', 'remove /');
  removeTree(view, path, node);
}

/** Removes a node and all below it, whoever owns them, and announces each. */
export function removeTree(view: View, path: string, node: TreeNode): void {
  const gone: [path: string, permissions: readonly XsPermission[]][] = [];
  for (const [below, child] of walk(path, node)) {
    view.observe(below, ['value', 'permissions', 'children']);
    gone.push([below, view.permissionsOf(child)]);
  }
  view.remove(path);
  for (const [below, before] of gone) {
    view.announce({ path: below, exact: below !== path, listed: true, before, after: undefined });
  }
}

export function setPermissions(
  view: View,
  domain: Domain,
  path: string,
  permissions: readonly XsPermission[],
): void {
  if (permissions.length === 0) throw new XsError('EINVAL', 'no permissions');
  if (permissions.length > domain.quotas.permissions) throw new XsError('ENOSPC', 'permissions of a node');
  const before = view.permissionsOf(permitted(view, domain, path, WRITE | OWNER));
  if (!isPrivileged(domain) && permissions[0].domid !== before[0].domid) {
    throw new XsError('EPERM', `owner of ${path}`);
  }
  view.setPermissions(path, permissions);
  view.announce({ path, exact: false, listed: false, before, after: permissions });
}

/** Makes a node and those missing above it; each has its parent's permissions, but its maker owns it. */
function create(view: View, domain: Domain, path: string, value: Buffer): void {
  const missing = [path];
  let parent = parentPath(path);
  let above = lookup(view, parent);
  while (!above) {
    missing.unshift(parent);
    parent = parentPath(parent);
    above = lookup(view, parent);
  }
  if (view.ownedBy(domain.domid) + missing.length > domain.quotas.nodes) {
    throw new XsError('ENOSPC', 'nodes owned');
  }
  const inherited = view.permissionsOf(above);
  const permissions = isPrivileged(domain)
    ? inherited
    : [{ domid: domain.domid, access: inherited[0].access }, ...inherited.slice(1)];
  for (const each of missing) view.create(each, each === path ? value : Buffer.alloc(0), permissions);
  view.announce({ path, exact: false, listed: true, before: undefined, after: permissions });
}

/** The node, if the domain has all these rights on it; else ENOENT or EACCES. */
function permitted(view: View, domain: Domain, path: string, rights: number): TreeNode {
  const node = lookup(view, path);
  if (node && (accessOf(domain, view.permissionsOf(node)) & rights) === rights) return node;
  throw new XsError(node ? 'EACCES' : missingError(view, domain, path, rights), path);
}

/** The same, but undefined where there is no node and the domain may know. */
function permittedOrMissing(view: View, domain: Domain, path: string, rights: number): TreeNode | undefined {
  try {
    return permitted(view, domain, path, rights);
  } catch (error) {
    if (error instanceof XsError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What the nearest node above says about one that is not there. */
function missingError(view: View, domain: Domain, path: string, rights: number): string {
  let above = path;
  while (above !== '/') {
    above = parentPath(above);
    const node = lookup(view, above);
    if (node) return accessOf(domain, view.permissionsOf(node)) & rights ? 'ENOENT' : 'EACCES';
  }
  return 'EACCES';
}

/** Whether a node is there and who may use it is what every operation depends on. */
function lookup(view: View, path: string): TreeNode | undefined {
  view.observe(path, ['permissions']);
  return view.lookup(path);
}

/** DIRECTORY's answer: every name, each with a NUL. */
export const directoryPayload = (node: TreeNode): Buffer =>
  Buffer.from([...node.children.keys()].map((name) => `${name}\0`).join(''), 'latin1');

/**
 * DIRECTORY_PART's answer: the generation of the list, then the names from byte `offset` on, as many as
 * fit in `limit` bytes, then an empty string after the last.
 */
export function directoryPartPayload(node: TreeNode, offset: number, limit: number): Buffer {
  const names = directoryPayload(node);
  const generation = Buffer.from(`${node.generations.children}\0`);
  if (offset >= names.length) return Buffer.concat([generation, Buffer.from('\0')]);
  const room = limit - generation.length - 1;
  const whole = offset + room >= names.length;
  const end = whole ? names.length : names.lastIndexOf(0, offset + room - 1) + 1;
  const part = names.subarray(offset, Math.max(offset, end));
  return Buffer.concat(whole ? [generation, part, Buffer.from('\0')] : [generation, part]);
}
