import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { ENTRY, HOST } from './support/ferry.js';
import { background, lacking } from './support/place.js';

/** nobody, nogroup: Debian's base-passwd. */
const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--'];
const NAMESPACES = ['unshare', '--user', '--map-root-user', '--net', '--pid', '--fork', '--', 'true'];

/** The package: what has node_modules in it. */
const HOUSE = (() => {
  let folder = dirname(ENTRY);
  while (!existsSync(join(folder, 'node_modules'))) folder = dirname(folder);
  return folder;
})();

/**
 * /dev/net/tun may be closed to others here, and so may be the way to our files and to node (a home, say). So in a
 * mount namespace that ends with the test: an open tun, and both within reach.
 */
const WITHIN_REACH = `
  set -e
  mkdir -p /dev/net && mount -t tmpfs none /dev/net && mknod -m 0666 /dev/net/tun c 10 200
  mount --bind "$FROM_HOUSE" "$HOUSE" && mount --bind "$FROM_NODE" "$NODE"
  exec "$@"`;

function refusal(): string | false {
  const missing = lacking('ping', 'unshare', 'setpriv', 'nsenter', 'mknod');
  if (missing) return missing;
  const [file, ...args] = [...AS_NOBODY, ...NAMESPACES];
  const tried = spawnSync(file, args, { encoding: 'utf8' });
  return tried.status !== 0 && `this kernel refuses user namespaces to users: ${tried.stderr.trim()}`;
}

describe('without root', { skip: refusal() }, () => {
  test('a daemon in namespaces of its own, and two guests: all reach each other', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'netferry-rootless-'));
    chmodSync(directory, 0o755);
    const runtime = join(directory, 'run');
    const house = join(directory, 'house');
    const node = join(directory, 'node');
    mkdirSync(house);
    writeFileSync(node, '');
    const script = `
      set -e
      node() { "$NODE" "$ENTRY" --dir "$DIR" "$@"; }
      "$NODE" "$ENTRY" --dir "$DIR" up --host-ip ${HOST.v4}/24 --host-ip ${HOST.v6}/64 2>"$DIR.log" &
      daemon=$!
      for i in $(seq 100); do [ -S "$DIR/control.sock" ] && break; sleep 0.1; done
      node status --json
      node guest run a -d >/dev/null
      node guest run b -d >/dev/null
      node guest exec a -- ping -c 2 -i 0.2 -W 2 10.206.0.3
      node guest exec b -- ping -c 2 -i 0.2 -W 2 ${HOST.v4}
      node guest exec b -- ping -6 -c 2 -i 0.2 -W 2 -s 8000 fd4e:4652::2
      node attach lo 2>&1 || true
      node guest rm a b >/dev/null
      kill $daemon
      wait $daemon
      echo all done`;
    chownSync(directory, NOBODY, NOBODY);
    const child = spawn(
      'unshare',
      ['--mount', 'sh', '-c', WITHIN_REACH, 'sh', ...AS_NOBODY, 'sh', '-c', script],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        env: {
          ...process.env,
          HOME: directory,
          FROM_HOUSE: HOUSE,
          FROM_NODE: process.execPath,
          HOUSE: house,
          NODE: node,
          ENTRY: join(house, relative(HOUSE, ENTRY)),
          DIR: runtime,
        },
      },
    );
    const all = background(child);
    const timer = setTimeout(() => void all.stop('SIGKILL'), 40_000);
    try {
      const { code, stdout, stderr } = await all.ended;
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /"rootless": true/);
      assert.equal(stdout.match(/ 0% packet loss/g)?.length, 3, stdout);
      assert.match(stdout, /a daemon without root has none of this machine’s interfaces\n {2}run it as root/);
      assert.match(stdout, /all done/);
    } finally {
      clearTimeout(timer);
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
