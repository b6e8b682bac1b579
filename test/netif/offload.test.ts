/** Checksum and segmentation state end to end: it travels to a guest that takes it, and is done in software for one that does not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FE_CSUM4, FE_CSUM6, FE_GSO4, FE_GSO6, FE_SG } from '../../assembly/netif_layout.js';
import { VNET_CSUM_START, VNET_FLAGS, VNET_GSO_SIZE, VNET_GSO_TYPE } from '../../src/abi/virtio_net.js';
import { TRANSFER_NAMES, type TransferName } from '../../src/transfer/transfer.js';
import { referenceSegments } from '../assembly/offload_reference.js';
import { countersOf, dropped } from '../support/drops.js';
import { ALL_FEATURES, type Guest, Machine } from '../support/machine.js';
import { BROADCAST, blankFrame, type Transport, whole } from '../support/packets.js';

const FAMILIES = [4, 6] as const;
const LACKING: readonly [string, number][] = [
  ['nothing at all', 0],
  ['only scatter-gather', FE_SG],
  ['checksums but no segmentation', FE_SG | FE_CSUM4 | FE_CSUM6],
  ['IPv4 checksums only', FE_SG | FE_CSUM4],
  ['IPv6 checksums only', FE_SG | FE_CSUM6],
  ['segmentation of the other family', FE_SG | FE_CSUM4 | FE_CSUM6],
  ['segmentation without scatter-gather', FE_GSO4 | FE_GSO6 | FE_CSUM4 | FE_CSUM6],
];

function pair(features: number, transfer: TransferName): { machine: Machine; a: Guest; b: Guest } {
  const machine = new Machine(1 << 28);
  const a = machine.addGuest('a', { transfer });
  const b = machine.addGuest('b', { transfer, features });
  return { machine, a, b };
}

function drain(guest: Guest): { bytes: Uint8Array; vnet: Uint8Array }[] {
  const frames = [];
  for (let got = guest.receive(); got !== undefined; got = guest.receive()) frames.push(got);
  return frames;
}

/** A received frame with whatever its vnet header leaves to do done. */
function finished(
  sent: ReturnType<typeof blankFrame>,
  got: { bytes: Uint8Array; vnet: Uint8Array },
): Uint8Array {
  return (got.vnet[VNET_FLAGS] & 1) !== 0 ? whole({ ...sent, bytes: got.bytes }) : got.bytes;
}

