/** MACs that last, and who has which MAC and address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressBook, lastingMac, parseMac } from '../../src/daemon/addresses.js';
import { hostMac } from '../../src/daemon/host_port.js';
import { SetupError } from '../../src/sys/errors.js';

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

test('nothing is given twice: not to another, not to the same once more, and nothing that the host has by then', () => {
  const refusal = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      assert.ok(error instanceof SetupError);
      return error.message;
    }
    return '';
  };
  const book = new AddressBook(['10.0.0.1/24', 'fd00::1/64']);
  const mac = book.claimMac('a', '02:00:00:00:00:0A');
  assert.equal(mac, '02:00:00:00:00:0a');
  assert.equal(
    refusal(() => book.claimMac('b', mac)),
    `MAC ${mac} is a's`,
  );
  assert.equal(
    refusal(() => book.claimMac('a', mac)),
    `${mac} is given twice`,
  );

  let hosts = ['10.0.0.2'];
  book.ask('the host (eth0)', () => hosts);
  assert.equal(
    refusal(() => book.claimAddresses('a', ['10.0.0.2/24'])),
    "10.0.0.2 is the host (eth0)'s",
  );
  assert.equal(
    refusal(() => book.claimAddresses('a', ['fd00::9/64', 'fd00::9/64'])),
    'fd00::9/64 is given twice',
  );
  assert.deepEqual(
    book.claimAddresses('a', undefined),
    ['10.0.0.3/24', 'fd00::2/64'],
    'the next that is free',
  );
  hosts = ['fd00::5'];
  assert.equal(
    refusal(() => book.claimAddresses('b', ['fd00:0::0:5/64'])),
    "fd00::5 is the host (eth0)'s",
  );
  assert.deepEqual(book.claimAddresses('b', ['10.0.0.2/24']), ['10.0.0.2/24'], 'it has given that up');
  assert.equal(
    refusal(() => book.claimAddresses('c', ['10.0.0.3/24'])),
    "10.0.0.3 is a's",
  );
  book.release('a');
  assert.deepEqual(book.claimAddresses('c', ['10.0.0.3/24']), ['10.0.0.3/24']);
});
