import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Xenstored } from '../../src/xen/embedded/xenstored/xenstored.js';
import type { XenStore, XsPermission } from '../../src/xen/xenstore.js';

let server: Xenstored;
let dom0: XenStore;
let dom5: XenStore;
let dom6: XenStore;

const BASE = '/local/domain/5';
const perms = (text: string) =>
  text.split(' ').map((p) => ({ access: p[0], domid: Number(p.slice(1)) }) as XsPermission);
/** Gives the events that are under way time to arrive. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await turn();
};

async function start(quotas = {}) {
  server = new Xenstored(quotas);
  for (const domid of [5, 6]) server.introduce(domid);
  dom0 = server.connect(0);
  dom5 = server.connect(5);
  dom6 = server.connect(6);
  for (const domid of [5, 6]) {
    await dom0.mkdir(`/local/domain/${domid}`);
    await dom0.setPermissions(`/local/domain/${domid}`, perms(`n${domid}`));
  }
}

/** What a watch has told so far; `take` empties it. */
async function recorder(client: XenStore, path: string) {
  let events: string[] = [];
  const unwatch = await client.watch(path, undefined, (changed) => events.push(changed));
  await settle();
  const take = async () => {
    await settle();
    const taken = events;
    events = [];
    return taken;
  };
  return { take, unwatch };
}

beforeEach(() => start());
afterEach(() => server.close());

describe('nodes', () => {
  test('a new store has the nodes of a C xenstored, and the domains directory', async () => {
    assert.deepEqual(await dom0.directory('/'), ['local', 'tool', 'vm']);
    assert.deepEqual(await dom0.directory('/tool'), ['xenstored']);
    assert.deepEqual(await dom0.directory('/local'), ['domain']);
  });

  test('write makes parents, read finds them empty; relative paths are the domain’s own', async () => {
    await dom5.write('device/vif/0/state', 'é1');
    assert.equal(await dom0.read(`${BASE}/device/vif/0/state`), 'é1');
    assert.equal(await dom5.read('device/vif'), '');
    assert.deepEqual(await dom5.directory('device/vif/0'), ['state']);
    assert.equal(await dom5.tryRead('device/vif/1'), undefined);
    await assert.rejects(dom5.read('device/vif/1'), { name: 'XsError', code: 'ENOENT' });
    assert.equal(await dom5.getDomainPath(5), BASE);
  });

  test('values keep every byte up to the payload’s limit', async () => {
    await dom0.write('/tool/x', 'a\0b\0');
    assert.equal(await dom0.read('/tool/x'), 'a\0b\0');
    const longest = 'v'.repeat(4096 - '/tool/x'.length - 1);
    await dom0.write('/tool/x', longest);
    assert.equal(await dom0.read('/tool/x'), longest);
    await assert.rejects(dom0.write('/tool/x', `${longest}v`), { code: 'E2BIG' });
  });

  test('mkdir leaves what exists; rm takes all below, needs the parent, never /', async () => {
    await dom0.write('/tool/a/b', '1');
    await dom0.mkdir('/tool/a/b');
    assert.equal(await dom0.read('/tool/a/b'), '1');
    await dom0.rm('/tool/a');
    assert.equal(await dom0.tryRead('/tool/a/b'), undefined);
    await dom0.rm('/tool/a');
    await assert.rejects(dom0.rm('/tool/a/b'), { code: 'ENOENT' });
    await assert.rejects(dom0.rm('/'), { code: 'EINVAL' });
  });

  test('paths: characters, slashes, lengths', async () => {
    const bad = [
      '',
      '/a/',
      '//a',
      '/a//b',
      '/a b',
      '/a.b',
      '/é',
      '@x',
      'a/',
      `/${'x'.repeat(3072)}`,
      'x'.repeat(2049),
    ];
    for (const path of bad) await assert.rejects(dom0.read(path), { code: 'EINVAL' }, path);
    await assert.rejects(dom0.read('/a\0b'), { code: 'EINVAL' });
    for (const path of [`/${'x'.repeat(3071)}`, 'x'.repeat(2048), '/A-z_0@']) {
      await assert.rejects(dom0.read(path), { code: 'ENOENT' }, path);
    }
  });

  test('a directory longer than one message comes in parts', async () => {
    const names = Array.from({ length: 900 }, (_, i) => `child-${i}`);
    await Promise.all(names.map((name) => dom0.mkdir(`/tool/many/${name}`)));
    assert.deepEqual(await dom0.directory('/tool/many'), names);
    await dom0.rm('/tool/many/child-7');
    assert.equal((await dom0.directory('/tool/many')).length, 899);
  });
});

