// Forwarding: a frame goes by its destination MAC to one port, to all others (group), to the uplink, or
// nowhere, counted. MACs are known, not learnt; a port may only send from its own.
import { DROP_EMPTY_GROUP, DROP_RX_FULL, DROP_SELF, DROP_SPOOFED, DROP_UNKNOWN_UNICAST } from './counters';
import {
  FWD_ACTIVE,
  FWD_MACS,
  FWD_PORTS,
  FWD_TARGETS,
  FWD_TOUCHED,
  FWD_UPLINK,
  MAC_ENTRY,
  MAC_KEY,
  MAC_PORT,
  MAC_SLOTS,
  PORT_ANY_SOURCE,
  PORT_BEYOND,
  PORT_CHECKED,
  PORT_COUNTERS,
  PORT_FLAGS,
  PORT_ISOLATED,
  PORT_LIST,
  PORT_MAC,
  PORT_SENDERS,
  PORT_SIZE,
  PORT_THREADS,
  PORT_TOUCHED,
  PORT_WIRE,
  PORT_WIRED,
} from './forward_layout';
import { BURST, F_HEADER, F_SETTLED, F_SINCE, F_SRC, F_VERDICT, VERDICT_DROP, VERDICT_GROUP } from './layout';
import { count } from './memory';
import { senderRefusal } from './sender';

export const KEY_VALID: u64 = 1 << 48;
export const KEY_MASK: u64 = 0xffffffffffff;

function hashOf(key: u64): u32 {
  return <u32>((key * 0x9e3779b97f4a7c15) >> 52); // 12 bits: MAC_SLOTS
}

export function portOf(fwd: u32, port: u32): u32 {
  return load<u32>(fwd + FWD_PORTS) + port * PORT_SIZE;
}

/** The port that owns a MAC key; 0 when nobody does. */
export function macLookup(fwd: u32, key: u64): u32 {
  const table = load<u32>(fwd + FWD_MACS);
  let at = hashOf(key);
  while (true) {
    const entry = table + at * MAC_ENTRY;
    const found = load<u64>(entry, MAC_KEY);
    if (found == key) return load<u32>(entry, MAC_PORT);
    if (found == 0) return 0;
    at = (at + 1) & (MAC_SLOTS - 1);
  }
}

/** The MAC at `address` (6 bytes) as a key. */
export function macKey(address: u32): u64 {
  return <u64>load<u32>(address) | ((<u64>load<u16>(address + 4)) << 32) | KEY_VALID;
}

/** Enters a MAC. False when it is there already or the table is three quarters full. */
export function macAdd(fwd: u32, address: u32, port: u32): bool {
  const table = load<u32>(fwd + FWD_MACS);
  const key = macKey(address);
  if (macLookup(fwd, key) != 0) return false;
  let used: u32 = 0;
  for (let i: u32 = 0; i < <u32>MAC_SLOTS; i++) if (load<u64>(table + i * MAC_ENTRY) != 0) used++;
  if (used >= <u32>((MAC_SLOTS / 4) * 3)) return false;
  let at = hashOf(key);
  while (load<u64>(table + at * MAC_ENTRY) != 0) at = (at + 1) & (MAC_SLOTS - 1);
  store<u32>(table + at * MAC_ENTRY, port, MAC_PORT);
  store<u64>(table + at * MAC_ENTRY, key, MAC_KEY);
  return true;
}

/** Takes all MACs of a port out, moving later entries of a probe chain up (no tombstones). */
export function macRemovePort(fwd: u32, port: u32): void {
  const table = load<u32>(fwd + FWD_MACS);
  for (let i: u32 = 0; i < <u32>MAC_SLOTS; i++) {
    while (load<u64>(table + i * MAC_ENTRY) != 0 && load<u32>(table + i * MAC_ENTRY, MAC_PORT) == port)
      removeAt(table, i);
  }
}

