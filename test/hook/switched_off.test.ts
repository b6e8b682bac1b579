/**
 * Features that are off while frames are forwarded, and how they come back, in a network namespace of their own: the
 * outer half runs this same file under unshare(1), the inner half is the tests. No driver of this kernel has LRO or a
 * VLAN filter that can be switched: other features stand for them.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { entryOf, isOf, lineOf, parseEntries } from '../../src/hook/feature_entry.js';
import { Features, SwitchedOff, sweepFeatures } from '../../src/hook/switched_off.js';
import { features, setFeatures } from '../../src/sys/ethtool.js';
import { linkDetails } from '../../src/sys/link_details.js';
import { linkIndex } from '../../src/sys/netlink.js';
import { netnsName } from '../../src/sys/netns.js';
import { inOwnNamespace, sh } from '../support/own_netns.js';

const EVERYWHERE = 'rx-gro-list';
const LOWEST = 'rx-udp-gro-forwarding';

inOwnNamespace(import.meta.url, ['mkfifo'], inside);

function inside(): void {
  const scratch = mkdtempSync(join(tmpdir(), 'netferry-features-'));
  after(() => rmSync(scratch, { recursive: true }));
  const directory = join(scratch, 'run', 'records');
  const options = { everywhere: [EVERYWHERE], lowest: [LOWEST], directory };
  const children: ChildProcess[] = [];
  let ours: Features;

  beforeEach(() => {
    ours = new Features(options);
    sh('ip link add v0 type veth peer name v1');
    setFeatures('v0', { [EVERYWHERE]: true, [LOWEST]: true });
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    assert.deepEqual(ours.records.takeProblems(), []);
    sh(
      'ip -o link | sed -E "s/^[0-9]+: ([^:@]+).*/\\1/" | grep -vx lo | xargs -rn1 ip link del 2>/dev/null; true',
    );
    rmSync(join(scratch, 'run'), { recursive: true, force: true });
  });

  const index = (name: string) => linkIndex(name) ?? 0;
  const off = (name: string, role: 'uplink' | 'port' = 'uplink') => new SwitchedOff(index(name), role, ours);
  /** Whether the two features are on. */
  const state = (name: string) => [EVERYWHERE, LOWEST].map((feature) => features(name).get(feature)?.on);
  const records = () => readdirSync(directory);

  /** Another process that has them off of an interface, until it is killed or `end`ed. */
  async function other(name: string): Promise<{ kill(): Promise<void>; end(): Promise<void> }> {
    const script = `
      import { Features, SwitchedOff } from ${JSON.stringify(new URL('../../src/hook/switched_off.js', import.meta.url))};
      new SwitchedOff(${index(name)}, 'uplink', new Features(${JSON.stringify(options)}));
      console.log('ready');
      process.stdin.on('end', () => process.exit(0)).resume();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const end = (how: () => void) => () => {
      how();
      return gone;
    };
    return { kill: end(() => child.kill('SIGKILL')), end: end(() => child.stdin.end()) };
  }

  describe('switched off', () => {
    test('meanwhile, and only what was on comes back, whatever the interface is called then', () => {
      setFeatures('v0', { [LOWEST]: false });
      const one = off('v0');
      assert.deepEqual([one.off, one.stuck], [[{ feature: EVERYWHERE }], []]);
      assert.deepEqual(state('v0'), [false, false]);
      assert.equal(records().length, 1);
      sh('ip link set v0 name w0');
      one.restore();
      one.restore();
      assert.deepEqual(state('w0'), [true, false]);
      assert.deepEqual(records(), []);
    });

    test('a port’s filters stay on; what has nothing to switch leaves no trace', () => {
      const port = off('v0', 'port');
      assert.deepEqual(state('v0'), [false, true]);
      port.restore();
      assert.deepEqual(state('v0'), [true, true]);
      rmSync(directory, { recursive: true });
      const none = off('v1');
      assert.deepEqual([none.off, none.stuck], [[], []]);
      none.restore();
      assert.throws(records, /ENOENT/);
    });

    test('after an error that nobody caught they are on again', () => {
      const script = `
        import { Features, SwitchedOff } from ${JSON.stringify(new URL('../../src/hook/switched_off.js', import.meta.url))};
        import { features } from ${JSON.stringify(new URL('../../src/sys/ethtool.js', import.meta.url))};
        new SwitchedOff(${index('v0')}, 'uplink', new Features(${JSON.stringify(options)}));
        throw new Error('meanwhile ' + features('v0').get('${EVERYWHERE}').on);`;
      const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      assert.equal(run.status, 1);
      assert.match(run.stderr, /meanwhile false/);
      assert.deepEqual([state('v0'), records()], [[true, true], []]);
    });

    test('what cannot be switched off is said; an interface that went is nothing', () => {
      const stubborn = new Features({ everywhere: ['loopback'], lowest: [], directory });
      const lo = new SwitchedOff(index('lo'), 'uplink', stubborn);
      assert.deepEqual([lo.off, lo.stuck], [[], [{ feature: 'loopback' }]]);
      lo.restore();
      assert.equal(features('lo').get('loopback')?.on, true);
      assert.deepEqual(records(), []);
      const none = new SwitchedOff(99_999, 'uplink', ours);
      assert.deepEqual([none.off, none.stuck], [[], []]);
      const one = off('v0');
      sh('ip link del v0');
      one.restore();
      assert.deepEqual(records(), [], 'a virtual interface does not come back');
    });
  });

  describe('what an interface stands on', () => {
    beforeEach(() => {
      sh('ip link add b0 type bridge && ip link set v0 master b0 && ip link add s0 type veth peer name s1');
      for (const name of ['b0', 's0']) setFeatures(name, { [EVERYWHERE]: true, [LOWEST]: true });
    });

    test('is switched too: everything everywhere, the filters at the bottom', () => {
      const one = off('b0');
      const below = (feature: string) => ({ feature, below: 'v0' });
      assert.deepEqual(one.off, [{ feature: EVERYWHERE }, below(EVERYWHERE), below(LOWEST)]);
      assert.deepEqual([state('b0'), state('v0')], [[false, true], [false, false]]); // biome-ignore format: pairs
      one.restore();
      assert.deepEqual([state('b0'), state('v0')], [[true, true], [true, true]]); // biome-ignore format: pairs
    });

    test('comes and goes meanwhile', () => {
      const one = off('b0');
      assert.equal(one.look(), false);
      sh('ip link set s0 master b0');
      assert.equal(one.look(), true);
      assert.deepEqual([state('s0'), one.off.length], [[false, false], 5]);
      sh('ip link set v0 nomaster');
      assert.equal(one.look(), true);
      assert.deepEqual([state('v0'), state('s0')], [[true, true], [false, false]]); // biome-ignore format: pairs
      assert.deepEqual(new Set(one.off.map(({ below }) => below)), new Set([undefined, 's0']));
      sh('ip link del s0');
      assert.equal(one.look(), true);
      one.restore();
      assert.deepEqual([state('b0'), records()], [[true, true], []]);
    });

    test('is shared: what two stand on is on again after the second', () => {
      sh('ip link set v0 nomaster');
      for (const name of ['m0', 'm1']) sh(`ip link add link v0 name ${name} type macvlan`);
      const [first, second] = [off('m0'), off('m1')];
      assert.deepEqual(state('v0'), [false, false]);
      first.restore();
      assert.deepEqual(state('v0'), [false, false]);
      second.restore();
      assert.deepEqual([state('v0'), records()], [[true, true], []]);
    });

    test('is shared with another process, however that ends', async () => {
      sh('ip link set v0 nomaster');
      for (const name of ['m0', 'm1']) sh(`ip link add link v0 name ${name} type macvlan`);
      for (const end of ['end', 'kill'] as const) {
        const theirs = await other('m0');
        const one = off('m1');
        assert.equal(records().length, 2);
        await theirs[end]();
        assert.deepEqual(state('v0'), [false, false], 'ours still');
        one.restore();
        assert.deepEqual([state('v0'), records()], [[true, true], []]);
      }
      const one = off('m1');
      const theirs = await other('m0');
      one.restore();
      assert.deepEqual(state('v0'), [false, false], 'theirs still');
      await theirs.end();
      assert.deepEqual([state('v0'), records()], [[true, true], []]);
    });
  });

  describe('after a SIGKILL', () => {
    test('the next that starts switches them on again', async () => {
      await (await other('v0')).kill();
      assert.deepEqual(state('v0'), [false, false]);
      sh('ip link set v0 name w0');
      assert.deepEqual(sweepFeatures(ours).sort(), [`w0 ${EVERYWHERE}`, `w0 ${LOWEST}`]);
      assert.deepEqual([state('w0'), records()], [[true, true], []]);
      assert.deepEqual(sweepFeatures(ours), []);
    });

    test('the next on the same interface takes them over, and switches them on at its end', async () => {
      await (await other('v0')).kill();
      await (await other('v0')).kill();
      const one = off('v0');
      assert.deepEqual(one.off, [{ feature: EVERYWHERE }, { feature: LOWEST }]);
      assert.deepEqual(sweepFeatures(ours), [], 'they are in use');
      assert.equal(records().length, 1);
      one.restore();
      assert.deepEqual([state('v0'), records()], [[true, true], []]);
    });

    test('what an admin switched off before stays off', async () => {
      setFeatures('v0', { [LOWEST]: false });
      await (await other('v0')).kill();
      sweepFeatures(ours);
      assert.deepEqual(state('v0'), [true, false]);
    });

    test('another interface of the same name is not touched', async () => {
      await (await other('v0')).kill();
      sh('ip link del v0 && ip link add v0 type veth peer name v1');
      assert.deepEqual(sweepFeatures(ours), []);
      assert.deepEqual([state('v0'), records()], [[false, false], []]);
    });

    test('one of another namespace with the same index is not touched, and its record stays', async () => {
      await (await other('v0')).kill();
      const script = `
        import { Features, sweepFeatures } from ${JSON.stringify(new URL('../../src/hook/switched_off.js', import.meta.url))};
        console.log(sweepFeatures(new Features(${JSON.stringify(options)})).length);`;
      const inNew = `ip link add v0 index ${index('v0')} type veth peer name v1 && exec "$0" --input-type=module -e "$1"`;
      const run = spawnSync('unshare', ['-n', 'sh', '-c', inNew, process.execPath, script], {
        encoding: 'utf8',
      });
      assert.equal(run.stdout, '0\n', run.stderr);
      assert.equal(records().length, 1);
      assert.equal(sweepFeatures(ours).length, 2);
    });
  });

  describe('records', () => {
    test('that nobody of us wrote are left alone, and said once', async () => {
      await (await other('v0')).kill();
      const [good] = records();
      const text = readFileSync(join(directory, good), 'utf8');
      const put = (name: string, content: string) =>
        writeFileSync(join(directory, name), content, { mode: 0o600 });
      put('words', 'hello\n');
      put('unsigned', text.slice(1));
      put('null', '+null\n');
      put('numbers', '+{"netns":1,"ifindex":"x","permanent":0,"parent":[],"feature":{}}\n');
      put('other-feature', text.replaceAll(LOWEST, 'tx-checksum-ip-generic'));
      put('large', '+'.repeat(1 << 19));
      put('open', text);
      chmodSync(join(directory, 'open'), 0o666);
      put('foreign', text);
      sh(
        `chown 12345 ${directory}/foreign && mkfifo -m 600 ${directory}/fifo && mkdir -m 700 ${directory}/folder`,
      );
      symlinkSync('/etc/passwd', join(directory, 'link'));
      put('torn', `${text}-${text.slice(1, 40)}`);
      const before = records();
      const found = sweepFeatures(ours);
      assert.equal(found.length, 2);
      assert.deepEqual(state('v0'), [true, true]);
      const problems = ours.records.takeProblems().sort();
      assert.deepEqual(
        problems.map((problem) => problem.replace(`${directory}/`, '')),
        [
          'fifo: it is no file',
          'folder: EISDIR',
          'foreign: it belongs to user 12345',
          'large: it is too large',
          'link: ELOOP',
          'null: line 1 is no record',
          'numbers: line 1 is no record',
          'open: it can be written by others',
          'other-feature: line 2 is no record',
          'unsigned: line 1 is no record',
          'words: line 1 is no record',
        ],
      );
      assert.deepEqual(
        records(),
        before.filter((name) => name !== good && name !== 'torn'),
      );
      sweepFeatures(ours);
      assert.deepEqual(ours.records.takeProblems(), []);
      sh('ip link del v0');
    });

    test('in a directory that others can write in are not believed, and none is left there', async () => {
      await (await other('v0')).kill();
      chmodSync(directory, 0o777);
      assert.deepEqual(sweepFeatures(ours), []);
      assert.deepEqual(ours.records.takeProblems(), [`${directory}: it can be written by others`]);
      setFeatures('v0', { [EVERYWHERE]: true });
      const one = off('v0');
      assert.deepEqual(state('v0'), [false, false], 'it works all the same');
      assert.equal(records().length, 1);
      one.restore();
      assert.deepEqual(state('v0'), [true, false]);
    });

    test('tell an interface by index and namespace, or by its hardware where it was moved', () => {
      const link = linkDetails('v0');
      assert.ok(link);
      const here = netnsName();
      const [boot] = here.split(' ');
      assert.match(here, /^[0-9a-f-]{36} \d+$/);
      assert.notEqual(spawnSync('unshare', ['-n', process.execPath, '--input-type=module', '-e', `
        import { netnsName } from ${JSON.stringify(new URL('../../src/sys/netns.js', import.meta.url))};
        console.log(netnsName());`], { encoding: 'utf8' }).stdout.trim(), here); // biome-ignore format: a script
      const nic = { ...link, index: 2, permanent: '52:54:00:00:00:01', parent: '0000:00:03.0' };
      const there = `${boot} 1`;
      assert.equal(isOf(entryOf(link, here, 'x'), link, here), true);
      assert.equal(isOf(entryOf(link, there, 'x'), link, here), false);
      assert.equal(isOf(entryOf({ ...link, index: link.index + 1 }, here, 'x'), link, here), false);
      assert.equal(isOf(entryOf(nic, there, 'x'), { ...nic, index: 7 }, here), true, 'moved');
      assert.equal(
        isOf(entryOf(nic, here, 'x'), { ...nic, index: 7 }, here),
        false,
        'its driver was loaded anew',
      );
      assert.equal(isOf(entryOf(nic, 'another 1', 'x'), nic, here), false, 'before the last start');
      assert.equal(isOf(entryOf(nic, there, 'x'), { ...nic, parent: '0000:00:04.0' }, here), false);
      assert.equal(isOf(entryOf(nic, here, 'x'), { ...nic, permanent: '52:54:00:00:00:02' }, here), false);
    });

    test('are the sum of their lines', () => {
      const link = linkDetails('v0');
      assert.ok(link);
      const [a, b] = ['a', 'b'].map((feature) => lineOf(entryOf(link, 'n', feature)));
      const names = (text: string) => parseEntries(text, ['a', 'b']).map(({ feature }) => feature);
      assert.deepEqual(names(''), []);
      assert.deepEqual(names(`+${a}\n+${b}\n`), ['a', 'b']);
      assert.deepEqual(names(`+${a}\n+${b}\n-${a}\n`), ['b']);
      assert.deepEqual(names(`+${a}\n-${a}\n+${a}\n+${b}`), ['a']);
      assert.deepEqual(names(`+${a}`), []);
      assert.throws(() => names(`+${a}\n?${a}\n`), /line 2 is no record/);
      assert.throws(() => names(`+${a}\n\n`), /line 2 is no record/);
    });
  });
}
