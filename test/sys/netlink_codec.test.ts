import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cString,
  decodeAttributes,
  decodeError,
  decodeMessages,
  encodeMessage,
  textOf,
  u32,
} from '../../src/sys/netlink_codec.js';

test('golden bytes: RTM_NEWLINK with a string, a number and a nested attribute', () => {
  const bytes = encodeMessage(16, 0x605, 7, new Uint8Array(16), [
    [3, cString('nf0')],
    [4, u32(1500)],
    [18, [[1, cString('veth')]]],
  ]);
  const rows: [string, string][] = [
    ['nlmsghdr: 64 bytes, RTM_NEWLINK, REQUEST|ACK|CREATE|EXCL', '40000000 1000 0506 07000000 00000000'],
    ['ifinfomsg, all zero', '00000000 00000000 00000000 00000000'],
    ['IFLA_IFNAME "nf0\\0"', '0800 0300 6e663000'],
    ['IFLA_MTU 1500', '0800 0400 dc050000'],
    ['IFLA_LINKINFO nested', '1000 1280'],
    ['  IFLA_INFO_KIND "veth\\0", padded', '0900 0100 76657468 00000000'],
  ];
  assert.equal(Buffer.from(bytes).toString('hex'), rows.map(([, hex]) => hex.replaceAll(' ', '')).join(''));
  const [message, ...rest] = decodeMessages(bytes);
  assert.equal(rest.length, 0);
  assert.deepEqual([message.type, message.flags, message.seq], [16, 0x605, 7]);
  const attributes = decodeAttributes(message.payload.subarray(16));
  assert.equal(textOf(attributes.get(3)!), 'nf0');
  assert.deepEqual(attributes.get(4), u32(1500));
  assert.equal(textOf(decodeAttributes(attributes.get(18)!).get(1)!), 'veth');
});

test('lengths that lie end the reading, and no read leaves the bytes', () => {
  const good = encodeMessage(16, 0, 1, new Uint8Array(16), [[4, u32(1500)]]);
  for (const length of [0, 15, good.length + 1, 0xffffffff]) {
    const bytes = Uint8Array.from(good);
    new DataView(bytes.buffer).setUint32(0, length, true);
    assert.deepEqual(decodeMessages(bytes), [], `nlmsg_len ${length}`);
  }
  for (const length of [0, 3, 9, 0xffff]) {
    const bytes = Uint8Array.from(good.subarray(32));
    new DataView(bytes.buffer).setUint16(0, length, true);
    assert.equal(decodeAttributes(bytes).size, 0, `nla_len ${length}`);
  }
  for (let cut = 0; cut < good.length; cut++) assert.deepEqual(decodeMessages(good.subarray(0, cut)), []);
});

test('an error carries the kernel’s words after the echoed request, whole or capped', () => {
  const words = [[1, cString('Nexthop has invalid gateway')]] as [number, Uint8Array][];
  const error = (flags: number, header: Uint8Array, echoed: number) => {
    const body = new Uint8Array(4 + header.length);
    const view = new DataView(body.buffer);
    view.setInt32(0, -101, true);
    body.set(header, 4);
    view.setUint32(4, echoed, true); // nlmsg_len of the request
    return decodeMessages(encodeMessage(2, flags, 1, body, words))[0];
  };
  const expected = { errno: 101, words: 'Nexthop has invalid gateway' };
  assert.deepEqual(decodeError(error(0x300, new Uint8Array(16), 28)), expected);
  assert.deepEqual(decodeError(error(0x200, new Uint8Array(28), 28)), expected);
  assert.deepEqual(decodeError(error(0, new Uint8Array(16), 28)), { errno: 101, words: '' });
  // A length that points past the message finds no words, and no crash.
  assert.deepEqual(decodeError(error(0x200, new Uint8Array(16), 0xfffffff0)), { errno: 101, words: '' });
});
