/**
 * The conformance suites on Xen itself: this domain grants to itself, and binds channels of its own. Needs a Xen
 * domain with gntdev, gntalloc and evtchn (test/real_xen has one); skipped elsewhere.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTST_permission_denied,
} from '../../src/abi/grant_table.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { notifier, PendingEvents } from '../../src/sys/evtchn.js';
import { isXenDomain } from '../../src/sys/xen_device.js';
import type { Channel } from '../../src/xen/event_channels.js';
import { NativeEventChannels } from '../../src/xen/native/events.js';
import { NativePlatform } from '../../src/xen/native/platform.js';
import { eventChannelsSuite } from './event_channels.suite.js';
import { type GrantingDomain, grantTableSuite, type Refusals } from './grant_table.suite.js';
import { GrantedPages } from './granted_pages.js';

const PAGE = 4096;
const FRAMES = 16;
/** This domain. */
const SELF = 0;
/** Xen's own numbers end below 0x7ff0; nobody makes so many domains. */
const NOBODY = 0x7000;

const skip = !isXenDomain()
  ? 'not a Xen domain'
  : ['gntdev', 'gntalloc', 'evtchn'].every((name) => existsSync(`/dev/xen/${name}`))
    ? false
    : 'no /dev/xen';

/** What Xen 4.17 says (xen/common/grant_table.c): flags, domain and direction are one and the same refusal. */
const REFUSALS: Refusals = {
  noGrant: GNTST_general_error,
  beyondTable: GNTST_bad_gntref,
  anothers: GNTST_general_error,
  readOnly: GNTST_permission_denied, // as the mapping finds out by itself
  readOnlyCopy: GNTST_general_error,
  beyondRam: undefined,
  nobody: GNTST_bad_domain,
};

/** A domain of the suite: a frame gets its page when it is granted, and keeps its bytes. */
function granting(arena: Arena): GrantingDomain & { close(): void } {
  const space = arena.allocate(FRAMES * PAGE, 'frames');
  const kept = Array.from({ length: FRAMES }, () => new Uint8Array(PAGE));
  const open = new Map<number, { pages: GrantedPages; frame: number }>();
  const references = new Map<number, number>();
  const stranger = new GrantedPages(arena);
  const [never] = stranger.grant(NOBODY, arena.allocate(PAGE, 'never'), 1, true);
  const at = (frame: number) => space + frame * PAGE;
  const held = (frame: number) => [...open.values()].some((grant) => grant.frame === frame);
  const end = (name: number) => {
    const grant = open.get(name);
    if (!grant) return true;
    open.delete(name);
    kept[grant.frame].set(arena.u8.subarray(at(grant.frame), at(grant.frame) + PAGE));
    grant.pages.close();
    return true;
  };
  return {
    domid: SELF,
    grant: (name, domid, frame, readOnly) => {
      end(name);
      assert.ok(!held(frame), 'one page a grant');
      const pages = new GrantedPages(arena);
      const [reference] = pages.grant(domid, at(frame), 1, !readOnly);
      arena.u8.set(kept[frame], at(frame));
      open.set(name, { pages, frame });
      references.set(name, reference);
    },
    end,
    reference: (name) => (name < 0 || name >= BEYOND ? name : (references.get(name) ?? never)),
    beyond: BEYOND,
    frames: FRAMES,
    read: (frame) => (held(frame) ? arena.u8.slice(at(frame), at(frame) + PAGE) : kept[frame].slice()),
    write: (frame, bytes) => {
      kept[frame].set(bytes);
      if (held(frame)) arena.u8.set(bytes, at(frame));
    },
    close: () => {
      for (const name of [...open.keys()]) end(name);
      stranger.close();
    },
  };
}

/** dom0's own table has no more (gnttab_max_frames × 512). */
const BEYOND = 0x100000;

if (skip) test('the native platform', { skip }, () => {});
else {
  grantTableSuite('native', () => {
    const arena = Arena.create(1 << 24);
    const platform = new NativePlatform(arena, instantiateLoops(arena));
    const domains = [granting(arena), granting(arena)] as const;
    return {
      arena,
      table: platform.grants,
      backend: SELF,
      domains,
      nobody: NOBODY,
      other: NOBODY,
      refusals: REFUSALS,
      seesUse: false,
      close: () => {
        for (const domain of domains) domain.close();
        platform.close();
      },
    };
  });

  eventChannelsSuite('native', () => {
    const backend = new NativeEventChannels();
    const domain = new NativeEventChannels();
    const listen = (fd: number) => {
      const pending = new PendingEvents(fd);
      const seen = new Set<number>();
      return (port: number) => {
        const n = pending.take();
        for (const one of pending.ports.subarray(0, n)) seen.add(one);
        return seen.delete(port);
      };
    };
    const hears = { backend: listen(backend.fd), domain: listen(domain.fd) };
    return {
      channels: backend,
      domid: SELF,
      nobody: NOBODY,
      allocate: () => {
        const port = domain.bindUnbound(SELF);
        return { port, notify: notifier(domain.fd, port), pending: () => hears.domain(port) };
      },
      notify: (channel: Channel) => notifier(channel.notifyFd, channel.port)(),
      pending: (channel: Channel) => hears.backend(channel.port),
      repeats: true,
      close: () => {
        backend.close();
        domain.close();
      },
    };
  });

  describe('native mappings', () => {
    test('a small dom0 has room for an arena, of whatever size', (t) => {
      const arena = Arena.create(2 ** 31, 2 ** 27);
      t.diagnostic(`${arena.u8.length >>> 20} MiB of address space`);
      assert.ok(arena.allocate(2 ** 26, 'half of the least') > 0);
    });

    test('a copy from and to pages that are mapped here', () => {
      const arena = Arena.create(1 << 24);
      const platform = new NativePlatform(arena, instantiateLoops(arena));
      const pages = new GrantedPages(arena);
      const own = arena.allocate(2 * PAGE, 'pages');
      const references = pages.grant(SELF, own, 2, true);
      const mapped = arena.allocate(2 * PAGE, 'mapped');
      platform.grants.map(SELF, references, mapped, true);
      arena.u8[own] = 7;
      assert.equal(arena.u8[mapped], 7);
      platform.grants.unmap(SELF, references, mapped);
      assert.equal(arena.u8[mapped], 0);
      pages.close();
      platform.close();
    });

    test('the end of a mapping signals the channel that was named', () => {
      const arena = Arena.create(1 << 24);
      const platform = new NativePlatform(arena, instantiateLoops(arena));
      const thread = platform.openThread();
      const guest = new NativeEventChannels();
      const heard = new PendingEvents(guest.fd);
      const remote = guest.bindUnbound(SELF);
      const local = thread.events.bindInterdomain(SELF, remote);
      const pages = new GrantedPages(arena);
      const references = pages.grant(SELF, arena.allocate(PAGE, 'ring'), 1, true);
      const mapped = arena.allocate(PAGE, 'mapped ring');
      platform.grants.map(SELF, references, mapped, true);
      platform.wakeOnUnmap(mapped, local);
      assert.equal(heard.take(), 0);
      platform.grants.unmap(SELF, references, mapped);
      assert.equal(heard.take(), 1);
      assert.equal(heard.ports[0], remote);
      pages.close();
      thread.close();
      guest.close();
      platform.close();
    });
  });
}
