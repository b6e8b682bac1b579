/** xdp-headroom: a front end wants room in front of what each page receives (Linux's netif.h, "xdp-headroom"). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FE_SG } from '../../assembly/netif_layout.js';
import {
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_XDP,
} from '../../src/abi/netif.js';
import { BadKey, readFrontendSettings } from '../../src/netif/frontend_keys.js';
import { setXdpHeadroom } from '../../src/netif/netback_memory.js';
import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import { LIST_GREF } from '../support/control_side.js';
import { dropsOf } from '../support/drops.js';
import { type HostileGuest, Machine } from '../support/machine.js';
import { blankFrame, plainFrame, whole } from '../support/packets.js';
import { VifWorld } from '../support/vif_world.js';

const MORE_DATA = 4;
const EXTRA_INFO = 8;

/** The frame that begins in RX slot `from`: its bytes, where each piece lay, its extra infos. */
function frameAt({ arena }: Machine, guest: HostileGuest, from: number) {
  const bytes: number[] = [];
  const offsets: number[] = [];
  const extras: number[][] = [];
  let slot = from;
  for (let first = true; ; first = false) {
    const { offset, flags, status } = guest.rxResponse(slot);
    assert.ok(status > 0 && offset + status <= 4096);
    const page = guest.rxPage(slot % 256);
    bytes.push(...arena.u8.subarray(page + offset, page + offset + status));
    offsets.push(offset);
    slot++;
    for (let more = first && (flags & EXTRA_INFO) !== 0; more; slot++) {
      const extra = arena.u8.slice(guest.rxEntry(slot), guest.rxEntry(slot) + 8);
      extras.push([...extra]);
      more = (extra[1] & 1) !== 0;
    }
    if ((flags & MORE_DATA) === 0) return { bytes: Uint8Array.from(bytes), offsets, extras, next: slot };
  }
}

