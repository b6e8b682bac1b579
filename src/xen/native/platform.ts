/** Xen's own devices as the platform of a back end: any domain is a guest. For the thread that owns the arena. */
import { PAGE_SIZE } from '../../../assembly/layout.js';
import { FOREIGN_SIZE } from '../../../assembly/native_layout.js';
import type { Arena } from '../../arena/arena.js';
import type { Loops } from '../../arena/loops.js';
import type { BackendDomain, Platform, ThreadShare } from '../platform.js';
import { NativeEventChannels } from './events.js';
import { NATIVE_SEGMENTS_SIZE, NativeGrantTable } from './grants.js';

/**
 * Grant references of a domain that a mapping cache has room for: xl's default of 64 frames (max_grant_frames), 512
 * entries each. What lies beyond is copied by grant.
 */
const GRANTS = 64 * 512;

export class NativePlatform implements Platform<NativeEventChannels> {
  readonly kind = 'native';
  readonly grants: NativeGrantTable;
  readonly #arena: Arena;
  readonly #segments: number;
  readonly #foreign: number;
  readonly #foreignSize: number;

  /** Throws SetupError: not a domain of Xen, or /dev/xen/gntdev is missing or not ours to open. */
  constructor(arena: Arena, loops: Loops) {
    this.#arena = arena;
    this.#foreignSize = (arena.u8.length / PAGE_SIZE) * FOREIGN_SIZE;
    this.#foreign = arena.allocate(this.#foreignSize, 'foreign pages');
    this.#segments = arena.allocate(NATIVE_SEGMENTS_SIZE, 'grant copies');
    this.grants = new NativeGrantTable(arena, loops, this.#segments, this.#foreign);
  }

  /** Whether there is such a domain shows when its grants are mapped. */
  domain(domid: number): BackendDomain {
    return { domid, name: `dom${domid}`, grants: GRANTS, ramFd: -1, openView: () => false };
  }

  openThread(): ThreadShare<NativeEventChannels> {
    const events = new NativeEventChannels();
    const segments = this.#arena.allocate(NATIVE_SEGMENTS_SIZE, 'grant copies');
    return {
      events,
      start: { kind: 'native', eventsFd: events.fd, segments, foreign: this.#foreign },
      close: () => {
        events.close();
        this.#arena.free(segments, NATIVE_SEGMENTS_SIZE);
      },
    };
  }

  wakeOnUnmap(address: number, port: number): void {
    this.grants.signalOnUnmap(address, port);
  }

  close(): void {
    this.grants.close();
    this.#arena.free(this.#segments, NATIVE_SEGMENTS_SIZE);
    this.#arena.free(this.#foreign, this.#foreignSize);
  }
}