/** Takes one MAC out, if it is `port`'s. */
export function macRemove(fwd: u32, address: u32, port: u32): void {
  const table = load<u32>(fwd + FWD_MACS);
  const key = macKey(address);
  for (let at = hashOf(key); ; at = (at + 1) & (MAC_SLOTS - 1)) {
    const found = load<u64>(table + at * MAC_ENTRY);
    if (found == 0) return;
    if (found != key) continue;
    if (load<u32>(table + at * MAC_ENTRY, MAC_PORT) == port) removeAt(table, at);
    return;
  }
}

function removeAt(table: u32, hole: u32): void {
  let at = hole;
  let empty = hole;
  while (true) {
    at = (at + 1) & (MAC_SLOTS - 1);
    const entry = table + at * MAC_ENTRY;
    const key = load<u64>(entry, MAC_KEY);
    if (key == 0) break;
    const home = hashOf(key);
    // The entry may move to the hole unless its home lies cyclically in (empty, at].
    if (((at - home) & (MAC_SLOTS - 1)) >= ((at - empty) & (MAC_SLOTS - 1))) {
      memory.copy(table + empty * MAC_ENTRY, entry, MAC_ENTRY);
      empty = at;
    }
  }
  store<u64>(table + empty * MAC_ENTRY, 0, MAC_KEY);
}

/** Gives each pending frame of list[0 … n), all of one source, its verdict; drops are settled and counted. */
export function classify(fwd: u32, list: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED) || load<u32>(frame + F_VERDICT)) continue;
    const source = load<u32>(frame + F_SRC);
    const from = portOf(fwd, source);
    const flags = load<u32>(from, PORT_FLAGS);
    if (flags & PORT_WIRED) {
      store<u32>(frame + F_VERDICT, load<u32>(from, PORT_WIRE));
      continue;
    }
    const to = macKey(frame + F_HEADER);
    const sender = macKey(frame + F_HEADER + 6);
    if (
      sender != load<u64>(from, PORT_MAC) &&
      !(flags & PORT_ANY_SOURCE) &&
      macLookup(fwd, sender) != source
    ) {
      drop(from, frame, DROP_SPOOFED);
    } else if (flags & PORT_CHECKED && refused(from, frame)) {
      continue;
    } else if (to & 1) {
      store<u32>(frame + F_VERDICT, VERDICT_GROUP);
    } else {
      let port = macLookup(fwd, to);
      if (port == 0) port = load<u32>(fwd + FWD_UPLINK);
      if (port == source) drop(from, frame, DROP_SELF);
      else if (port == 0 || (flags & PORT_ISOLATED && isolated(fwd, port)) || passing(fwd, from, port)) {
        drop(from, frame, DROP_UNKNOWN_UNICAST);
      } else store<u32>(frame + F_VERDICT, port);
    }
  }
}

function refused(from: u32, frame: u32): bool {
  const why = senderRefusal(load<u32>(from, PORT_SENDERS), frame);
  if (why != 0) drop(from, frame, why);
  return why != 0;
}

/** From one junction to another: its receiver was here, and has moved to a third thread since. */
function passing(fwd: u32, from: u32, port: u32): bool {
  return load<u32>(from, PORT_BEYOND) != 0 && load<u32>(portOf(fwd, port), PORT_BEYOND) != 0;
}

function isolated(fwd: u32, port: u32): bool {
  return (load<u32>(portOf(fwd, port), PORT_FLAGS) & PORT_ISOLATED) != 0;
}

function drop(port: u32, frame: u32, reason: u32): void {
  store<u32>(frame + F_VERDICT, VERDICT_DROP + reason);
  store<u32>(frame + F_SETTLED, 1);
  count(load<u32>(port, PORT_COUNTERS), reason, 1);
}

/** The port has something new to show to its peer at the end of the round. */
export function touch(fwd: u32, port: u32): void {
  const record = portOf(fwd, port);
  if (load<u32>(record, PORT_TOUCHED)) return;
  store<u32>(record, 1, PORT_TOUCHED);
  const list = load<u32>(fwd + FWD_TOUCHED);
  const n = load<u32>(list) + 1;
  store<u32>(list, n);
  store<u32>(list + (n << 2), port);
}