for (const transfer of TRANSFER_NAMES) {
  describe(`offloads, ${transfer}`, () => {
    for (const family of FAMILIES) {
      for (const proto of [6, 17] as const) {
        for (const vlan of [false, true]) {
          const title = `${proto === 6 ? 'TCP' : 'UDP'} over IPv${family}${vlan ? ' in a VLAN' : ''}`;
          test(`${title}: a blank checksum arrives blank or whole, and right`, () => {
            for (const features of [ALL_FEATURES, 0, FE_SG, FE_SG | FE_CSUM4, FE_SG | FE_CSUM6]) {
              const { machine, a, b } = pair(features, transfer);
              for (const payload of [0, 1, 11, 200, 1400]) {
                const sent = blankFrame(b.mac, a.mac, { family, proto, payload, vlan });
                assert.ok(a.send(sent.bytes, sent.vnet));
                machine.settle();
                const [got, ...more] = drain(b);
                assert.ok(got, `features ${features}, ${payload} bytes: lost`);
                assert.equal(more.length, 0, `features ${features}: delivered ${more.length + 1} times`);
                const able = (features & (family === 4 ? FE_CSUM4 : FE_CSUM6)) !== 0 && !vlan;
                assert.equal((got.vnet[VNET_FLAGS] & 1) !== 0, able, `features ${features}: blank`);
                assert.deepEqual(finished(sent, got), whole(sent));
              }
              assert.equal(dropped(machine.arena, a.netback) + dropped(machine.arena, b.netback), 0);
              machine.close();
            }
          });
        }
      }

      test(`GSO over IPv${family} travels whole to a guest that takes it`, () => {
        const { machine, a, b } = pair(ALL_FEATURES, transfer);
        for (const payload of [1449, 20000, 65000]) {
          const sent = blankFrame(b.mac, a.mac, { family, proto: 6, payload, gsoSize: 1448 });
          a.send(sent.bytes, sent.vnet);
          machine.settle();
          const [got] = drain(b);
          assert.deepEqual(got.bytes.length, sent.bytes.length);
          assert.ok(
            Buffer.from(got.bytes)
              .subarray(sent.bytes.length - payload)
              .equals(sent.bytes.subarray(sent.bytes.length - payload)),
          );
          const header = new DataView(got.vnet.buffer);
          assert.equal(got.vnet[VNET_GSO_TYPE], family === 4 ? 1 : 4);
          assert.equal(header.getUint16(VNET_GSO_SIZE, true), 1448);
          assert.equal(header.getUint16(VNET_CSUM_START, true), sent.l4);
        }
        assert.equal(countersOf(machine.arena, b.netback).out.gso, 3);
        machine.close();
      });

      for (const [what, features] of LACKING) {
        for (const vlan of [false, true]) {
          test(`GSO over IPv${family}${vlan ? ' in a VLAN' : ''} to a guest with ${what} arrives in segments`, () => {
            const { machine, a, b } = pair(features, transfer);
            for (const [payload, gsoSize] of [
              [3000, 1448],
              [1449, 1448],
              [65000, 1448],
              [30000, 536],
            ]) {
              const shape: Transport = { family, proto: 6, payload, vlan, gsoSize };
              const sent = blankFrame(b.mac, a.mac, shape);
              assert.ok(a.send(sent.bytes, sent.vnet));
              const expected = referenceSegments(sent.bytes, sent.l3, sent.l4, gsoSize);
              const got: { bytes: Uint8Array; vnet: Uint8Array }[] = [];
              for (let i = 0; i < 4; i++) {
                machine.settle();
                got.push(...drain(b));
              }
              assert.equal(got.length, expected.length, `${payload} bytes by ${gsoSize}`);
              expected.forEach((segment, i) => {
                assert.ok(Buffer.from(segment).equals(finished(sent, got[i])), `segment ${i} of ${payload}`);
              });
            }
            assert.equal(countersOf(machine.arena, b.netback).out.segmented, 4);
            assert.equal(dropped(machine.arena, a.netback) + dropped(machine.arena, b.netback), 0);
            machine.close();
          });
        }
      }
    }

    test('a GSO frame to a group reaches guests of every ability, each once', () => {
      const machine = new Machine(1 << 29);
      const a = machine.addGuest('a', { transfer });
      const able = machine.addGuest('able', { transfer });
      const unable = machine.addGuest('unable', { transfer, features: 0 });
      const host = machine.addMemoryPort('host', { anySource: true });
      const sent = blankFrame(BROADCAST, a.mac, { family: 4, proto: 6, payload: 5000, gsoSize: 1000 });
      a.send(sent.bytes, sent.vnet);
      machine.settle();
      assert.deepEqual(
        drain(unable).map((f) => f.bytes),
        referenceSegments(sent.bytes, sent.l3, sent.l4, 1000),
      );
      assert.equal(drain(able).length, 1);
      assert.equal(host.receive()?.bytes.length, sent.bytes.length);
      assert.equal(drain(a).length, 0);
      machine.close();
    });

    test('a back end that takes no offloads gets whole frames and segments from netfront', () => {
      for (const backendFeatures of [0, 1, 1 | 8, 1 | 16]) {
        for (const family of FAMILIES) {
          const machine = new Machine(1 << 28);
          const a = machine.addGuest('a', { transfer, backendFeatures });
          const b = machine.addGuest('b', { transfer, features: FE_SG });
          const sent = blankFrame(b.mac, a.mac, { family, proto: 6, payload: 9000, gsoSize: 1400 });
          a.send(sent.bytes, sent.vnet);
          machine.settle();
          assert.deepEqual(
            drain(b).map((f) => f.bytes),
            referenceSegments(sent.bytes, sent.l3, sent.l4, 1400),
          );
          machine.close();
        }
      }
    });
  });
}