describe('permissions', () => {
  test('the first entry is owner and default, the others grant; domain 0 may everything', async () => {
    await dom0.write('/tool/p', 'x');
    for (const [text, read, write] of [
      ['n0', false, false],
      ['r0', true, false],
      ['w0', false, true],
      ['b0', true, true],
      ['n0 r5', true, false],
      ['n0 w5', false, true],
      ['b0 n5', false, false],
      ['n0 b6', false, false],
      ['n5', true, true],
    ] as const) {
      await dom0.setPermissions('/tool/p', perms(text));
      const verdict = async (promise: Promise<unknown>) =>
        promise.then(
          () => true,
          (e) => e.code !== 'EACCES',
        );
      assert.equal(await verdict(dom5.read('/tool/p')), read, `read ${text}`);
      assert.equal(await verdict(dom5.write('/tool/p', 'y')), write, `write ${text}`);
      await dom0.write('/tool/p', 'x');
      assert.deepEqual(await dom0.getPermissions('/tool/p'), perms(text));
    }
  });

  test('children inherit, but belong to their maker', async () => {
    await dom0.setPermissions(BASE, perms('n5 r6'));
    await dom5.write('data/x', '1');
    assert.deepEqual(await dom0.getPermissions(`${BASE}/data`), perms('n5 r6'));
    await dom0.setPermissions(`${BASE}/data`, perms('n5 b6'));
    await dom6.write(`${BASE}/data/y`, '1');
    assert.deepEqual(await dom0.getPermissions(`${BASE}/data/y`), perms('n6 b6'));
    await dom0.write(`${BASE}/data/z`, '1');
    assert.deepEqual(await dom0.getPermissions(`${BASE}/data/z`), perms('n5 b6'));
  });

  test('only owner and domain 0 may set them, only domain 0 the owner', async () => {
    await dom5.write('mine', '1');
    await dom5.setPermissions('mine', perms('n5 b6'));
    await assert.rejects(dom6.setPermissions(`${BASE}/mine`, perms('b6')), { code: 'EACCES' });
    await assert.rejects(dom5.setPermissions('mine', perms('b6')), { code: 'EPERM' });
    await dom0.setPermissions(`${BASE}/mine`, perms('b6'));
    assert.equal(await dom6.read(`${BASE}/mine`), '1');
  });

  test('whether a node exists is not told to who may not read its parent', async () => {
    await dom5.write('secret', '1');
    await assert.rejects(dom6.read(`${BASE}/secret`), { code: 'EACCES' });
    await assert.rejects(dom6.read(`${BASE}/nothing/there`), { code: 'EACCES' });
    await assert.rejects(dom6.write(`${BASE}/nothing`, ''), { code: 'EACCES' });
    await assert.rejects(dom6.rm(`${BASE}/nothing`), { code: 'EACCES' });
    await assert.rejects(dom5.rm('/local'), { code: 'EACCES' });
  });
});

