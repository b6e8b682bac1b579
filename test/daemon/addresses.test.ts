/** MACs that last. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastingMac, parseMac } from '../../src/daemon/addresses.js';
import { hostMac } from '../../src/daemon/host_port.js';

test('a lasting MAC: unicast, locally administered, of its words alone', () => {
  const macs = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const mac = lastingMac('netferry', String(i), 'nf0');
    assert.equal(lastingMac('netferry', String(i), 'nf0'), mac);
    assert.equal(parseMac(mac)[0] & 3, 2);
    macs.add(mac);
  }
  assert.equal(macs.size, 200);
  assert.notEqual(lastingMac('a', 'bc'), lastingMac('ab', 'c'));
});

test('the host port has one for its name', () => {
  assert.ok(hostMac('nf0'));
  assert.equal(hostMac('nf0'), hostMac('nf0'));
  assert.notEqual(hostMac('nf0'), hostMac('nf1'));
});
