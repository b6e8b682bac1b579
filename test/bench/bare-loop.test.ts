// The rivals come up, carry frames, and leave nothing behind. What they are worth is the benchmark's matter.
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bareLoop } from '../../bench/rivals/bare-loop.js';
import { type Rival, tapsMissing, untilReachable } from '../../bench/rivals/rival.js';
import { vde } from '../../bench/rivals/vde.js';
import { linksOf } from '../../src/lab/traffic/netns.js';
import { SetupError } from '../../src/sys/errors.js';

// A temporary directory of our own, so that what is left in it was left by us.
const own = mkdtempSync(join(tmpdir(), 'rivals-test-'));
process.env.TMPDIR = own;
after(() => rmSync(own, { recursive: true }));

const rivals: Rival[] = [
  bareLoop(),
  bareLoop({ mode: 'poll' }),
  bareLoop({ language: 'node' }),
  bareLoop({ offload: false }),
  vde(),
  vde('plugs'),
];

for (const rival of rivals) {
  const reason = rival.missing();
  const skip = reason ? `SKIPPED, NOT TESTED: ${reason}` : false;
  test(`${rival.name}: ping of any size crosses, then everything is gone`, { skip }, async () => {
    const links = linksOf('self');
    const running = await rival.start();
    const { nsA, nsB, addressB, pids } = running;
    const spaces = [nsA, nsB].map((ns) => readlinkSync(`/proc/${ns.pid}/ns/net`));
    try {
      await untilReachable(running);
      assert.deepEqual(linksOf(nsA.pid).sort(), ['eth0', 'lo']);
      assert.deepEqual(linksOf('self'), links); // the taps never show on the host
      for (const size of ['0', '1472', '20000']) {
        const { stdout } = await nsA.exec(['ping', '-c', '2', '-i', '0.2', '-W', '2', '-s', size, addressB]);
        assert.match(stdout, /2 received, 0% packet loss/);
      }
    } finally {
      await running.stop();
    }
    for (const pid of [...pids, nsA.pid, nsB.pid]) {
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    }
    const left = spaces.filter((space) => namespacesInUse().has(space));
    assert.deepEqual(left, []);
    assert.deepEqual(linksOf('self'), links);
    assert.deepEqual(temporaryDirs(), []);
  });
}

test('a rival whose start fails leaves nothing behind', { skip: tapsMissing() ?? false }, async () => {
  const bin = join(own, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'gcc'), '#!/bin/sh\necho broken compiler >&2\nexit 1\n', { mode: 0o755 });
  const path = process.env.PATH;
  process.env.PATH = `${bin}:${path}`;
  try {
    // By then its namespaces are up.
    await assert.rejects(
      bareLoop({ language: 'c' }).start(),
      (e) => e instanceof SetupError && /broken comp/.test(e.message),
    );
  } finally {
    process.env.PATH = path;
  }
  assert.deepEqual(childrenOf(process.pid), []);
  assert.deepEqual(temporaryDirs(), []);
});

function childrenOf(parent: number): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
    } catch {
      return false; // not a process, or it ended meanwhile
    }
  });
}

function temporaryDirs(): string[] {
  return readdirSync(tmpdir()).filter((name) => /^(bare-loop|vde)-/.test(name));
}

/** Network namespaces that some process lives in. */
function namespacesInUse(): Set<string> {
  const spaces = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      spaces.add(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      // it ended meanwhile, or is not ours to look at
    }
  }
  return spaces;
}
