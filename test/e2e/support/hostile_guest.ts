/**
 * `node hostile_guest.js SOCKET NAME WAY`: a process that becomes a domain and then misbehaves in one way. It prints
 * `done` when it has, and stays. Run it in namespaces of its own.
 */
import { Socket } from 'node:net';
import { F_GETFL, F_SETFL, O_NONBLOCK } from '../../../src/abi/fcntl.js';
import { TXREQ_GREF, TXREQ_ID, TXREQ_OFFSET, TXREQ_SIZE } from '../../../src/abi/netif.js';
import {
  NETIF_RING_SIZE,
  RING_ENTRIES,
  RING_REQ_PROD,
  RING_RSP_EVENT,
  TX_ENTRY_SIZE,
} from '../../../src/abi/ring.js';
import { XenbusStateConnected } from '../../../src/abi/xenbus.js';
import { Arena } from '../../../src/arena/arena.js';
import { becomeDomain, type DomainHandles } from '../../../src/guest/bootstrap.js';
import {
  GREF_BASE,
  grantAll,
  PAGE_CTRL_RING,
  PAGE_RX_RING,
  PAGE_TX_FIRST,
  PAGE_TX_RING,
  RAM_PAGES_NEEDED,
} from '../../../src/netif/netfront_memory.js';
import { drain, signal } from '../../../src/sys/eventfd.js';
import { libc } from '../../../src/sys/libc.js';
import { EmbeddedGrantOwner } from '../../../src/xen/embedded/grants.js';
import { connectXenstore } from '../../../src/xen/xenstore/client.js';
import type { XenStore } from '../../../src/xen/xenstore.js';

const PAGE = 4096;
const CTRL_REF = GREF_BASE + PAGE_CTRL_RING;

const channelOf = (guest: Guest) => guest.handles.allocateEventChannel().port;

interface Guest {
  readonly handles: DomainHandles;
  readonly arena: Arena;
  readonly ram: number;
  readonly store: XenStore;
}

function open(socket: string, name: string): Guest {
  const handles = becomeDomain(socket, { name });
  const { grant } = handles;
  const arena = Arena.create(64 * 2 ** 20);
  const ram = arena.allocate(RAM_PAGES_NEEDED * PAGE, 'RAM');
  arena.map(ram, RAM_PAGES_NEEDED * PAGE, handles.ramFd, 0, true);
  const table = arena.allocate(grant.grantPages * PAGE, 'grant table');
  arena.map(table, grant.grantPages * PAGE, handles.grantFd, 0, true);
  grantAll(new EmbeddedGrantOwner(arena, table, grant.grantPages * PAGE), 0);
  return { handles, arena, ram, store: connectXenstore(new Socket({ fd: handles.xenstoreFd })) };
}

/** Goes to Connected with these keys in place of the proper ones; an empty value leaves a key out. */
async function announce(guest: Guest, changed: Readonly<Record<string, string>> = {}) {
  const channel = guest.handles.allocateEventChannel();
  const keys: Record<string, string> = {
    'tx-ring-ref': String(GREF_BASE + PAGE_TX_RING),
    'rx-ring-ref': String(GREF_BASE + PAGE_RX_RING),
    'event-channel': String(channel.port),
    'request-rx-copy': '1',
    'feature-rx-notify': '1',
    'feature-sg': '1',
    ...changed,
  };
  const backend = await guest.store.read('device/vif/0/backend');
  while ((await guest.store.tryRead(`${backend}/state`)) !== '2')
    await new Promise((go) => setTimeout(go, 20));
  for (const [key, value] of Object.entries(keys))
    if (value !== '') await guest.store.write(`device/vif/0/${key}`, value);
  await guest.store.write('device/vif/0/state', String(XenbusStateConnected));
  return channel;
}

async function connected(guest: Guest): Promise<void> {
  const backend = await guest.store.read('device/vif/0/backend');
  while ((await guest.store.tryRead(`${backend}/state`)) !== '4')
    await new Promise((go) => setTimeout(go, 20));
}

/**
 * One small frame after another, each answered by a wake-up of ours; our own counter is full and blocks. `read`: ms after
 * which we read it, each time before anybody comes to look; 0: never.
 */
