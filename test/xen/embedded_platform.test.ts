/** The conformance suites on the embedded platform, and what is its own. */
import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_page,
  GNTST_permission_denied,
  GRANT_ENTRY_SIZE,
} from '../../src/abi/grant_table.js';
import { Arena } from '../../src/arena/arena.js';
import { instantiateLoops } from '../../src/arena/loops.js';
import { SetupError } from '../../src/sys/errors.js';
import { signal } from '../../src/sys/eventfd.js';
import { PORTS_PER_DOMAIN } from '../../src/xen/embedded/domain.js';
import { EmbeddedGrantOwner } from '../../src/xen/embedded/grants.js';
import { Hypervisor } from '../../src/xen/embedded/hypervisor.js';
import { eventChannelsSuite } from './event_channels.suite.js';
import { type GrantingDomain, grantTableSuite, type Refusals } from './grant_table.suite.js';

const SHAPE = { ramPages: 16, grantPages: 1 };
const PAGE = 4096;

const REFUSALS: Refusals = {
  noGrant: GNTST_bad_gntref,
  beyondTable: GNTST_bad_gntref,
  anothers: GNTST_bad_domain,
  readOnly: GNTST_permission_denied,
  readOnlyCopy: GNTST_permission_denied,
  beyondRam: GNTST_bad_page,
  nobody: GNTST_bad_domain,
};

function machine() {
  const arena = Arena.create(1 << 24);
  return { arena, hypervisor: new Hypervisor(arena, instantiateLoops(arena)) };
}

function granting(arena: Arena, hypervisor: Hypervisor, name: string): GrantingDomain {
  const domain = hypervisor.create(name, SHAPE);
  const ram = arena.allocate(SHAPE.ramPages * PAGE, name);
  arena.map(ram, SHAPE.ramPages * PAGE, domain.ramFd, 0, true);
  const owner = new EmbeddedGrantOwner(arena, domain.table, SHAPE.grantPages * PAGE);
  return {
    domid: domain.domid,
    grant: (name, domid, frame, readOnly) => owner.grant(name, domid, frame, readOnly),
    end: (name) => owner.end(name),
    reference: (name) => name,
    beyond: owner.size,
    frames: SHAPE.ramPages,
    read: (frame) => arena.u8.slice(ram + frame * PAGE, ram + (frame + 1) * PAGE),
    write: (frame, bytes) => arena.u8.set(bytes, ram + frame * PAGE),
  };
}

/** `views`: of how many of the two domains the hypervisor has a view, where a copy needs no system call. */
for (const views of [0, 1, 2]) {
  grantTableSuite(`embedded, ${views} in view`, () => {
    const { arena, hypervisor } = machine();
    const domains = [granting(arena, hypervisor, 'a'), granting(arena, hypervisor, 'b')] as const;
    for (const { domid } of domains.slice(0, views)) assert.ok(hypervisor.domain(domid)!.openView());
    return {
      arena,
      table: hypervisor.grants,
      backend: 0,
      domains,
      nobody: 77,
      other: domains[1].domid,
      refusals: REFUSALS,
      seesUse: true,
      close: () => hypervisor.close(),
    };
  });
}

test("the hypervisor's view is given back with its domain, and refused when the arena is full", () => {
  const { arena, hypervisor } = machine();
  const domain = hypervisor.create('a', SHAPE);
  const before = arena.freePages;
  assert.ok(domain.openView());
  assert.ok(domain.openView(), 'again: the same one');
  assert.equal(before - arena.freePages, SHAPE.ramPages);
  const other = hypervisor.create('b', SHAPE);
  const rest = arena.freePages - SHAPE.ramPages + 1;
  const ballast = arena.allocate(rest * PAGE, 'ballast');
  assert.equal(other.openView(), false);
  assert.equal(other.view, 0);
  arena.free(ballast, rest * PAGE);
  hypervisor.destroy(other.domid);
  hypervisor.destroy(domain.domid);
  assert.equal(arena.freePages, before + SHAPE.grantPages);
  hypervisor.close();
});

