/** What befell other back ends (Xen security advisories, CVEs): what a packet's slots say. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETTXF_csum_blank,
  NETTXF_extra_info,
  NETTXF_more_data,
} from '../../src/abi/netif.js';
import { blankFrame, plainFrame, whole } from '../support/packets.js';
import { attack } from './attack_world.js';

describe('netback under attack: slots', () => {
  attack('XSA-423', 'headers scattered over pieces of one byte', (w) => {
    const { evil, machine, b } = w;
    for (const family of [4, 6] as const) {
      const sent = blankFrame(b.mac, evil.mac, { family, proto: 6, payload: 500 });
      const pieces = [...new Array(17).fill(1), sent.bytes.length - 17];
      evil.putPacket(sent.bytes, 0, pieces, NETTXF_csum_blank);
      evil.publishTx();
      machine.settle();
      const got = b.receive();
      assert.ok(got);
      assert.deepEqual(whole({ ...sent, bytes: got.bytes }), whole(sent));
    }
  });

  attack('XSA-432', 'the most slots and hardly a byte', (w) => {
    const { evil, machine, b } = w;
    for (const size of [1, 2, 7]) {
      const frame = plainFrame(b.mac, evil.mac, 18 * size);
      evil.putPacket(frame, 0, new Array(18).fill(size));
      evil.publishTx();
      machine.settle();
      assert.deepEqual(b.receive()?.bytes, frame);
    }
    assert.equal(evil.txAnswered, 54);
  });

  attack('XSA-448', 'later slots of size 0, and sizes that exceed the packet', (w) => {
    const { evil, machine } = w;
    for (const sizes of [[0], [0, 0, 0, 0], [100], [101], [60, 40], [4096]]) {
      evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 100 });
      sizes.forEach((size, i) => {
        evil.putTx({ gref: evil.txGref(1), flags: i + 1 < sizes.length ? NETTXF_more_data : 0, size });
      });
    }
    for (const size of [0, 1, 13]) evil.putTx({ gref: evil.txGref(0), size });
    evil.publishTx();
    machine.settle();
    assert.deepEqual(w.drops(), { 'bad-slot': 6, runt: 3 });
    assert.equal(evil.txAnswered, evil.txProd);
    for (let i = 0; i < evil.txProd; i++) assert.equal(evil.txResponse(i).status, NETIF_RSP_ERROR);
    assert.equal(evil.netback.fenced, 0);
  });

  attack('CVE-2026-99057', 'chains that are too long: 19 slots cost the frame, more the connection', (w) => {
    const { evil, machine } = w;
    const chain = (slots: number) => {
      evil.putPacket(plainFrame(w.b.mac, evil.mac, slots * 20), 0, new Array(slots).fill(20));
      evil.publishTx();
      machine.settle();
    };
    chain(19);
    chain(20);
    assert.deepEqual(w.drops(), { 'too-many-slots': 2 });
    assert.equal(evil.txAnswered, 39);
    chain(21);
    assert.notEqual(evil.netback.fenced, 0);
    evil.initRings();
    evil.vif.reattach();
    for (let i = 0; i < 256; i++) evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 10 });
    evil.publishTx();
    machine.settle();
    assert.notEqual(evil.netback.fenced, 0, 'endless more_data');
    evil.initRings();
    evil.vif.reattach();
    evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 100 });
    for (let i = 0; i < 255; i++) evil.putExtra([4, 1]);
    evil.publishTx();
    machine.settle();
    assert.notEqual(evil.netback.fenced, 0, 'endless extra infos');
  });

  attack('breaches', 'each breach of it is fenced, and says which', (w) => {
    const { evil, machine } = w;
    const breaches: readonly [string, () => void, number][] = [
      [
        'an extra info announced and missing',
        () => evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 60 }),
        2,
      ],
      [
        'an extra info of an unknown type',
        () => {
          evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 60 });
          evil.putExtra([9, 0]);
        },
        4,
      ],
      [
        'an extra info of type none',
        () => {
          evil.putTx({ gref: evil.txGref(0), flags: NETTXF_extra_info, size: 60 });
          evil.putExtra([0, 0, 1, 0, 0x5e, 0, 0, 1]);
        },
        4,
      ],
      [
        'a first slot over the end of its page',
        () => evil.putTx({ gref: evil.txGref(0), offset: 4095, size: 60 }),
        5,
      ],
      [
        'an offset beyond the page',
        () => evil.putTx({ gref: evil.txGref(0), offset: 65535, size: 65535 }),
        5,
      ],
      [
        'a later slot over the end of its page',
        () => {
          evil.putTx({ gref: evil.txGref(0), flags: NETTXF_more_data, size: 600 });
          evil.putTx({ gref: evil.txGref(1), offset: 4000, size: 97 });
        },
        5,
      ],
    ];
    for (const [what, breach, fence] of breaches) {
      breach();
      evil.publishTx();
      machine.settle();
      assert.equal(evil.netback.fenced, fence, what);
      machine.settle();
      assert.equal(evil.netback.fenced, fence);
      w.unharmed();
      evil.initRings();
      evil.vif.reattach();
    }
  });

  attack('extra infos', 'each has a response of its own', (w) => {
    const { evil, machine, b } = w;
    const gso = blankFrame(b.mac, evil.mac, { family: 4, proto: 6, payload: 3000, gsoSize: 1000 });
    machine.arena.u8.set(gso.bytes, evil.txPage(0));
    evil.putTx({
      gref: evil.txGref(0),
      flags: NETTXF_extra_info | NETTXF_csum_blank,
      size: gso.bytes.length,
      id: 77,
    });
    evil.putExtra([4, 1]);
    evil.putExtra([1, 0, 1000 & 0xff, 1000 >> 8, 1]);
    evil.publishTx();
    machine.settle();
    assert.equal(b.receive()?.bytes.length, gso.bytes.length);
    assert.deepEqual(evil.txResponse(0), { id: 77, status: NETIF_RSP_OKAY });
    assert.equal(evil.txResponse(1).status, NETIF_RSP_NULL);
    assert.equal(evil.txResponse(2).status, NETIF_RSP_NULL);
    assert.equal(evil.txAnswered, 3);
  });
});
