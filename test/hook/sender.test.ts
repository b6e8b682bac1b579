/** What a port's program makes of single frames, by the kernel's own test runs: no interface, no namespace. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TC_ACT_REDIRECT, TC_ACT_SHOT } from '../../src/abi/bpf_skb.js';
import { loadProgram } from '../../src/hook/loader.js';
import { Maps } from '../../src/hook/maps.js';
import { groupFrames } from '../../src/hook/programs/group.js';
import {
  COUNTERS,
  PORT_CHECKED,
  PROGRAM_GROUP,
  SLOT_HOST,
  SLOT_WIRE,
} from '../../src/hook/programs/layout.js';
import { portIngress } from '../../src/hook/programs/port.js';
import { programTestRun } from '../../src/sys/bpf.js';
import { linkLocal, parseAddress } from '../../src/sys/inet.js';
import { close } from '../../src/sys/libc.js';
import { macBytes } from '../../src/sys/netlink.js';
import { lacking } from '../e2e/support/place.js';
import { arp, BROADCAST, frame, ipv4, ipv6, ND, option } from './support/frames.js';
import { senderRows } from './support/sender_evasions.js';
import { discovery, HOST, MINE, STABLE, THEIRS, V4, V6 } from './support/senders.js';

const ME = 2;
const OTHER = 3;
const WIRE = '02:00:00:00:00:99';
/** Any interface will do: a test run only asks where a frame would go. */
const LOOPBACK = 1;

const VLAN: [number, number] = [0x8100, 7];
/** Of no VLAN: it says a priority alone. */
const PRIORITY: [number, number] = [0x8100, 0xe000];
const QINQ: [number, number] = [0x88a8, 9];
const OLD_QINQ: [number, number] = [0x9100, 9];

/** The counter of a reason in the words of `vif list`. */
const COUNTER_OF: Readonly<Record<string, string>> = {
  'spoofed-ip': 'dropSpoofedIp',
  'spoofed-arp': 'dropSpoofedArp',
  'spoofed-nd': 'dropSpoofedNd',
};