describe('watches', () => {
  test('fire once at first, then for the node and all below, not beside', async () => {
    const watch = await recorder(dom0, '/tool/w');
    assert.deepEqual(await watch.take(), ['/tool/w']);
    await dom0.write('/tool/w/a/b', '1');
    await dom0.write('/tool/ww', '1');
    await dom0.mkdir('/tool/w');
    assert.deepEqual(await watch.take(), ['/tool/w/a/b']);
    await dom0.setPermissions('/tool/w/a', perms('r0'));
    await dom0.rm('/tool/w/a/b');
    assert.deepEqual(await watch.take(), ['/tool/w/a', '/tool/w/a/b']);
    await watch.unwatch();
    await dom0.write('/tool/w/a', '2');
    assert.deepEqual(await watch.take(), []);
  });

  test('removal from above reaches a watch on a node below with that node’s path', async () => {
    await dom0.write('/tool/top/mid/leaf', '1');
    const leaf = await recorder(dom0, '/tool/top/mid/leaf');
    const top = await recorder(dom0, '/tool/top');
    await leaf.take();
    await top.take();
    await dom0.rm('/tool/top');
    assert.deepEqual(await leaf.take(), ['/tool/top/mid/leaf']);
    assert.deepEqual((await top.take()).at(-1), '/tool/top');
  });

  test('a relative watch has relative events, and may be on the same path as an absolute one', async () => {
    const relative = await recorder(dom5, 'device');
    const absolute = await recorder(dom5, `${BASE}/device`);
    assert.deepEqual(await relative.take(), ['device']);
    await absolute.take();
    await dom0.write(`${BASE}/device/vif`, '1');
    assert.deepEqual(await relative.take(), ['device/vif']);
    assert.deepEqual(await absolute.take(), [`${BASE}/device/vif`]);
  });

  test('only who may read is told; who loses the right is told that last', async () => {
    await dom5.write('shared', '1');
    const watch = await recorder(dom6, BASE);
    await watch.take();
    await dom5.write('shared', '2');
    assert.deepEqual(await watch.take(), []);
    await dom5.setPermissions('shared', perms('r5'));
    await dom5.write('shared', '3');
    await dom5.write('other', '3');
    assert.deepEqual(await watch.take(), [`${BASE}/shared`, `${BASE}/shared`]);
    await dom5.setPermissions('shared', perms('n5'));
    await dom5.write('shared', '4');
    assert.deepEqual(await watch.take(), [`${BASE}/shared`]);
  });

  test('the same watch twice is EEXIST, an unknown one ENOENT', async () => {
    const seen: string[] = [];
    const unwatch = await dom0.watch('/tool', 'T', (_path, token) => seen.push(token));
    await assert.rejects(
      dom0.watch('/tool', 'T', () => {}),
      { code: 'EEXIST' },
    );
    await settle();
    assert.deepEqual(seen, ['T']);
    await unwatch();
    await unwatch();
    await (await dom0.watch('/tool', 'T', () => {}))();
  });

  test('@introduceDomain and @releaseDomain', async () => {
    const introduced = await recorder(dom0, '@introduceDomain');
    const released = await recorder(dom0, '@releaseDomain');
    const guest = await recorder(dom5, '@releaseDomain');
    assert.deepEqual(await introduced.take(), ['@introduceDomain']);
    assert.deepEqual(await released.take(), ['@releaseDomain']);
    assert.deepEqual(await guest.take(), ['@releaseDomain']);
    server.introduce(7);
    assert.deepEqual(await introduced.take(), ['@introduceDomain']);
    server.release(7);
    assert.deepEqual(await released.take(), ['@releaseDomain']);
    assert.deepEqual(await introduced.take(), []);
    assert.deepEqual(await guest.take(), [], 'not readable by default');
    await dom0.setPermissions('@releaseDomain', perms('n0 r5'));
    await guest.take();
    server.introduce(7);
    server.release(7);
    assert.deepEqual(await guest.take(), ['@releaseDomain']);
  });
});