/** Takes the pending count of an eventfd. */
function taken(fd: number): boolean {
  try {
    return readSync(fd, Buffer.alloc(8)) === 8;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    return false;
  }
}

eventChannelsSuite('embedded', () => {
  const { hypervisor } = machine();
  const domain = hypervisor.create('a', SHAPE);
  return {
    channels: hypervisor,
    domid: domain.domid,
    nobody: 99,
    allocate: () => {
      const { port, toDomain, toBackend } = domain.allocatePort();
      return { port, notify: () => signal(toBackend), pending: () => taken(toDomain) };
    },
    notify: (channel) => signal(channel.notifyFd),
    pending: (channel) => taken(channel.waitFd),
    repeats: false,
    close: () => hypervisor.close(),
  };
});

describe('embedded domains', () => {
  test('a domain gives everything back when it ends', () => {
    const { arena, hypervisor } = machine();
    const free = arena.freePages;
    for (let i = 0; i < 50; i++) {
      const domain = hypervisor.create(`d${i}`, SHAPE);
      hypervisor.bindInterdomain(domain.domid, domain.allocatePort().port);
      assert.ok(arena.freePages < free);
      hypervisor.destroy(domain.domid);
    }
    assert.equal(arena.freePages, free);
    assert.equal(hypervisor.domains.length, 0);
  });

  test('its grants are refused once it is gone', () => {
    const { arena, hypervisor } = machine();
    const a = granting(arena, hypervisor, 'a');
    a.grant(8, 0, 1, false);
    const address = arena.allocate(PAGE, 'mapping');
    hypervisor.grants.map(a.domid, [8], address, true);
    hypervisor.destroy(a.domid);
    assert.throws(() => hypervisor.grants.map(a.domid, [8], address, true), /another domain/);
    hypervisor.grants.unmap(a.domid, [8], address);
    assert.ok(arena.u8.subarray(address, address + PAGE).every((byte) => byte === 0));
  });

  test('domids are not used again at once', () => {
    const { hypervisor } = machine();
    const first = hypervisor.create('a', SHAPE).domid;
    hypervisor.destroy(first);
    assert.notEqual(hypervisor.create('b', SHAPE).domid, first);
    hypervisor.close();
  });

  test('event channels are bounded', () => {
    const { hypervisor } = machine();
    const domain = hypervisor.create('a', SHAPE);
    for (let i = 0; i < PORTS_PER_DOMAIN; i++) domain.allocatePort();
    assert.throws(() => domain.allocatePort(), SetupError);
    domain.freePort(1);
    domain.allocatePort();
    hypervisor.close();
  });

  test('entries of a kind that is not offered are refused by mapping and copy alike', () => {
    const { arena, hypervisor } = machine();
    const a = granting(arena, hypervisor, 'a');
    const table = hypervisor.domain(a.domid)!.table;
    const address = arena.allocate(PAGE, 'mapping');
    for (const flags of [0, 2, 3, 1 | 32, 1 | 64, 1 | 128, 1 | 256, 1 | 0x8000]) {
      arena.view.setUint32(table + 8 * GRANT_ENTRY_SIZE + 4, 1, true);
      arena.view.setUint32(table + 8 * GRANT_ENTRY_SIZE, flags, true);
      assert.throws(
        () => hypervisor.grants.map(a.domid, [8], address, false),
        /no such grant/,
        `flags ${flags}`,
      );
    }
    hypervisor.close();
  });

  test('a hypervisor gives the arena back', () => {
    const arena = Arena.create(1 << 24);
    const free = arena.freePages;
    const hypervisor = new Hypervisor(arena, instantiateLoops(arena));
    hypervisor.create('a', SHAPE);
    hypervisor.close();
    assert.equal(arena.freePages, free);
  });
});