describe('a port’s program', { skip: lacking() }, () => {
  let maps: Maps;
  let program: number;
  before(() => {
    maps = new Maps();
    const group = loadProgram(groupFrames(), maps.descriptors);
    maps.setProgram(PROGRAM_GROUP, group);
    close(group);
    program = loadProgram(portIngress(ME), maps.descriptors);
    maps.setPort(OTHER, { ifindex: LOOPBACK, flags: 0, mac: macBytes(THEIRS) });
    for (const [mac, slot] of [
      [MINE, ME],
      [THEIRS, OTHER],
      [HOST, SLOT_HOST],
    ] as const) {
      maps.setMac(macBytes(mac), slot);
    }
    for (const text of [V4, V6, STABLE]) maps.setAddress(ME, parseAddress(text).bytes, true);
    maps.setAddress(ME, linkLocal(macBytes(MINE)), true);
  });
  after(() => {
    close(program);
    maps.close();
  });

  let flagsNow = 0;
  function configure(flags: number, uplink = LOOPBACK, fallback = 0): void {
    flagsNow = flags;
    enterMe(undefined);
    maps.setConfig({ uplink, fallback, groups: 0, flags: 0 });
  }

  function enterMe(ipv4: Uint8Array | undefined): void {
    maps.setPort(ME, { ifindex: LOOPBACK, flags: flagsNow, mac: macBytes(MINE), ipv4 });
  }

  /**
   * The drop counters that rose with one frame, and where it went otherwise. Whether the port's first address is told
   * by a glance at its entry or only looked up makes no difference.
   */
  function fate(data: Uint8Array): string {
    const lookedUp = fateNow(data);
    if (flagsNow !== PORT_CHECKED) return lookedUp;
    for (const first of [V4, '10.0.0.77']) {
      maps.setAddress(ME, parseAddress('10.0.0.77').bytes, true);
      enterMe(parseAddress(first).bytes);
      assert.equal(fateNow(data), lookedUp, `first address ${first}`);
    }
    maps.setAddress(ME, parseAddress('10.0.0.77').bytes, false);
    enterMe(undefined);
    return lookedUp;
  }

  function fateNow(data: Uint8Array): string {
    const slots = { wire: SLOT_WIRE, host: SLOT_HOST, other: OTHER };
    const earlier = maps.counters(ME);
    const sent = Object.entries(slots).map(([name, slot]) => [name, maps.counters(slot).txFrames] as const);
    const { verdict } = programTestRun(program, data);
    const now = maps.counters(ME);
    assert.equal(now.rxFrames, earlier.rxFrames + 1);
    const drops = COUNTERS.filter((name) => name.startsWith('drop') && now[name] > earlier[name]);
    if (drops.length > 0) {
      assert.equal(verdict, TC_ACT_SHOT);
      return drops.join(', ');
    }
    const receivers = sent.filter(([name, before]) => maps.counters(slots[name as 'wire']).txFrames > before);
    assert.equal(verdict, receivers.length > 0 ? TC_ACT_REDIRECT : TC_ACT_SHOT);
    return receivers.map(([name]) => name).join(', ') || 'nowhere';
  }

  test('unicast goes by its destination', () => {
    configure(0);
    assert.equal(fate(frame(THEIRS, MINE, 0x88b5)), 'other');
    assert.equal(fate(frame(HOST, MINE, 0x88b5)), 'host');
    assert.equal(fate(frame(WIRE, MINE, 0x88b5)), 'wire');
    assert.equal(fate(frame(MINE, MINE, 0x88b5)), 'dropEcho');
  });

  test('without an uplink unknown unicast goes to the fallback, or is dropped', () => {
    configure(0, 0);
    assert.equal(fate(frame(WIRE, MINE, 0x88b5)), 'dropUnknown');
    assert.equal(fate(frame(HOST, MINE, 0x88b5)), 'dropUnknown');
    assert.equal(fate(frame(BROADCAST, MINE, 0x88b5)), 'nowhere');
    configure(0, 0, OTHER);
    assert.equal(fate(frame(WIRE, MINE, 0x88b5)), 'other');
    configure(0, 0, ME);
    assert.equal(fate(frame(WIRE, MINE, 0x88b5)), 'dropUnknown');
  });

  test('a receiver that is being removed takes nothing', () => {
    configure(0);
    maps.setPort(OTHER, undefined);
    assert.equal(fate(frame(THEIRS, MINE, 0x88b5)), 'dropGone');
    maps.setPort(OTHER, { ifindex: LOOPBACK, flags: 0, mac: macBytes(THEIRS) });
  });

  test('groups that no switch forwards are dropped', () => {
    configure(0);
    for (const last of ['00', '01', '02', '0e', '0f']) {
      assert.equal(fate(frame(`01:80:c2:00:00:${last}`, MINE, 0x88cc)), 'dropReserved');
    }
    configure(0, 0);
    for (const mac of ['01:80:c2:00:00:10', '01:80:c2:00:01:00', '33:33:00:00:00:01', BROADCAST]) {
      assert.equal(fate(frame(mac, MINE, 0x88b5)), 'nowhere', mac);
    }
  });

  test('the source MAC must be the port’s, or one the table gives it', () => {
    configure(0);
    for (const from of [THEIRS, HOST, WIRE, BROADCAST, '33:33:00:00:00:01', '00:00:00:00:00:00']) {
      assert.equal(fate(frame(HOST, from, 0x88b5)), 'dropSpoofedMac', from);
      assert.equal(fate(frame(BROADCAST, from, 0x88b5)), 'dropSpoofedMac', from);
    }
    maps.setMac(macBytes('02:00:00:00:00:0c'), ME);
    assert.equal(fate(frame(HOST, '02:00:00:00:00:0c', 0x88b5)), 'host');
    maps.removeMac(macBytes('02:00:00:00:00:0c'));
    assert.equal(fate(frame(HOST, '02:00:00:00:00:0c', 0x88b5)), 'dropSpoofedMac');
  });

  const stacks = [[], [VLAN], [PRIORITY], [OLD_QINQ], [QINQ, VLAN], [QINQ, OLD_QINQ, PRIORITY]];
  for (const tags of stacks) {
    test(`senders above the MAC, behind ${said(tags)}`, () => {
      configure(PORT_CHECKED);
      for (const [name, type, payload, why] of senderRows) {
        assert.equal(fate(frame(HOST, MINE, type, payload, tags)), why ? COUNTER_OF[why] : 'host', name);
      }
    });
  }

  test('a fourth tag cannot be followed', () => {
    configure(PORT_CHECKED);
    const tags = [QINQ, VLAN, VLAN, VLAN];
    assert.equal(fate(frame(HOST, MINE, 0x0800, ipv4(V4, V4), tags)), 'dropSpoofedIp');
  });

  test('a glance at the port’s entry is enough for its first address, and for no other', () => {
    configure(PORT_CHECKED);
    // Not in the map: only the entry lets it pass, and only as untagged IPv4.
    const glanced = '10.0.0.88';
    const data = (from: string, tags: [number, number][] = []) =>
      frame(HOST, MINE, 0x0800, ipv4(from, V4), tags);
    assert.equal(fateNow(data(glanced)), 'dropSpoofedIp');
    enterMe(parseAddress(glanced).bytes);
    assert.equal(fateNow(data(glanced)), 'host');
    assert.equal(fateNow(data('10.0.0.89')), 'dropSpoofedIp');
    assert.equal(fateNow(data(glanced, [VLAN])), 'dropSpoofedIp');
    assert.equal(fateNow(data(V4)), 'host');
    enterMe(undefined);
    assert.equal(fateNow(data(glanced)), 'dropSpoofedIp');
  });

  test('without addresses nobody looks above the MAC', () => {
    configure(0);
    for (const [name, type, payload] of senderRows)
      assert.equal(fate(frame(HOST, MINE, type, payload)), 'host', name);
  });

  test('truncated headers are dropped, never read past', () => {
    configure(PORT_CHECKED);
    const cut = (data: Uint8Array, length: number) => data.subarray(0, length);
    // Behind a tag, or the test run itself would refuse what is no whole IP header.
    const data = frame(HOST, MINE, 0x86dd, ipv6(V6, 'fd00::1', 17, new Uint8Array(8)), [VLAN]);
    for (const length of [19, 24, 37, 41])
      assert.equal(fate(cut(data, length)), 'dropSpoofedIp', `${length}`);
    const request = frame(HOST, MINE, 0x0806, arp(1, MINE, V4, V4));
    for (const length of [15, 24, 41])
      assert.equal(fate(cut(request, length)), 'dropSpoofedArp', `${length}`);
    const advert = frame(HOST, MINE, 0x86dd, discovery(ND.advert, V6, option(2, MINE)), [VLAN]);
    for (const length of [58, 64, 81, 85])
      assert.equal(fate(cut(advert, length)), 'dropSpoofedNd', `${length}`);
    assert.equal(fate(cut(advert, 82)), 'host', 'no option at all');
    const tagged = frame(HOST, MINE, 0x0800, ipv4(V4, V4), [VLAN]);
    for (const length of [15, 16, 20, 33])
      assert.equal(fate(cut(tagged, length)), 'dropSpoofedIp', `${length}`);
  });
});

function said(tags: readonly [number, number][]): string {
  return tags.map(([type]) => type.toString(16)).join(' ') || 'no tag';
}
