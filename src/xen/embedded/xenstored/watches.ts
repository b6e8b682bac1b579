/** All watches, by the path they watch: a change costs its depth, however many watches there are elsewhere. */
import { accessOf, type Domain, READ } from './domain.js';
import { domainPath, parentPath } from './path.js';
import type { Change } from './store.js';

/** Where events go: a connection. */
export interface Watcher {
  readonly domain: Domain;
  event(path: string, token: string): void;
}

export interface Watch {
  readonly watcher: Watcher;
  /** Canonical. */
  readonly path: string;
  readonly token: string;
  /** Was given relative to the domain's path: so are the paths in its events. */
  readonly relative: boolean;
}

export class Watches {
  /** The sets keep the order in which the watches were set. */
  readonly #byPath = new Map<string, Set<Watch>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(watch: Watch): void {
    const watches = this.#byPath.get(watch.path);
    if (watches) watches.add(watch);
    else this.#byPath.set(watch.path, new Set([watch]));
    this.#count++;
  }

  delete(watch: Watch): void {
    const watches = this.#byPath.get(watch.path);
    if (watches?.delete(watch)) this.#count--;
    if (watches?.size === 0) this.#byPath.delete(watch.path);
  }

  /**
   * Tells whoever watches the node, or one above it, and may know of the change.
   * @param parentReadable whether the domain may list the node's parent
   */
  fire(change: Change, parentReadable: (domain: Domain) => boolean): void {
    for (const watch of this.#matching(change)) {
      const { domain } = watch.watcher;
      if (mayKnow(domain, change) || (change.listed && parentReadable(domain))) {
        watch.watcher.event(eventPath(watch, change.path), watch.token);
      }
    }
  }

  /** A copy: an event may end a connection, and so its watches. */
  #matching(change: Change): Watch[] {
    const found = [...(this.#byPath.get(change.path) ?? [])];
    if (change.exact || change.path[0] === '@') return found;
    for (let path = change.path; path !== '/'; ) {
      path = parentPath(path);
      found.push(...(this.#byPath.get(path) ?? []));
    }
    return found;
  }
}

/** It may read the node, or could before (so that it learns of the removal, or of losing the right). */
function mayKnow(domain: Domain, { before, after }: Change): boolean {
  return [before, after].some((permissions) => permissions && accessOf(domain, permissions) & READ);
}

/** The path as the watcher wrote its own. */
export function eventPath(watch: Watch, path: string): string {
  return watch.relative ? path.slice(domainPath(watch.watcher.domain.domid).length + 1) : path;
}