/** Puts the pending frames on the lists of their ports, in order. Returns the number of ports that got any. */
export function dispatch(fwd: u32, list: u32, n: u32): u32 {
  const targets = load<u32>(fwd + FWD_TARGETS);
  const active = load<u32>(fwd + FWD_ACTIVE);
  let used: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_SETTLED)) continue;
    const verdict = load<u32>(frame + F_VERDICT);
    if (verdict != VERDICT_GROUP) {
      used = enlist(fwd, targets, used, verdict, frame);
      continue;
    }
    const source = load<u32>(frame + F_SRC);
    const ports = load<u32>(active);
    const apart = isolated(fwd, source);
    const beyond = load<u32>(portOf(fwd, source), PORT_BEYOND);
    let copies: u32 = 0;
    for (let p: u32 = 0; p < ports; p++) {
      const port = load<u32>(active + 4 + (p << 2));
      if (port == source || load<u32>(portOf(fwd, port), PORT_FLAGS) & PORT_WIRED) continue;
      if (apart && isolated(fwd, port)) continue;
      if ((beyond & load<u32>(portOf(fwd, port), PORT_THREADS)) != 0) continue; // has it from another part
      used = enlist(fwd, targets, used, port, frame);
      copies++;
    }
    if (copies == 0 && beyond == 0) drop(portOf(fwd, source), frame, DROP_EMPTY_GROUP);
  }
  store<u32>(targets, used);
  return used;
}

function enlist(fwd: u32, targets: u32, used: u32, port: u32, frame: u32): u32 {
  const list = load<u32>(portOf(fwd, port), PORT_LIST);
  const n = load<u32>(list);
  if (n == 0) {
    used++;
    store<u32>(targets + (used << 2), port);
  }
  if (n < <u32>BURST) {
    store<u32>(list + 4 + (n << 2), frame);
    store<u32>(list, n + 1);
  }
  return used;
}

/**
 * All descriptors of a source wait: those for the receiver that keeps the longest waiting are given up when that took
 * more than `limit` ms, so that the source's other frames get through. Counted at the receiver. A port that is joined to
 * one other has no other frames: it waits, and so does who sends to it. Nor are frames given up for another thread, which takes
 * them as soon as it has its CPU, and gives up what a receiver there does not take.
 */
export function relieve(fwd: u32, list: u32, n: u32, now: u32, limit: u32): void {
  const source = load<u32>(load<u32>(list) + F_SRC);
  if (load<u32>(portOf(fwd, source), PORT_FLAGS) & PORT_WIRED) return;
  for (let i: u32 = 0; i < n; i++) {
    const since = load<u32>(load<u32>(list + (i << 2)) + F_SINCE);
    if (since == 0 || now - since <= limit) continue;
    const port = load<u32>(load<u32>(list + (i << 2)) + F_VERDICT);
    if (load<u32>(portOf(fwd, port), PORT_BEYOND) != 0) continue;
    relieveOf(fwd, port, list + (i << 2), n - i);
    return;
  }
}

/** Gives up those of list[0 … n) that wait for `port`. */
export function relieveOf(fwd: u32, port: u32, list: u32, n: u32): void {
  const counters = load<u32>(portOf(fwd, port), PORT_COUNTERS);
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_VERDICT) != port || load<u32>(frame + F_SETTLED)) continue;
    store<u32>(frame + F_SETTLED, 1);
    count(counters, DROP_RX_FULL, 1);
  }
}

/** After all pushes: group frames are settled (they wait for nobody) and the lists are empty again. */
export function settleRound(fwd: u32, list: u32, n: u32): void {
  const targets = load<u32>(fwd + FWD_TARGETS);
  const used = load<u32>(targets);
  for (let i: u32 = 0; i < used; i++) {
    store<u32>(load<u32>(portOf(fwd, load<u32>(targets + 4 + (i << 2))), PORT_LIST), 0);
  }
  for (let i: u32 = 0; i < n; i++) {
    const frame = load<u32>(list + (i << 2));
    if (load<u32>(frame + F_VERDICT) == VERDICT_GROUP) store<u32>(frame + F_SETTLED, 1);
  }
}