async function blockSignals(guest: Guest, read = 0): Promise<void> {
  const channel = await announce(guest);
  const backend = await guest.store.read('device/vif/0/backend');
  while ((await guest.store.tryRead(`${backend}/state`)) !== '4')
    await new Promise((go) => setTimeout(go, 20));
  const fcntl = libc.func('int fcntl(int fd, int command, int argument)');
  const write = libc.func('intptr_t write(int fd, void *data, size_t length)');
  // A counter holds at most 2^64 - 2: the next write of 1 has to wait for a reader.
  const fill = () => {
    fcntl(channel.waitFd, F_SETFL, fcntl(channel.waitFd, F_GETFL, 0) | O_NONBLOCK);
    write(channel.waitFd, new Uint8Array(new BigUint64Array([0xfffffffffffffffen]).buffer), 8);
    fcntl(channel.waitFd, F_SETFL, fcntl(channel.waitFd, F_GETFL, 0) & ~O_NONBLOCK);
  };
  const { arena, ram } = guest;
  const ring = ram + PAGE_TX_RING * PAGE;
  let produced = 0;
  setInterval(() => {
    fill();
    const at = ring + RING_ENTRIES + (produced % NETIF_RING_SIZE) * TX_ENTRY_SIZE;
    arena.view.setUint32(at + TXREQ_GREF, GREF_BASE + PAGE_TX_FIRST, true);
    arena.view.setUint32(at + TXREQ_OFFSET, 0, true); // and flags
    arena.view.setUint16(at + TXREQ_ID, 0, true);
    arena.view.setUint16(at + TXREQ_SIZE, 60, true);
    produced++;
    arena.view.setUint32(ring + RING_RSP_EVENT, produced, true); // wake us at this one's response
    Atomics.store(arena.u32, (ring + RING_REQ_PROD) / 4, produced);
    signal(channel.notifyFd);
    if (read > 0) setTimeout(() => drain(channel.waitFd), read);
  }, read + 20);
}

const ways: Readonly<Record<string, (guest: Guest) => Promise<unknown>>> = {
  'no-queues': (guest) => announce(guest, { 'multi-queue-num-queues': '0' }),
  'negative-queues': (guest) => announce(guest, { 'multi-queue-num-queues': '-1' }),
  'many-queues': (guest) => announce(guest, { 'multi-queue-num-queues': '4294967296' }),
  'ring-ref-out-of-range': (guest) => announce(guest, { 'tx-ring-ref': '4294967295' }),
  'ring-ref-no-grant': (guest) => announce(guest, { 'rx-ring-ref': '1' }),
  'ring-ref-text': (guest) => announce(guest, { 'tx-ring-ref': '%n%s../../..' }),
  'no-event-channel': (guest) => announce(guest, { 'event-channel': '' }),
  'event-channel-unbound': (guest) => announce(guest, { 'event-channel': '60000' }),
  'event-channel-text': (guest) => announce(guest, { 'event-channel': '\u00ff'.repeat(300) }),
  'page-flipping': (guest) => announce(guest, { 'request-rx-copy': '0' }),
  'ring-garbage': async (guest) => {
    const channel = await announce(guest);
    await connected(guest);
    guest.arena.u8.fill(0xff, guest.ram + PAGE_TX_RING * PAGE, guest.ram + (PAGE_RX_RING + 1) * PAGE);
    guest.arena.view.setUint32(guest.ram + PAGE_TX_RING * PAGE + RING_REQ_PROD, 0x12345678, true);
    signal(channel.notifyFd);
  },
  'control-ring-no-grant': (guest) =>
    announce(guest, { 'ctrl-ring-ref': '1', 'event-channel-ctrl': String(channelOf(guest)) }),
  'control-ring-no-channel': (guest) => announce(guest, { 'ctrl-ring-ref': String(CTRL_REF) }),
  'control-ring-garbage': async (guest) => {
    const control = guest.handles.allocateEventChannel();
    await announce(guest, { 'ctrl-ring-ref': String(CTRL_REF), 'event-channel-ctrl': String(control.port) });
    await connected(guest);
    const ring = guest.ram + PAGE_CTRL_RING * PAGE;
    guest.arena.u8.fill(0xff, ring, ring + PAGE);
    guest.arena.view.setUint32(ring + RING_REQ_PROD, 0x12345678, true);
    signal(control.notifyFd);
  },
  'block-signals': (guest) => blockSignals(guest),
  'block-signals-briefly': (guest) => blockSignals(guest, 80),
  'foreign-nodes': async ({ store }) => {
    const backend = await store.read('device/vif/0/backend');
    for (const path of [
      `${backend}/state`,
      `${backend}/new`,
      '/local/domain/0/backend',
      '/tool/new',
      '/local/domain/1/device/vif/0/state',
    ]) {
      const outcome = await store.write(path, '6').then(
        () => 'written',
        (error: Error) => error.message,
      );
      process.stdout.write(`${path}: ${outcome}\n`);
    }
  },
  'many-channels': async (guest) => {
    for (let i = 0; i < 10_000; i++) {
      try {
        guest.handles.allocateEventChannel();
      } catch (error) {
        process.stdout.write(`refused after ${i}: ${(error as Error).message}\n`);
        return;
      }
    }
  },
};

const [, , socket, name, way] = process.argv;
await ways[way](open(socket, name));
process.stdout.write('done\n');
setInterval(() => {}, 1000); // stays until it is killed