describe('transactions', () => {
  test('work on a snapshot and are seen all at once, watches only then', async () => {
    const watch = await recorder(dom0, '/tool/t');
    await watch.take();
    await dom0.transaction(async (tx) => {
      await dom0.write('/tool/t/a', '1', tx);
      await dom0.write('/tool/t/b', '2', tx);
      assert.equal(await dom0.read('/tool/t/a', tx), '1');
      assert.equal(await dom0.tryRead('/tool/t/a'), undefined);
      assert.deepEqual(await watch.take(), []);
    });
    assert.deepEqual(await dom0.directory('/tool/t'), ['a', 'b']);
    assert.deepEqual(await watch.take(), ['/tool/t/a', '/tool/t/b']);
  });

  test('do not see what others write meanwhile, even at first read', async () => {
    await dom0.write('/tool/a', 'old');
    const seen: string[] = [];
    await dom0.transaction(async (tx) => {
      if (seen.length === 0) await dom0.write('/tool/a', 'new');
      seen.push(await dom0.read('/tool/a', tx));
    });
    assert.deepEqual(seen, ['old', 'new'], 'the first attempt saw its snapshot, and could not commit');
  });

  for (const [what, inside, outside, attempts] of [
    ['read, written outside', 'read /tool/x', 'write /tool/x', 2],
    ['read, removed outside', 'read /tool/x', 'rm /tool/x', 2],
    ['missing, made outside', 'read /tool/none', 'write /tool/none', 2],
    ['written, written outside', 'write /tool/x', 'write /tool/x', 2],
    ['listed, child made outside', 'list /tool', 'write /tool/new', 2],
    ['read, permissions changed outside', 'read /tool/x', 'perms /tool/x', 2],
    ['removed, child made outside', 'rm /tool/x', 'write /tool/x/c', 2],
    ['other node written', 'write /tool/x', 'write /tool/y', 1],
    ['sibling made', 'write /tool/n1', 'write /tool/n2', 1],
    ['read, child made below', 'read /tool/x', 'write /tool/x/c', 1],
    ['listed, child’s value changed', 'list /tool', 'write /tool/x', 1],
  ] as const) {
    test(`conflict: ${what} → ${attempts === 2 ? 'again' : 'none'}`, async () => {
      await dom0.write('/tool/x', '1');
      await dom0.write('/tool/y', '1');
      const run = async (command: string, tx?: { id: number }) => {
        const [verb, path] = command.split(' ');
        if (verb === 'read') await dom0.tryRead(path, tx);
        else if (verb === 'write') await dom0.write(path, String(tx?.id ?? 'outside'), tx);
        else if (verb === 'rm') await dom0.rm(path, tx);
        else if (verb === 'list') await dom0.directory(path, tx);
        else await dom0.setPermissions(path, perms('r0'), tx);
      };
      let count = 0;
      await dom0.transaction(async (tx) => {
        await run(inside, tx);
        await dom0.write('/tool/result', String(++count), tx);
        if (count === 1) await run(outside);
      });
      assert.equal(count, attempts);
      assert.equal(await dom0.read('/tool/result'), String(attempts));
    });
  }

  test('two on disjoint nodes both commit; one of two on the same node runs again', async () => {
    const add = (path: string) =>
      dom0.transaction(async (tx) =>
        dom0.write(path, String(Number((await dom0.tryRead(path, tx)) ?? 0) + 1), tx),
      );
    await Promise.all([add('/tool/one'), add('/tool/two'), add('/tool/one'), add('/tool/one')]);
    assert.deepEqual([await dom0.read('/tool/one'), await dom0.read('/tool/two')], ['3', '1']);
  });

  test('remove and make again in one: only what was made again remains', async () => {
    await dom0.write('/tool/r/old/deep', '1');
    await dom0.write('/tool/r/both', '1');
    await dom0.transaction(async (tx) => {
      await dom0.rm('/tool/r', tx);
      await dom0.write('/tool/r/both', '2', tx);
      await dom0.write('/tool/gone/again', '2', tx);
      await dom0.rm('/tool/gone', tx);
    });
    assert.deepEqual(await dom0.directory('/tool/r'), ['both']);
    assert.equal(await dom0.read('/tool/r/both'), '2');
    assert.equal(await dom0.tryRead('/tool/gone'), undefined);
  });

  test('an exception discards it, endless conflict ends in EAGAIN', async () => {
    const failing = dom0.transaction(async (tx) => {
      await dom0.write('/tool/no', '1', tx);
      throw new RangeError('mine');
    });
    await assert.rejects(failing, RangeError);
    assert.equal(await dom0.tryRead('/tool/no'), undefined);
    const endless = dom0.transaction(async (tx) => {
      await dom0.write('/tool/x', '1', tx);
      await dom0.write('/tool/x', '2');
    });
    await assert.rejects(endless, { code: 'EAGAIN' });
    assert.equal(
      server.stats().connections.reduce((sum, c) => sum + c.transactions, 0),
      0,
    );
    await assert.rejects(dom0.read('/tool', { id: 4711 }), { code: 'ENOENT' });
  });
});

