/** Frames longer than their receiver's MTU allows, from guests that may send any: none comes to a NIC, each is counted. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as vnet from '../../src/abi/virtio_net.js';
import { lacking, sleep, until } from '../e2e/support/place.js';
import { BROADCAST, bytes, frame, ipv4 } from './support/frames.js';
import { type HookProcess, inject, Lan, type Machine, Sniffer, type TapProcess } from './support/lan.js';

const EXPERIMENT = 0x88b5;
const TAP = '02:00:00:00:0c:01';
const TAP_IP = '10.209.0.77';

describe('longer than the MTU', { skip: lacking('tcpdump', 'ip', 'nsenter', 'setpriv', 'stdbuf') }, () => {
  let lan: Lan;
  let hook: HookProcess;
  let tap: TapProcess;
  let a: Machine;
  let b: Machine;
  let ids: Record<'a' | 'b' | 'tap', number>;
  before(async () => {
    lan = await Lan.make();
    [a, b] = [await lan.guest('a'), await lan.guest('b')];
    tap = await lan.tap('cross0');
    await lan.host.place.run('echo 1 > /proc/sys/net/ipv6/conf/cross0/disable_ipv6; ip link set pa mtu 9000');
    await a.place.run('ip link set eth0 mtu 9000');
    hook = await lan.hook('tcx');
    ids = {
      a: await lan.port(hook, a),
      b: await lan.port(hook, b),
      tap: await hook.call<number>('addPort', { name: 'cross0', macs: [TAP] }),
    };
  });
  after(() => lan?.close());

  const oversize = async (of: 'wire' | 'host' | 'a' | 'b' | 'tap') =>
    (await hook.counters(of === 'wire' || of === 'host' ? of : ids[of])).dropOversize;
  /** What came of `act`: frames seen by wire, host and b, and how many each had dropped as too long. */
  async function fate(filter: string, act: () => Promise<void> | void): Promise<Record<string, number[]>> {
    const places = { wire: lan.remote, host: lan.host, b };
    const sniffers = Object.entries(places).map(
      async ([name, { place, link }]) => [name, await Sniffer.start(place, link, filter)] as const,
    );
    const started = await Promise.all(sniffers);
    const before = await Promise.all(started.map(([name]) => oversize(name as 'wire')));
    await act();
    await sleep(300);
    const seen: Record<string, number[]> = {};
    for (const [i, [name, sniffer]] of started.entries()) {
      const drops = (await oversize(name as 'wire')) - before[i];
      seen[name] = [(await sniffer.stop()).length, drops];
    }
    return seen;
  }
  const filter = `ether proto ${EXPERIMENT}`;
  const long = (to: string, from: string, payload = 3000) =>
    frame(to, from, EXPERIMENT, new Uint8Array(payload));

  test('a frame for a port or for the wire', async () => {
    const none = [0, 0];
    const act = (to: string) => () => inject(a, long(to, a.mac));
    assert.deepEqual(await fate(filter, act(b.mac)), { wire: none, host: none, b: [0, 1] });
    assert.deepEqual(await fate(filter, act(lan.remote.mac)), { wire: [0, 1], host: none, b: none });
  });

  test('a group’s frame comes to those that can take it', async () => {
    const seen = await fate(filter, () => inject(a, long(BROADCAST, a.mac)));
    assert.deepEqual(seen, { wire: [0, 1], host: [1, 0], b: [0, 1] });
    const before = await oversize('tap');
    tap.send(long(BROADCAST, TAP, 60_000));
    await until('it is counted', async () => (await oversize('wire')) > 1);
    assert.equal(await oversize('tap'), before, 'its sender is no receiver');
  });

  test('an MTU’s worth behind two tags is not too long; a byte more is', async () => {
    const tags: [number, number][] = [
      [0x88a8, 9],
      [0x8100, 7],
    ];
    for (const [payload, arrived] of [
      [1500, 1],
      [1501, 0],
    ] as const) {
      const seen = await fate(`ether src ${a.mac}`, () =>
        inject(a, frame(BROADCAST, a.mac, EXPERIMENT, new Uint8Array(payload), tags)),
      );
      assert.deepEqual(seen.wire[1], 1 - arrived, `${payload}`);
      assert.deepEqual(seen.b[1], 1 - arrived, `${payload}`);
    }
  });

  test('segments: what is to be cut into frames that fit goes, and what is not does not', async () => {
    const payload = 12_000;
    const tcp = bytes(0x13, 0x88, 0x13, 0x89, new Uint8Array(8), 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0);
    const data = frame(
      lan.remote.mac, TAP, 0x0800, ipv4(TAP_IP, lan.remote.v4, 6, bytes(tcp, new Uint8Array(payload))),
    ); // biome-ignore format: one call
    const header = (gsoSize: number) => {
      const view = new DataView(new ArrayBuffer(vnet.VIRTIO_NET_HDR_V1_SIZE));
      view.setUint8(vnet.VNET_FLAGS, vnet.VIRTIO_NET_HDR_F_NEEDS_CSUM);
      view.setUint8(vnet.VNET_GSO_TYPE, vnet.VIRTIO_NET_HDR_GSO_TCPV4);
      view.setUint16(vnet.VNET_HDR_LEN, 54, true);
      view.setUint16(vnet.VNET_GSO_SIZE, gsoSize, true);
      view.setUint16(vnet.VNET_CSUM_START, 34, true);
      view.setUint16(vnet.VNET_CSUM_OFFSET, 16, true);
      return new Uint8Array(view.buffer);
    };
    for (const [gsoSize, arrives] of [
      [1460, true],
      [536, true],
      [1, true],
      [1501, false],
      [9000, false],
      [0xfffe, false],
    ] as const) {
      const { wire } = await fate(`tcp and src ${TAP_IP}`, () => tap.send(data, header(gsoSize)));
      // One of 1 byte a segment is more segments than the kernel may make of a frame: it refuses, or cuts.
      if (gsoSize === 1) assert.equal(wire[1], 0);
      else assert.deepEqual([wire[0] > 0, wire[1]], [arrives, arrives ? 0 : 1], `gso_size ${gsoSize}`);
    }
    const { wire } = await fate(`ether src ${TAP}`, () => tap.send(data));
    assert.deepEqual(wire, [0, 1], 'not to be cut at all');
    await hook.call('counters', 'wire');
  });

  test('MTUs that grow or shrink are followed', async () => {
    const count = async () => (await fate(filter, () => inject(a, long(lan.remote.mac, a.mac)))).wire;
    await lan.host.place.run('ip link set up0 mtu 9000');
    await lan.remote.place.run('ip link set eth0 mtu 9000');
    await hook.call('examine');
    assert.deepEqual(await count(), [1, 0]);
    assert.deepEqual((await fate(filter, () => inject(lan.remote, long(b.mac, lan.remote.mac)))).b, [0, 1]);
    const told = () => assert.rejects(inject(lan.host, long(b.mac, lan.host.mac)), /ENOBUFS/);
    assert.deepEqual((await fate(filter, told)).b, [0, 1], 'the host’s own sender is told');
    await lan.host.place.run('ip link set up0 mtu 1500');
    await hook.call('examine');
    assert.deepEqual(await count(), [0, 1]);
  });
});