describe('xdp-headroom', () => {
  for (const transfer of TRANSFER_NAMES) {
    test(`every page of a frame begins behind it, and says so (${transfer})`, () => {
      const machine = new Machine(1 << 28);
      const a = machine.addBareGuest('a', { transfer });
      const b = machine.addBareGuest('b', { transfer, xdpHeadroom: 256 });
      const { u8, view } = machine.arena;
      for (let n = 0; n < 256; n++) u8.fill(0x5a, b.rxPage(n), b.rxPage(n) + 4096);
      b.postRx(256, 0, (n) => b.rxGref(n % 256));
      const sizes = [60, 1514, 3840, 3841, 4096, 9000, 65535];
      let slot = 0;
      for (const size of sizes) {
        const frame = plainFrame(b.mac, a.mac, size);
        const pieces = Array.from({ length: Math.ceil(size / 4096) }, (_, i) =>
          Math.min(4096, size - i * 4096),
        );
        a.putPacket(frame, 0, pieces);
        a.publishTx();
        machine.settle();
        const got = frameAt(machine, b, slot);
        assert.ok(Buffer.from(frame).equals(got.bytes), `${size} bytes`);
        assert.equal(got.offsets.length, Math.ceil(size / (4096 - 256)));
        assert.ok(got.offsets.every((offset) => offset === 256));
        assert.deepEqual(got.extras, [[XEN_NETIF_EXTRA_TYPE_XDP, 0, 0, 1, 0, 0, 0, 0]]);
        slot = got.next;
      }
      assert.equal(b.rxAnswered, slot);
      for (let n = 0; n < slot; n++)
        assert.ok(
          u8.subarray(b.rxPage(n), b.rxPage(n) + 256).every((octet) => octet === 0x5a),
          'nothing in front',
        );
      // From now on without, as when the guest takes its program off.
      setXdpHeadroom(machine.arena, b.vif.memory, 0);
      a.putPacket(plainFrame(b.mac, a.mac, 4096));
      a.publishTx();
      machine.settle();
      const got = frameAt(machine, b, slot);
      assert.deepEqual([got.offsets, got.extras], [[0], []]);
      assert.equal(view.getUint16(b.rxEntry(slot) + 2, true), 0);
      assert.deepEqual(dropsOf(machine.arena, b.netback), {});
      machine.close();
    });

    test(`our own netfront takes it, with and without offloads, segments of one slot each (${transfer})`, () => {
      for (const features of [undefined, FE_SG]) {
        const machine = new Machine(1 << 28);
        const a = machine.addGuest('a', { transfer });
        const b = machine.addGuest('b', {
          transfer,
          xdpHeadroom: 300,
          ...(features === undefined ? {} : { features }),
        });
        const plain = plainFrame(b.mac, a.mac, 6000);
        assert.ok(a.send(plain));
        machine.settle();
        assert.deepEqual(b.receive()?.bytes, plain);
        const blank = blankFrame(b.mac, a.mac, { family: 4, proto: 6, payload: 30_000, gsoSize: 1448 });
        assert.ok(a.send(blank.bytes, blank.vnet));
        machine.settle();
        const pieces: Uint8Array[] = [];
        for (let piece = b.receive(); piece; piece = b.receive()) pieces.push(piece.bytes);
        assert.equal(pieces.length, Math.ceil(30_000 / 1448));
        const headers = blank.bytes.length - 30_000;
        const payload = Buffer.concat(pieces.map((piece) => piece.subarray(headers)));
        assert.ok(payload.equals(blank.bytes.subarray(headers)));
        const small = blankFrame(b.mac, a.mac, { family: 6, proto: 6, payload: 3000, gsoSize: 1448 });
        assert.ok(a.send(small.bytes, small.vnet));
        machine.settle();
        const first = b.receive();
        if (features === undefined) assert.deepEqual(first?.bytes, small.bytes, 'one slot is enough');
        while (b.receive());
        const udp = blankFrame(b.mac, a.mac, { family: 6, proto: 17, payload: 900 });
        assert.ok(a.send(udp.bytes, udp.vnet));
        machine.settle();
        assert.deepEqual(b.receive()?.bytes, features === undefined ? udp.bytes : whole(udp));
        assert.deepEqual(dropsOf(machine.arena, b.netback), {});
        machine.close();
      }
    });
  }

  test('behind the extra infos of segmentation and hash, in the order of their types', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addGuest('a');
    const b = machine.addBareGuest('b', { xdpHeadroom: 0x1f0 });
    b.postRx(64, 0);
    assert.deepEqual(b.control.ask(7, 1), [0, 0]);
    assert.deepEqual(b.control.ask(2, 15), [0, 0]);
    machine.arena.u8.fill(7, b.control.list, b.control.list + 40);
    assert.deepEqual(b.control.ask(3, LIST_GREF, 40), [0, 0]);
    const frame = blankFrame(b.mac, a.mac, { family: 4, proto: 6, payload: 3000, gsoSize: 1000 });
    assert.ok(a.send(frame.bytes, frame.vnet));
    machine.settle();
    const { extras, bytes } = frameAt(machine, b, 0);
    assert.deepEqual(bytes, frame.bytes);
    assert.deepEqual(
      extras.map(([type, flags]) => [type, flags]),
      [
        [XEN_NETIF_EXTRA_TYPE_GSO, 1],
        [XEN_NETIF_EXTRA_TYPE_HASH, 1],
        [XEN_NETIF_EXTRA_TYPE_XDP, 0],
      ],
    );
    assert.deepEqual(extras[2].slice(2, 4), [0xf0, 0x01]);
    machine.close();
  });

  test('more than half a page is half a page', () => {
    const machine = new Machine(1 << 28);
    const a = machine.addBareGuest('a');
    const b = machine.addBareGuest('b', { xdpHeadroom: 0x7fff });
    b.postRx(64, 0);
    a.putPacket(plainFrame(b.mac, a.mac, 3000));
    a.publishTx();
    machine.settle();
    assert.deepEqual(frameAt(machine, b, 0).offsets, [2048, 2048]);
    machine.close();
  });

  for (const [value, wanted] of [
    ['0', 0],
    ['256', 256],
    ['32767', 32767],
    ['32768', undefined],
    ['-1', undefined],
    ['many', undefined],
  ] as const)
    test(`xdp-headroom = "${value}"`, async () => {
      const xenstored = new Xenstored({}, { log: () => {} });
      const store = xenstored.connect(0);
      await store.write('/front/xdp-headroom', value);
      const read = readFrontendSettings(store, '/front');
      if (wanted !== undefined) assert.equal((await read).xdpHeadroom, wanted);
      else
        await assert.rejects(
          read,
          (e) => e instanceof BadKey && e.message.includes(`xdp-headroom = "${value}"`),
        );
      await xenstored.close();
    });

  test('a connected front end that asks by Reconfiguring is answered by Reconfigured', async () => {
    const world = new VifWorld();
    await world.start();
    await world.add();
    await world.reaches(2);
    await world.connect();
    await world.reaches(4);
    assert.equal(await world.read('feature-xdp-headroom'), '1');
    await world.store.write(`${world.front()}/xdp-headroom`, '256');
    await world.setFront(7);
    await world.reaches(8);
    assert.ok(
      world.connector.calls.some((call) => call.startsWith('{"multicastControl":false,"xdpHeadroom":256}')),
    );
    await world.setFront(4);
    await world.reaches(4);
    await world.close();
  });
});