describe('quotas of a domain', () => {
  const restart = async (quotas: object) => {
    await server.close();
    await start(quotas);
  };

  test('nodes: ENOSPC, also for parents made on the way and in transactions; removal gives them back', async () => {
    await restart({ nodes: 4 });
    await dom5.write('a/b', '');
    await assert.rejects(dom5.write('c/d', ''), { code: 'ENOSPC' });
    assert.equal(await dom5.tryRead('c'), undefined);
    await dom5.write('c', '');
    await assert.rejects(
      dom5.transaction((tx) => dom5.write('e', '', tx)),
      { code: 'ENOSPC' },
    );
    await dom5.rm('a');
    await dom5.transaction(async (tx) => {
      await dom5.write('x', '', tx);
      await dom5.write('y', '', tx);
    });
    await dom6.write('a', 'not disturbed');
    await dom0.write(`${BASE}/extra`, 'domain 0 has no quota');
  });

  test('nodes: two transactions that fit only one by one', async () => {
    await restart({ nodes: 3 });
    const late = dom5.transaction(async (tx) => {
      await dom5.write('a', '', tx);
      await dom5.write('b', '', tx);
      await dom5.write('c', '').catch(() => undefined);
    });
    await assert.rejects(late, { code: 'ENOSPC' });
    assert.deepEqual(await dom5.directory(BASE), ['c']);
  });

  test('value size and permissions: ENOSPC', async () => {
    await dom5.write('v', 'x'.repeat(2048));
    await assert.rejects(dom5.write('v', 'x'.repeat(2049)), { code: 'ENOSPC' });
    await dom5.setPermissions('v', perms('n5 r1 r2 r3 r4'));
    await assert.rejects(dom5.setPermissions('v', perms('n5 r1 r2 r3 r4 r6')), { code: 'ENOSPC' });
    await dom0.setPermissions(`${BASE}/v`, perms('n5 r1 r2 r3 r4 r6'));
  });

  test('watches: E2BIG, over all connections of the domain', async () => {
    const second = server.connect(5);
    for (let i = 0; i < 128; i++) await (i % 2 ? dom5 : second).watch('w', `t${i}`, () => {});
    await assert.rejects(
      dom5.watch('w', 'more', () => {}),
      { code: 'E2BIG' },
    );
    assert.equal(server.stats().watches, 128);
    second.close();
    await settle();
    assert.equal(server.stats().watches, 64);
    await dom5.watch('w', 'more', () => {});
  });

  test('transactions, and nodes of one: ENOSPC', async () => {
    await restart({ transactions: 2, transactionNodes: 8 });
    await dom5.transaction(() =>
      dom5.transaction(async () => {
        await assert.rejects(
          dom5.transaction(async () => {}),
          { code: 'ENOSPC' },
        );
        await dom6.transaction(async () => {});
      }),
    );
    const wide = dom5.transaction(async (tx) => {
      for (let i = 0; i < 10; i++) await dom5.tryRead(`n${i}`, tx);
    });
    await assert.rejects(wide, { code: 'ENOSPC' });
  });
});

describe('domains', () => {
  test('release ends connections, watches, transactions and nodes; the successor inherits nothing', async () => {
    await dom5.write('data', 'x');
    await dom5.watch('data', undefined, () => {});
    await dom0.write('/tool/granted', '1');
    await dom0.setPermissions('/tool/granted', perms('n0 b5'));
    await dom0.setPermissions('/vm', perms('b5'));
    const watch = await recorder(dom0, `${BASE}/data`);
    await watch.take();
    server.release(5);
    await dom5.closed;
    await assert.rejects(dom5.read('data'), { code: 'ENOTCONN' });
    assert.deepEqual(await watch.take(), [`${BASE}/data`]);
    assert.equal(await dom0.tryRead(BASE), undefined);
    assert.equal(await dom0.tryRead('/vm'), undefined, 'whatever it owned goes');
    assert.equal(server.stats().watches, 1);
    assert.throws(() => server.connect(5), { name: 'SetupError' });
    server.introduce(5);
    dom5 = server.connect(5);
    assert.deepEqual(await dom0.getPermissions('/tool/granted'), perms('n0'));
    await assert.rejects(dom5.read('/tool/granted'), { code: 'EACCES' });
    await dom0.setPermissions('/tool/granted', perms('n0 r5'));
    assert.equal(await dom5.read('/tool/granted'), '1');
  });

  test('/ survives an owner that goes', async () => {
    await dom0.setPermissions('/', perms('r5'));
    server.release(5);
    assert.deepEqual(await dom0.getPermissions('/'), perms('r0'));
    await dom0.write('/new', '1');
  });

  test('closing the client resolves closed, the server forgets it', async () => {
    const before = server.stats().connections.length;
    dom6.close();
    await dom6.closed;
    await settle();
    assert.equal(server.stats().connections.length, before - 1);
    await assert.rejects(dom6.read('x'), { code: 'ENOTCONN' });
  });
});
