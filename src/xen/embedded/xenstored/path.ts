/** Paths: what is allowed in one, and its parts. */
import { XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from '../../../abi/xs_wire.js';
import { XsError } from '../../xenstore.js';

export const INTRODUCE_DOMAIN = '@introduceDomain';
export const RELEASE_DOMAIN = '@releaseDomain';

export const domainPath = (domid: number): string => `/local/domain/${domid}`;

/** Relative to the asking domain's own path, not absolute and not special. */
export const isRelative = (path: string): boolean => path[0] !== '/' && path[0] !== '@';

/**
 * The absolute form of a path a client sent. XsError EINVAL if it is empty, too long, has a character
 * other than letters, digits and -/_@, a doubled slash or one at the end, or is special where that is not
 * allowed.
 */
export function canonicalPath(path: string, domid: number, allowSpecial = false): string {
  const relative = isRelative(path);
  const tooLong = path.length > (relative ? XENSTORE_REL_PATH_MAX : XENSTORE_ABS_PATH_MAX);
  if (tooLong || !/^[A-Za-z0-9/_@-]+$/.test(path) || (path[0] === '@' && !allowSpecial)) {
    throw new XsError('EINVAL', 'path');
  }
  if (path !== '/' && (path.endsWith('/') || path.includes('//'))) throw new XsError('EINVAL', 'path');
  return relative ? `${domainPath(domid)}/${path}` : path;
}

/** The parent of a canonical path; special nodes count as children of `/`, whose parent is itself. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/**
 * The names to walk from the tree's top, which holds `/` under the empty name and the special nodes under
 * theirs: so `/@releaseDomain` and `@releaseDomain` cannot be taken for each other.
 */
export const segments = (path: string): string[] => (path === '/' ? [''] : path.split('/'));
