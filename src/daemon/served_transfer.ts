/** Which transfer a vif gets: what was asked for, as far as its front end can live with it. */
import type { FrontendKeys } from '../netif/frontend_keys.js';
import type { TransferName } from '../transfer/transfer.js';
import type { PlatformKind } from '../xen/platform.js';

/** `why`: it is another one than was asked for. */
export interface ServedTransfer {
  readonly transfer: TransferName;
  readonly why?: string;
}

/**
 * On Xen a mapping pins its grant: a page that stays mapped cannot be taken back. Linux's netfront ends each grant once
 * its request is answered, and switches its interface off when one is still in use; so pages stay mapped only of a front
 * end that says that it keeps its grants (`feature-persistent`, as blkif calls it). `static` needs no such word: it maps
 * what is announced to it, and copies the rest. On the embedded platform mappings pin nothing.
 */
export function servedTransfer(
  platform: PlatformKind,
  asked: TransferName,
  keys: FrontendKeys,
): ServedTransfer {
  if (platform === 'embedded' || asked !== 'persistent' || keys.persistent) return { transfer: asked };
  return {
    transfer: 'grant-copy',
    why: 'its front end does not keep its grants (feature-persistent), so pages do not stay mapped: grant-copy',
  };
}
