/**
 * What a back end needs of the platform under it, whichever it is. `embedded`: domains are processes, and the
 * hypervisor is this one (embedded/). `native`: Xen's own devices (native/). The thread that owns the arena has a
 * Platform; each datapath thread makes a ThreadPlatform of the plain data that it is started with.
 */
import type { EventChannels, EventSource } from './event_channels.js';
import type { GrantTable } from './grant_table.js';

/** `E`: a platform's event channels may do more than a back end asks for. */
export interface Platform<E extends EventChannels = EventChannels> {
  readonly kind: PlatformKind;
  /** For the calling thread. */
  readonly grants: GrantTable;
  /** What is known of a domain; undefined where the platform can tell that there is none. */
  domain(domid: number): BackendDomain | undefined;
  /** The platform's share of one datapath thread. Throws SetupError or SysError; its owner closes it after the thread. */
  openThread(): ThreadShare<E>;
  /**
   * When this process dies, its end of `ports` included, the kernel unmaps the page mapped at `address` and then
   * signals the domain by `port`, so that its front end looks. Nothing to do where the death itself is seen.
   */
  wakeOnUnmap(address: number, port: number): void;
  close(): void;
}

export type PlatformKind = 'embedded' | 'native';

/** A domain as its back end sees it. */
export interface BackendDomain {
  readonly domid: number;
  /** For people: `web`. */
  readonly name: string;
  /** Grant references that it can have: 0 … grants - 1. */
  readonly grants: number;
  /** Its RAM as a file, where it can be mapped without a grant (embedded); else -1. */
  readonly ramFd: number;
  /** Brings its RAM into the hypervisor's view, leaving `reserve` pages of the arena; false where there is no such. */
  openView(reserve: number): boolean;
}

/** One datapath thread's share. Its event channels are bound by the owner and heard by the thread. */
export interface ThreadShare<E extends EventChannels = EventChannels> {
  readonly events: E;
  /** What the thread makes its own half of. */
  readonly start: ThreadStart;
  close(): void;
}

/** Plain data: arena addresses and descriptors, the owner's. */
export type ThreadStart = EmbeddedStart | NativeStart;

export interface EmbeddedStart {
  readonly kind: 'embedded';
  /** The domain records; 0 where there are no domains (a guest). */
  readonly records: number;
  /** IOVECS_SIZE bytes of the thread's own, where there are domains; else 0. */
  readonly iovecs: number;
}

export interface NativeStart {
  readonly kind: 'native';
  /** /dev/xen/evtchn, non-blocking. */
  readonly eventsFd: number;
  /** NATIVE_SEGMENTS_SIZE bytes of the thread's own. */
  readonly segments: number;
  /** Which arena pages are pages of a domain, see assembly/native_layout.ts; shared by all threads. */
  readonly foreign: number;
}

/** The thread's half. */
export interface ThreadPlatform {
  readonly grants: GrantTable;
  readonly events: EventSource;
  /** Address of the domain records; 0 where the platform has none. */
  readonly records: number;
  /** Is a mapped page's grant in use as long as it is mapped? Else caches compare its grant entry on each use. */
  readonly pins: boolean;
  /** A vif of this domain is here from now on, or (forget) the last one is gone. `ramFd`: as in BackendDomain. */
  admit(domid: number, ramFd: number): void;
  forget(domid: number): void;
  /**
   * Maps one granted page into a mapping cache at `address`. `page`: its reference where mappings pin, else its number
   * in the domain's RAM, which the cache knows from the grant entry. 0 or a negative errno; then what was there is
   * there still, or zeroes are.
   */
  mapPage(domid: number, address: number, page: number, writable: boolean): number;
  /** Puts zeroes there again. 0 or a negative errno; then it is still mapped. */
  unmapPage(address: number): number;
  /** Empties a cache's whole window. Throws SysError; then it is as before. */
  unmapWindow(address: number, bytes: number): void;
  close(): void;
}
