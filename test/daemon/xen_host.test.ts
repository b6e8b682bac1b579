/** Where a daemon finds out what host it is on; this machine is none of Xen's. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { claimHost } from '../../src/daemon/host_claim.js';
import { choosePlatform, openHostXenstore, ownDomid } from '../../src/daemon/xen_host.js';
import { isXenDomain } from '../../src/sys/xen_device.js';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';

const named = process.env.XENSTORED_PATH;
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'netferry-host-'));
  path = join(directory, 'socket');
  process.env.XENSTORED_PATH = path;
});

afterEach(() => {
  if (named === undefined) delete process.env.XENSTORED_PATH;
  else process.env.XENSTORED_PATH = named;
  rmSync(directory, { recursive: true });
});

describe('a host', { skip: isXenDomain() && 'this machine is a Xen domain' }, () => {
  test('that is none of Xen’s: embedded, unless native is insisted on', () => {
    for (const root of [true, false]) {
      assert.equal(choosePlatform('auto', root), 'embedded');
      assert.equal(choosePlatform('embedded', root), 'embedded');
      assert.throws(() => choosePlatform('native', root), {
        name: 'SetupError',
        message: /^this is not a Xen host: /,
      });
    }
  });
});

describe('the host’s xenstore', () => {
  test('says which domain we are', async () => {
    const server = new Xenstored();
    await server.listen(path);
    const store = await openHostXenstore();
    await assert.rejects(ownDomid(store), { name: 'SetupError', message: /domid = missing/ });
    for (const [value, domid] of [
      ['0', 0],
      ['17', 17],
    ] as const) {
      await store.write('/local/domain/0/domid', value);
      assert.equal(await ownDomid(store), domid);
    }
    await store.write('/local/domain/0/domid', 'x');
    await assert.rejects(ownDomid(store), { message: /domid = "x"/ });
    store.close();
    await server.close();
  });

  test('does not run: one line, and what to do', async () => {
    await assert.rejects(openHostXenstore(), {
      name: 'SetupError',
      message: /^xenstored does not answer at .*socket: /,
      hint: 'start it: systemctl start xenstored',
    });
  });

  test('is stuck: the same after some seconds', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await assert.rejects(openHostXenstore(), { message: /no answer within 5 s/ });
    server.close();
  });
});

test('one daemon a host', () => {
  const lock = join(directory, 'lock');
  const claim = claimHost(lock);
  assert.throws(() => claimHost(lock), {
    name: 'SetupError',
    message: new RegExp(`already \\(pid ${process.pid}\\)`),
  });
  claim.release();
  claimHost(lock).release();
  assert.throws(() => claimHost(join(directory, 'absent/lock')), { message: /ENOENT/ });
});
